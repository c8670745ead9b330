"""The words of the sandbox's books: a call, a task, its outcome, the counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from swapjobs.contract.vendor_api import Status

if TYPE_CHECKING:
    from swapjobs.contract.output import Output


class Kind(StrEnum):
    """The kinds of calls that the vendor knows: of a tool, for a task, for a list."""

    SWAP = "swap"
    QUERY = "query"
    LIST = "list"


@dataclass(slots=True, frozen=True)
class Outcome:
    """How a task ended.

    Attributes:
        outputs: What it gave; nothing means that it failed.
        message: The vendor's `msg`.
    """

    outputs: tuple[Output, ...] = ()
    message: str = "success"

    @property
    def status(self) -> Status:
        """Success if there is a result, else failure."""
        return Status.SUCCESS if self.outputs else Status.FAILURE


@dataclass(slots=True)
class Task:
    """One accepted swap call.

    Attributes:
        business_id: The caller's id (`businessTaskId`).
        vendor_id: The vendor's own id (`taskId`).
        tool: The tool's name.
        outcome: None while the work is under way.
        visible_at: From then on callers may see the outcome; until then the task looks pending.
    """

    business_id: str
    vendor_id: str
    tool: str
    outcome: Outcome | None = None
    visible_at: float = 0.0
    epoch: int = 0

    def seen_at(self, now: float) -> Outcome | None:
        """Return the outcome as a caller sees it at `now`; None is pending."""
        return self.outcome if now >= self.visible_at else None


@dataclass(slots=True)
class Call:
    """One request, as the log shows it.

    Attributes:
        at: When it arrived.
        kind: Of a tool, for a task, or for a list.
        business_id: Empty if the body could not be read.
        status: The HTTP status of the answer; None while it is under way or if the connection was cut.
        fault: The fault that was applied, if any (`over_limit` for the sandbox's own rate limit).
    """

    at: float
    kind: Kind
    business_id: str
    status: int | None = None
    fault: str | None = None
    epoch: int = 0


@dataclass(slots=True)
class Stats:
    """The sandbox's counts since the start or the last reset.

    Attributes:
        calls: Swap calls that arrived, refused ones included.
        queries: Queries for tasks that arrived, refused ones included.
        lists: Calls for a list, refused ones included.
        executed: Accepted swap calls whose work was done, whatever came out.
        billed: Those of them that succeeded.
        failed: Those of them that ended in status 2; not billed.
        duplicates: Billings beyond the first of a business id: money spent twice.
        duplicate_ids: The first few business ids that were billed more than once.
        over_limit: Calls of both kinds refused by the sandbox's own rate limit.
        in_flight: Calls under way now.
        max_in_flight: The most calls that were ever under way at once.
        statuses: Answers by HTTP status; `none` counts cut connections.
        faults: Calls by the fault that was applied to them.
        callbacks: Callbacks that were taken.
        callbacks_refused: Tries of callbacks that were not.
    """

    calls: int = 0
    queries: int = 0
    lists: int = 0
    executed: int = 0
    billed: int = 0
    failed: int = 0
    duplicates: int = 0
    duplicate_ids: list[str] = field(default_factory=list)
    over_limit: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    callbacks: int = 0
    callbacks_refused: int = 0
