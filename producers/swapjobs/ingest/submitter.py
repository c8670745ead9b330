"""Rows of a file become jobs, block by block: what the command line and the gateway do alike."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from swapjobs.contract.errors import IdempotencyConflict
from swapjobs.contract.job import DEFAULT_TENANT
from swapjobs.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from swapjobs.client.swap_client import SwapClient
    from swapjobs.contract.job import Submission
    from swapjobs.ingest.row_reader import Row

BLOCK: Final = 100  # as many as submit_many gives to Redis in one step
_RECOUNT_S: Final = 5.0  # others submit too, so a count is not believed for longer
_PAUSE_S: Final = 1.0
_LONGEST_PREFIX: Final = 64 - len("-") - 12  # a business_task_id has 64 characters; 12 digits count any file's lines

Outcome = Literal["created", "existing", "conflict", "invalid", "refused"]


class RowResult(NamedTuple):
    """What became of one row. `refused`: nothing, it could not be taken now and may be sent again."""

    line: int
    id: str | None
    outcome: Outcome
    error: str | None


class Backpressure:
    """How many jobs may be submitted now, so that no more than `limit` are queued; waits until there is room.

    The line is counted when what was free is used up, or after some seconds; not for every block.
    """

    def __init__(self, limit: int | None, depth: Callable[[], int], held: Callable[[int], object]) -> None:
        self._limit = limit
        self._depth = depth
        self._held = held
        self._left = 0
        self._counted = 0.0

    def __call__(self) -> int:
        """Return a number from 1 to `BLOCK`."""
        if self._limit is None:
            return BLOCK
        if self._left <= 0 or time.monotonic() - self._counted > _RECOUNT_S:
            while (left := self._limit - (depth := self._depth())) <= 0:
                self._held(depth)
                time.sleep(_PAUSE_S)
            self._left, self._counted = left, time.monotonic()
        return min(BLOCK, self._left)

    def take(self, jobs: int) -> None:
        """Count jobs that were created."""
        self._left -= jobs


def queue_depth(client: SwapClient) -> int:
    """Return how many jobs are queued."""
    queued = client.operator.status().queued
    return queued[keys.INTERACTIVE] + queued[keys.BULK]


def prefix_of(batch_id: str) -> str:
    """Return what ids of rows without a business_task_id begin with: `<prefix>-<line>` is no longer than 64 characters.

    It depends on the batch id alone, so the same file sent again for the same batch makes no job twice.
    """
    if len(batch_id) <= _LONGEST_PREFIX:
        return batch_id
    return hashlib.blake2b(batch_id.encode(), digest_size=20).hexdigest()


def submit_block(client: SwapClient, rows: Sequence[Row], fixed: Mapping[str, Any], prefix: str) -> list[RowResult]:
    """Submit rows and return what became of each. To do it again with the same `prefix` makes no job twice.

    Args:
        client: Where the jobs go.
        rows: As `read_rows` gives them.
        fixed: Fields for rows that do not name them.
        prefix: A row without a business_task_id gets `<prefix>-<line>`.
    """
    requests = [_request(row, fixed, prefix) for row in rows if not isinstance(row.content, str)]
    answers = iter(list(client.submit_many(requests)))
    asked = iter(requests)
    return [_result_of(row, asked, answers) for row in rows]


def check_fixed_fields(row: Row, fixed: Mapping[str, str]) -> Row:
    """Return the row, or what is wrong with it: it may name these values, as its tenant and its batch, or none."""
    if isinstance(row.content, str):
        return row
    for name, value in fixed.items():
        if row.content.get(name, value) != value:
            return row._replace(content=f"{name}: all rows go to {value!a}; leave it out")
    return row


def names_itself(row: Row) -> bool:
    """Tell whether a row has a business_task_id of its own."""
    return not isinstance(row.content, str) and row.content.get("business_task_id") is not None


def _request(row: Row, fixed: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    named = {} if names_itself(row) else {"business_task_id": f"{prefix}-{row.line}"}
    return {**fixed, **row.content, **named}  # type: ignore[dict-item]  # a mapping: the caller saw to it


def _result_of(row: Row, asked: Iterator[Mapping[str, Any]], answers: Iterator[Submission]) -> RowResult:
    if isinstance(row.content, str):
        return RowResult(row.line, None, "invalid", row.content)
    request, answer = next(asked), next(answers)
    if answer.outcome == "conflict":
        text = IdempotencyConflict.text_of(request["business_task_id"], request.get("tenant", DEFAULT_TENANT))
        return RowResult(row.line, answer.id, "conflict", text)
    return RowResult(row.line, answer.id, answer.outcome, answer.error)
