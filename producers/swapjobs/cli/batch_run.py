"""submit-batch at work: block after block, held back by the queue's length, patient with a Redis that is away."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from swapjobs import keys
from swapjobs.cli.output import print_error
from swapjobs.errors import JobGone, JobNotFound, QueueFull, QueueUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from swapjobs.cli.progress_file import Outcome
    from swapjobs.cli.rows import Row
    from swapjobs.client import SwapClient
    from swapjobs.models import Submission

T = TypeVar("T")

BLOCK: Final = 100  # as many as submit_many gives to Redis in one step
_RECOUNT_S: Final = 5.0  # others submit too, so a count is not believed for longer
_PAUSE_S: Final = 1.0


class Told(NamedTuple):
    """What became of one row."""

    line: int
    id: str | None
    outcome: Outcome
    error: str | None


class Patience:
    """Does something again and again while Redis is away or full, but not for ever.

    Before Redis took anything an error is raised at once: then the URL is wrong, rather than Redis away.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._worked = False
        self.outages = 0

    def __call__(self, action: Callable[[], T]) -> T:
        """Return what `action` returns in the end.

        Raises:
            QueueUnavailable, QueueFull: its last error, after so many seconds without success.
        """
        until = None
        while True:
            try:
                answer = action()
            except (QueueUnavailable, QueueFull) as error:
                now = time.monotonic()
                if until is None:
                    until = now + self._seconds
                    if self._worked and self._seconds:
                        self.outages += 1
                        text = f"{error}; trying again for {self._seconds:g} s"
                        print_error(error.code, text, what="warning", style="yellow")
                if not self._worked or now >= until:
                    raise
                time.sleep(min(_PAUSE_S, until - now))
            else:
                self._worked = True
                return answer


class Room:
    """How many jobs may be submitted now, so that no more than `most` stand in line; waits until there is room.

    The line is counted when what was free is used up, or after some seconds; not for every block.
    """

    def __init__(self, most: int | None, depth: Callable[[], int], held: Callable[[int], object]) -> None:
        self._most = most
        self._depth = depth
        self._held = held
        self._left = 0
        self._counted = 0.0

    def __call__(self) -> int:
        """Return a number from 1 to `BLOCK`."""
        if self._most is None:
            return BLOCK
        if self._left <= 0 or time.monotonic() - self._counted > _RECOUNT_S:
            while (left := self._most - (depth := self._depth())) <= 0:
                self._held(depth)
                time.sleep(_PAUSE_S)
            self._left, self._counted = left, time.monotonic()
        return min(BLOCK, self._left)

    def take(self, jobs: int) -> None:
        """Count jobs that were created."""
        self._left -= jobs


def depth_of(client: SwapClient) -> int:
    """Return how many jobs stand in line."""
    in_line = client.line().in_line
    return in_line[keys.INTERACTIVE] + in_line[keys.BULK]


def knows(client: SwapClient, job_id: str) -> bool:
    """Tell whether Redis knows a job that it accepted, or that there was one. Who knows it knows all before it."""
    try:
        client.get(job_id)
    except JobGone:
        return True
    except JobNotFound:
        return False
    return True


def submit_block(client: SwapClient, rows: Sequence[Row], defaults: Mapping[str, Any], run: str) -> list[Told]:
    """Submit rows and return what became of each. To do it again with the same `run` makes no job twice."""
    requests = [_request(row, defaults, run) for row in rows if not isinstance(row.content, str)]
    answers = iter(list(client.submit_many(requests)))
    return [_told(row, answers) for row in rows]


def _has_id(row: Row) -> bool:
    return not isinstance(row.content, str) and row.content.get("business_task_id") is not None


def _request(row: Row, defaults: Mapping[str, Any], run: str) -> dict[str, Any]:
    named = {} if _has_id(row) else {"business_task_id": f"{run}-{row.line}"}
    return {**defaults, **row.content, **named}  # type: ignore[dict-item]  # a mapping: the caller saw to it


def _told(row: Row, answers: Iterator[Submission]) -> Told:
    if isinstance(row.content, str):
        return Told(row.line, None, "invalid", row.content)
    answer = next(answers)
    if answer.outcome == "conflict":
        return Told(row.line, answer.id, "conflict", "business_task_id: was already used for a different request")
    # nobody but this run can have made a job of its own id: its first try did, whose answer was lost
    outcome = "created" if answer.outcome == "existing" and not _has_id(row) else answer.outcome
    return Told(row.line, answer.id, outcome, answer.error)
