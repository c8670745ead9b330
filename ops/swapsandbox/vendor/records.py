"""The words of the sandbox's books: a call, a task, its outcome, the counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from swapjobs.contract.vendor_api import Status


class Kind(StrEnum):
    """The two calls that the vendor knows."""

    SWAP = "swap"
    QUERY = "query"


@dataclass(slots=True, frozen=True)
class Outcome:
    """How a swap ended.

    Attributes:
        output_url: Where the picture is; None means that the swap failed.
        message: The vendor's `msg`.
    """

    output_url: str | None = None
    message: str = "success"

    @property
    def status(self) -> Status:
        """Success if there is a picture, else failure."""
        return Status.FAILURE if self.output_url is None else Status.SUCCESS


@dataclass(slots=True)
class Task:
    """One accepted swap call.

    Attributes:
        business_id: The caller's id (`businessTaskId`).
        vendor_id: The vendor's own id (`taskId`).
        tool: The tool code, e.g. `roop`.
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
        kind: A swap or a query.
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
        queries: `queryTask` calls that arrived, refused ones included.
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
    """

    calls: int = 0
    queries: int = 0
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
