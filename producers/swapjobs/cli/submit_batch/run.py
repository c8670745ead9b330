"""Submitting a file at work: block after block, held back by the queue's length, patient with a Redis that is away."""

from __future__ import annotations

import time
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from swapjobs.cli.output import err, out, print_error, print_fields, print_json
from swapjobs.cli.submit_batch.display import Display
from swapjobs.cli.submit_batch.progress_file import ProgressFile, new_run
from swapjobs.cli.submit_batch.source import size_of
from swapjobs.contract.errors import JobGone, JobNotFound, QueueFull, QueueUnavailable, SwapjobsError
from swapjobs.ingest.line_reader import START
from swapjobs.ingest.submitter import (
    Backpressure,
    Outcome,
    RowResult,
    check_fixed_fields,
    names_itself,
    prefix_of,
    queue_depth,
    submit_block,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from swapjobs.cli.submit_batch.source import Source
    from swapjobs.client.swap_client import SwapClient
    from swapjobs.ingest.row_reader import Row

T = TypeVar("T")

_PAUSE_S: Final = 1.0


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


def knows(client: SwapClient, job_id: str) -> bool:
    """Tell whether Redis knows a job that it accepted, or that there was one. Who knows it knows all before it."""
    try:
        client.get(job_id)
    except JobGone:
        return True
    except JobNotFound:
        return False
    return True


class Run:
    """One run of a command that submits a file.

    Args:
        client: Where the jobs go.
        fixed: Fields for rows that do not name them.
        progress: How far a run before this one was; None where that can't be known.
        patience: With a Redis that goes away.
        batch: The tenant and the batch that all rows go to. Rows without a business_task_id get `<batch id>-<line>`
            for one; without a batch, one that begins as in no other run.
    """

    def __init__(
        self,
        client: SwapClient,
        fixed: Mapping[str, Any],
        progress: ProgressFile | None,
        patience: Patience,
        *,
        batch: Mapping[str, str] | None = None,
    ) -> None:
        self._client = client
        self._fixed = {**fixed, **(batch or {})}
        self._progress = progress
        self._patience = patience
        self._batch = batch or {}
        self._prefix = prefix_of(batch["batch_id"]) if batch else progress.state.run if progress else new_run()
        self._last_id: str | None = None
        self._place = START
        self._outages = 0
        self.began = False
        self.counts: Counter[Outcome] = Counter()

    @property
    def status(self) -> int:
        """The exit status: 1 when a line came to nothing."""
        return 1 if self.counts["invalid"] or self.counts["conflict"] else 0

    def summary(self) -> str:
        """Return the counts in words."""
        counts = ", ".join(f"{self.counts[name]} {name}" for name in ("created", "existing", "conflict", "invalid"))
        total = self.counts.total()
        return f"{total} {'job' if total == 1 else 'jobs'}: {counts}"

    def go(self, source: Source, max_queued: int | None, *, as_json: bool) -> None:
        """Submit what is left, and tell what became of each row."""
        self._go_on()
        rows = source.rows(self._place)
        self._depth()  # a Redis that cannot be reached is told before anything was submitted
        try:
            with Display(size_of(source.stream), self._place, self._depth, shown=not as_json) as display:
                room = Backpressure(max_queued, self._depth, display.held)
                while block := [check_fixed_fields(row, self._batch) for row in islice(rows, room())]:
                    result = self._submit(block)
                    room.take(sum(item.outcome == "created" for item in result))
                    for item in result:
                        _print(item, as_json=as_json)
                    self._count(block, result)
                    display.at(self._place, self.counts.total())
        except (KeyboardInterrupt, SwapjobsError):
            if self._place != START:
                again = "; the same command goes on there" if self._progress else ""
                text = (
                    f"stopped after about line {self._place.line}: {self.summary()}; what was accepted is kept{again}"
                )
                err.print(text, markup=False, soft_wrap=True)
            raise

    def _go_on(self) -> None:
        """Begin where a run before this one was stopped, if Redis still has what that one submitted."""
        state = self._progress.state if self._progress else None
        if state is None or state.place == START:
            return
        line = f"line {state.line}"
        last_id = state.last_id
        if last_id and not self._patience(lambda: knows(self._client, last_id)):
            text = f"Redis does not know job {last_id}, the last one up to {line}: all lines are submitted again"
            print_error("", f"{text}; no job that it has is made twice", what="warning", style="yellow")
            return
        err.print(
            f"goes on after {line}, where {self._progress and self._progress.path} says", markup=False, soft_wrap=True
        )
        self._place, self._last_id, self.counts = state.place, last_id, Counter(state.counts)

    def _submit(self, block: Sequence[Row]) -> list[RowResult]:
        self.began = True
        result = self._patience(lambda: submit_block(self._client, block, self._fixed, self._prefix))
        if not self._batch:  # nobody else can have made a job of such an id: a first try did, whose answer was lost
            result = [
                item._replace(outcome="created") if item.outcome == "existing" and not names_itself(row) else item
                for row, item in zip(block, result, strict=True)
            ]
        last_id = self._last_id
        outages, self._outages = self._outages, self._patience.outages
        if self._outages > outages and last_id and not self._patience(lambda: knows(self._client, last_id)):
            raise QueueUnavailable(
                f"Redis came back without job {last_id}, which it had accepted before: submit all lines again; none"
                " with a business_task_id is made twice" + (", and no other of this file" if self._progress else "")
            )
        return result

    def _count(self, block: Sequence[Row], results: Sequence[RowResult]) -> None:
        """Keep what was told, and only then write down that it was."""
        self.counts.update(item.outcome for item in results)
        accepted = [item.id for item in results if item.outcome in {"created", "existing"}]
        self._last_id = accepted[-1] if accepted else self._last_id
        self._place = block[-1].after
        if self._progress:
            out.file.flush()
            self._progress.save(self._place, self._last_id, self.counts)

    def _depth(self) -> int:
        return self._patience(lambda: queue_depth(self._client))


def _print(result: RowResult, *, as_json: bool) -> None:
    if as_json:
        print_json(result._asdict())
    if result.error:
        print_fields(err, (f"line {result.line}: {result.error}", 0, ""))
