"""What one request to the vendor came to, as values.

A reply becomes an outcome at one boundary (`read_reply.py`); `retry_policy.decide` turns it into what to write.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from swapjobs.contract.errors import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swapjobs.contract.output import Output

VendorSignal = Literal["answer", "too_fast", "failure", "outage", "credentials_rejected", "quota_exhausted", ""]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What all have in common: the HTTP status of the reply, if there was one. It is for people and decides nothing."""

    http_status: int | None = field(default=None, kw_only=True, compare=False)


@dataclass(frozen=True, slots=True)
class Succeeded(_Outcome):
    """The result is there."""

    outputs: tuple[Output, ...]
    task_id: str | None = None


@dataclass(frozen=True, slots=True)
class Failed(_Outcome):
    """A seen, final failure: sending the same again cannot help (or, `retryable`, only the user can tell).

    With `raw` the vendor did the swap, and charged for it, but what it sent for the picture's URL can't be used.
    """

    code: ErrorCode
    message: str
    retryable: bool = False
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class Pending(_Outcome):
    """The vendor has the task and works on it: ask again later."""

    task_id: str | None = None


@dataclass(frozen=True, slots=True)
class NotStarted(_Outcome):
    """The request was refused or never reached the vendor: nothing was started, the same may be sent again.

    `vendor_wide`: no request could have fared better, so it is no fault of this job's.
    """

    code: ErrorCode
    message: str
    vendor_wide: bool = False


@dataclass(frozen=True, slots=True)
class OutcomeUnknown(_Outcome):
    """The request may have been carried out, but its outcome was not seen: look it up before sending again.

    `answered`: something came back that may be the outcome, but can't be read. Then it is never sent again.
    """

    code: ErrorCode
    message: str
    vendor_wide: bool = False
    answered: bool = False


@dataclass(frozen=True, slots=True)
class TaskUnknown(_Outcome):
    """The answer to a query: the vendor does not know this task."""


@dataclass(frozen=True, slots=True)
class Throttled(_Outcome):
    """The vendor says: not so fast, or (`vendor_wide`) not now. The fleet pauses; nothing is charged to the job."""

    message: str
    retry_after_s: float | None = None
    vendor_wide: bool = False


@dataclass(frozen=True, slots=True)
class AccountRefused(_Outcome):
    """Credentials or quota: no fault of this job. `code` is credentials_rejected or quota_exhausted."""

    code: ErrorCode
    message: str


@dataclass(frozen=True, slots=True)
class ListReply:
    """What came of asking for a list: `data` as it came, or what is the matter; `result` is for the metrics."""

    data: Any = None
    problem: str = ""
    pause_s: float = 0.0
    result: str = "succeeded"


_RESULTS: Final[Mapping[type[_Outcome], str]] = {
    Succeeded: "succeeded",
    Failed: "failed",
    Pending: "pending",
    NotStarted: "not_started",
    OutcomeUnknown: "outcome_unknown",
    TaskUnknown: "task_unknown",
    Throttled: "throttled",
    AccountRefused: "account_refused",
}

Outcome = Succeeded | Failed | Pending | NotStarted | OutcomeUnknown | TaskUnknown | Throttled | AccountRefused


def result_of(outcome: Outcome) -> str:
    """Return how the metrics call it: `succeeded`, `failed`, `pending`, `not_started`, `outcome_unknown`, ..."""
    return _RESULTS[type(outcome)]


def signal_of(outcome: Outcome) -> VendorSignal:  # noqa: PLR0911 - one case for each outcome
    """Return what an outcome says of the vendor's health, for the breaker (lua/breaker.lua)."""
    match outcome:
        case AccountRefused(code=ErrorCode.QUOTA_EXHAUSTED):
            return "quota_exhausted"
        case AccountRefused():
            return "credentials_rejected"
        case NotStarted(code=ErrorCode.INTERNAL) | OutcomeUnknown(code=ErrorCode.INTERNAL):
            return ""  # our own fault
        case Failed(code=ErrorCode.INVALID_REQUEST | ErrorCode.VENDOR_TIMEOUT):
            return ""  # no call was made
        case NotStarted() | OutcomeUnknown():
            return "outage" if outcome.vendor_wide else "failure"
        case Throttled(vendor_wide=True):
            return "outage"
        case TaskUnknown():
            return ""  # where calls fail, look-ups of them are answered so, and would hide it
        case Throttled():
            return "too_fast"
        case _:
            return "answer"
