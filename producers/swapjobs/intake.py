"""Rows of a file become jobs, block by block: what the command line and the gateway do alike."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from swapjobs.client import SwapClient
    from swapjobs.models import Submission
    from swapjobs.rows import Row

BLOCK: Final = 100  # as many as submit_many gives to Redis in one step
_LONGEST_PREFIX: Final = 64 - len("-") - 12  # a business_task_id has 64 characters; 12 digits count any file's lines

Outcome = Literal["created", "existing", "conflict", "invalid", "refused"]


class Told(NamedTuple):
    """What became of one row. `refused`: nothing, it could not be taken now and may be sent again."""

    line: int
    id: str | None
    outcome: Outcome
    error: str | None


def prefix_of(batch_id: str) -> str:
    """Return what ids of rows without a business_task_id begin with: `<prefix>-<line>` is no longer than 64 characters.

    It depends on the batch id alone, so the same file sent again for the same batch makes no job twice.
    """
    if len(batch_id) <= _LONGEST_PREFIX:
        return batch_id
    return hashlib.blake2b(batch_id.encode(), digest_size=20).hexdigest()


def submit_block(client: SwapClient, rows: Sequence[Row], fixed: Mapping[str, Any], prefix: str) -> list[Told]:
    """Submit rows and return what became of each. To do it again with the same `prefix` makes no job twice.

    Args:
        client: Where the jobs go.
        rows: As `read_rows` gives them.
        fixed: Fields for rows that do not name them.
        prefix: A row without a business_task_id gets `<prefix>-<line>`.
    """
    requests = [_request(row, fixed, prefix) for row in rows if not isinstance(row.content, str)]
    answers = iter(list(client.submit_many(requests)))
    return [_told(row, answers) for row in rows]


def names_itself(row: Row) -> bool:
    """Tell whether a row has a business_task_id of its own."""
    return not isinstance(row.content, str) and row.content.get("business_task_id") is not None


def _request(row: Row, fixed: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    named = {} if names_itself(row) else {"business_task_id": f"{prefix}-{row.line}"}
    return {**fixed, **row.content, **named}  # type: ignore[dict-item]  # a mapping: the caller saw to it


def _told(row: Row, answers: Iterator[Submission]) -> Told:
    if isinstance(row.content, str):
        return Told(row.line, None, "invalid", row.content)
    answer = next(answers)
    if answer.outcome == "conflict":
        return Told(row.line, answer.id, "conflict", "business_task_id: was already used for a different request")
    return Told(row.line, answer.id, answer.outcome, answer.error)
