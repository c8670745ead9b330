"""A decision: what is written after an attempt. The kinds that several outcomes share are made here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.lifecycle import Event, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swapjobs.contract.errors import ErrorCode
    from swapjobs.settings import WorkerSettings
    from swapjobs.store.attempts import ScheduleKind
    from swapjobs.store.claims import Call
    from swapworker.vendor_client.outcome import VendorSignal

ANSWERED: Final = {"unknown_answers": 0, "failed_lookups": 0, "failed_lookups_since": 0}


@dataclass(frozen=True, slots=True)
class Decision:
    """What to write: the event, changed fields, a history entry, when to look again, how long the fleet pauses.

    The executor adds to the entry when the call was sent, how long it took, and who made it.

    `signal` is what the breaker learns. If that opens it, nothing of this holds but `next_call_if_uncharged`.
    """

    event: Event
    patch: Mapping[str, str | int] = field(default_factory=dict)
    entry: Mapping[str, Any] = field(default_factory=dict)
    schedule: ScheduleKind = ""
    delay_s: float = 0.0
    pause_s: float = 0.0
    code: ErrorCode | None = None
    message: str = ""
    signal: VendorSignal = ""
    next_call_if_uncharged: Call = "query"


def backoff(failures: int, settings: WorkerSettings, random: Callable[[], float]) -> float:
    """Return seconds to wait after so many failures: full jitter below base x 2^(failures - 1), capped."""
    ceiling: float = min(settings.retry_base_s * 2 ** min(failures - 1, 32), settings.retry_cap_s)
    return ceiling * random()


def fail(
    code: ErrorCode, message: str, *, retryable: bool, next_call: Call = "swap", raw: str | None = None
) -> Decision:
    """Decide that it failed for good; `next_call` is what a retry by the user begins with.

    With `raw`, what the vendor sent for a picture that it made, a retry asks for that again, under the same id.
    """
    patch: dict[str, str | int] = {"next_call": next_call, "code": code}
    if raw is not None:
        patch |= {"next_call": "query", "unusable": 1}
    entry = {"kind": "error", "code": code, "message": message, "retryable": retryable, "raw": raw}
    return Decision(Event.FAIL, patch=patch, entry=entry, code=code, message=message)


def exhausted(
    code: ErrorCode,
    attempts: int,
    last: tuple[ErrorCode | None, str],
    settings: WorkerSettings,
    patch: Mapping[str, str | int],
) -> Decision:
    """Decide that the attempts are used up. It is final when the `last` failure turns out to be no outage's."""
    last_code, last_message = last
    said = f"{last_code}: {last_message}" if last_code else last_message
    message = f"{attempts} attempts failed; the last: {said}"
    return Decision(
        Event.WAIT,
        patch={"attempts": attempts, "reason": Reason.RETRY, "next_call": "swap", "code": code, **patch},
        entry={
            "kind": "error",
            "code": code,
            "message": message,
            "retryable": True,
            "last_code": last_code,
            "last_message": last_message,
        },
        schedule="final_failure",
        delay_s=settings.breaker_window_s,
        code=code,
        message=message,
    )
