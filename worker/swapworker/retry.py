"""What follows from an outcome: one pure function. Time and randomness are arguments.

What the record keeps for it, besides `attempts`:

| field              | set                                              | cleared                     |
|--------------------|--------------------------------------------------|-----------------------------|
| `step`             | by every decision: what the next claim does;     | at the end                  |
|                    | by the claim itself to `query`: it may have sent |                             |
| `sent_at`          | by a claim that sends                            | at the end                  |
| `polls`            | + 1 when the vendor says that it works on it     | when it is sent again       |
| `questions`        | + 1 when the vendor says that it does not know it| by any other answer         |
| `misses`,          | + 1 when a query had no answer;                  | by any answer               |
| `missed_since`     | when the first of them was asked                 |                             |
| `maybe_paid_twice` | + 1 when it is sent again without an answer      | never                       |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final, assert_never

from swapjobs import record
from swapjobs.errors import ErrorCode
from swapjobs.lifecycle import Event, Reason
from swapworker.outcome import (
    AccountRefused,
    Failed,
    NotKnown,
    Outcome,
    Pending,
    Succeeded,
    Throttled,
    TryAgain,
    Unseen,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swapjobs.settings import WorkerSettings
    from swapjobs.store import Claim, WakeKind

_THROTTLED_PAUSE_S: Final = 1.0
_REFUSED_PAUSE_S: Final = 30.0
_REFUSALS_THAT_CLOSE_THE_LINE: Final = 3
_QUESTIONS_BEFORE_UNKNOWN: Final = 2
_ANSWERED: Final = {"questions": 0, "misses": 0, "missed_since": 0}
_VENDOR_ZONE: Final = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True)
class Decision:
    """What to write: the event, changed fields, a history line, when to look again, how long the fleet pauses."""

    event: Event
    patch: Mapping[str, str | int] = field(default_factory=dict)
    entry: str = ""
    wake: WakeKind = ""
    delay_s: float = 0.0
    pause_s: float = 0.0
    code: ErrorCode | None = None
    message: str = ""


def backoff(failures: int, settings: WorkerSettings, random: Callable[[], float]) -> float:
    """Return seconds to wait after so many failures: full jitter below base x 2^(failures - 1), capped."""
    ceiling: float = min(settings.retry_base_s * 2 ** min(failures - 1, 32), settings.retry_cap_s)
    return ceiling * random()


def decide(  # noqa: C901, PLR0911 - one case for each outcome, that is the point
    outcome: Outcome, claim: Claim, settings: WorkerSettings, random: Callable[[], float], *, refusals: int = 0
) -> Decision:
    """Turn what one request came to into what is written.

    `refusals` is how many different jobs had their credentials or quota refused since the last success.
    """
    match outcome:
        case Succeeded(output_url, task_id):
            return Decision(Event.SUCCEED, entry=record.entry("result", output_url=output_url, vendor_task_id=task_id))
        case Failed(code, message, retryable):
            return _fail(code, message, retryable=retryable)
        case Pending():
            return _poll(claim, settings, random)
        case NotKnown():
            return _send_again_or_ask_twice(claim, settings)
        case TryAgain(code, message) | Unseen(code, message) | AccountRefused(code, message) if claim.step == "query":
            return _ask_later(code, message, claim, settings, random)
        case TryAgain(code, message):
            return _charge(code, message, claim, settings, random, step="send")
        case Unseen(code, message):
            return _charge(code, message, claim, settings, random, step="query")
        case Throttled(message, retry_after_s):
            pause_s = retry_after_s if retry_after_s is not None else _THROTTLED_PAUSE_S * (0.5 + random())
            return _hold(Reason.RATE_LIMIT, ErrorCode.RATE_LIMITED, message, claim, pause_s)
        case AccountRefused(code, message) if refusals >= _REFUSALS_THAT_CLOSE_THE_LINE:
            return _hold(Reason.VENDOR_OUTAGE, code, message, claim, _REFUSED_PAUSE_S)
        case AccountRefused(code, message):
            # Perhaps this job's own fault (a forbidden picture): it is charged, and fails as such.
            last = ErrorCode.REJECTED_BY_VENDOR
            return _charge(code, message, claim, settings, random, step="send", code_when_exhausted=last)
        case _:
            assert_never(outcome)


def _fail(code: ErrorCode, message: str, *, retryable: bool) -> Decision:
    entry = record.entry("error", code=code, message=message, retryable=retryable)
    return Decision(Event.FAIL, entry=entry, code=code, message=message)


def _charge(
    code: ErrorCode,
    message: str,
    claim: Claim,
    settings: WorkerSettings,
    random: Callable[[], float],
    *,
    step: str,
    code_when_exhausted: ErrorCode = ErrorCode.ATTEMPTS_EXHAUSTED,
) -> Decision:
    attempts = claim.job.number("attempts") + 1
    # A call whose outcome is unknown is not given up before the vendor was asked: that may have been paid for.
    if attempts >= settings.max_attempts and step == "send":
        return _fail(code_when_exhausted, f"{attempts} attempts failed; the last: {code}: {message}", retryable=True)
    return Decision(
        Event.WAIT,
        patch={"attempts": attempts, "reason": Reason.RETRY, "step": step, **_ANSWERED},
        entry=record.entry("attempt", at=claim.now_ms, number=attempts, code=code, message=message),
        wake="retry",
        delay_s=backoff(attempts, settings, random),
        code=code,
        message=message,
    )


def _poll(claim: Claim, settings: WorkerSettings, random: Callable[[], float]) -> Decision:
    if _age_s(claim) >= settings.poll_give_up_s:
        message = f"the vendor has worked on it for {_age_s(claim):.0f} s without an end"
        return _fail(ErrorCode.VENDOR_TIMEOUT, message, retryable=True)
    polls = claim.job.number("polls")
    pause_s = min(settings.poll_base_s * 1.5 ** min(polls, 64), settings.poll_cap_s)
    return Decision(
        Event.WAIT,
        patch={"polls": polls + 1, "reason": Reason.VENDOR_PROCESSING, "step": "query", **_ANSWERED},
        wake="poll",
        delay_s=pause_s * (0.75 + random() / 2),
    )


def _ask_later(
    code: ErrorCode, message: str, claim: Claim, settings: WorkerSettings, random: Callable[[], float]
) -> Decision:
    """Decide after a query that brought no answer: ask again; after long enough give the look-up up."""
    misses = claim.job.number("misses") + 1
    missed_since = claim.job.number("missed_since") or claim.now_ms
    message = f"the task query brought no answer: {message}"
    if claim.now_ms - missed_since >= settings.lookup_give_up_s * 1000:
        if claim.job.number("polls"):
            # The vendor has it: sending it again would certainly be paid twice.
            return _fail(ErrorCode.VENDOR_TIMEOUT, message, retryable=True)
        return _send_again(claim, settings, message, maybe_paid=True)
    return Decision(
        Event.WAIT,
        patch={"reason": Reason.RETRY, "step": "query", "misses": misses, "missed_since": missed_since},
        wake="retry",
        delay_s=max(backoff(misses, settings, random), settings.retry_base_s / 2),
        code=code,
        message=message,
    )


def _send_again_or_ask_twice(claim: Claim, settings: WorkerSettings) -> Decision:
    """Decide after the vendor said that it does not know the task.

    That counts only when asked at least one call timeout after the send, and twice: a request still under way may
    not be known yet. It counts little where the vendor has known the task before, or where the month has changed,
    since it tells of the current month's tasks only.
    """
    too_early_s = settings.call_timeout_s - _age_s(claim)
    questions = claim.job.number("questions") + (1 if too_early_s <= 0 else 0)
    if questions < _QUESTIONS_BEFORE_UNKNOWN:
        return Decision(
            Event.WAIT,
            patch={"reason": Reason.RETRY, "step": "query", **_ANSWERED, "questions": questions},
            wake="retry",
            delay_s=max(too_early_s, settings.poll_base_s),
            message="not known to the vendor yet",
        )
    doubtful = claim.job.number("polls") > 0 or _month(claim.job.number("sent_at")) != _month(claim.now_ms)
    return _send_again(claim, settings, "not known to the vendor", maybe_paid=doubtful)


def _send_again(claim: Claim, settings: WorkerSettings, message: str, *, maybe_paid: bool) -> Decision:
    attempts = claim.job.number("attempts") + (1 if maybe_paid else 0)
    if attempts >= settings.max_attempts:
        return _fail(ErrorCode.ATTEMPTS_EXHAUSTED, f"{attempts} attempts failed; the last: {message}", retryable=True)
    patch: dict[str, str | int] = {
        "attempts": attempts,
        "reason": Reason.RETRY,
        "step": "send",
        "polls": 0,
        **_ANSWERED,
    }
    if maybe_paid:
        patch["maybe_paid_twice"] = claim.job.number("maybe_paid_twice") + 1
    return Decision(Event.WAIT, patch=patch, message=f"{message}: it is sent again")


def _hold(reason: Reason, code: ErrorCode, message: str, claim: Claim, pause_s: float) -> Decision:
    """Pause the whole fleet; the job waits with it, does then what it was to do now, and is not charged."""
    return Decision(
        Event.WAIT,
        patch={"reason": reason, "step": claim.step},
        wake="retry",
        delay_s=pause_s,
        pause_s=pause_s,
        code=code,
        message=message,
    )


def _age_s(claim: Claim) -> float:
    return (claim.now_ms - claim.job.number("sent_at", claim.now_ms)) / 1000


def _month(time_ms: int) -> tuple[int, int]:
    time = datetime.fromtimestamp(time_ms / 1000, _VENDOR_ZONE)
    return time.year, time.month
