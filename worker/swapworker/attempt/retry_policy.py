"""What follows from an outcome: one pure function. Time and randomness are arguments.

What the record keeps for it, besides `attempts`:

| field                  | set                                                  | cleared                     |
|------------------------|------------------------------------------------------|-----------------------------|
| `next_call`            | by every decision: what the next claim does;         | by success                  |
|                        | by the claim itself to `query`: it may have sent     |                             |
| `sent_at`              | by a claim that sends                                | by success                  |
| `polls`                | + 1 when the vendor says that it works on it         | when it is sent again       |
| `unknown_answers`      | + 1 when the vendor says that it does not know it    | by any other answer         |
| `failed_lookups`,      | + 1 when a query had no answer;                      | by any answer               |
| `failed_lookups_since` | when the first of them was asked                     |                             |
| `answered`             | when an answer came that could not be read: from     | when the vendor says that   |
|                        | then on it is not sent again                         | it does not know the task   |
| `vendor_task`          | the vendor's own id, of tools asked for by it        | never                       |
| `maybe_paid_twice`     | + 1 when it is sent again without an answer          | never                       |
| `unusable`             | when it is done, but without a usable picture URL    | by a retry                  |
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, assert_never

from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.lifecycle import Event, Reason
from swapjobs.contract.output import stored
from swapworker.attempt.decision import ANSWERED, Decision, backoff, exhausted, fail
from swapworker.attempt.lookup_policy import ask_later, poll_again, send_again_or_ask_twice
from swapworker.vendor_client.outcome import (
    AccountRefused,
    Failed,
    NotStarted,
    Outcome,
    OutcomeUnknown,
    Pending,
    Succeeded,
    TaskUnknown,
    Throttled,
    signal_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swapjobs.settings import WorkerSettings
    from swapjobs.store.claims import Call, Claim

_THROTTLED_PAUSE_S: Final = 1.0


def decide(outcome: Outcome, claim: Claim, settings: WorkerSettings, random: Callable[[], float]) -> Decision:
    """Turn what one request came to into what is written."""
    nothing_begun = claim.call == "swap" and isinstance(outcome, NotStarted | AccountRefused | Throttled)
    return replace(
        _choose(outcome, claim, settings, random),
        signal=signal_of(outcome),
        next_call_if_uncharged="swap" if nothing_begun else "query",
    )


def _choose(  # noqa: PLR0911 - one case for each outcome, that is the point
    outcome: Outcome, claim: Claim, settings: WorkerSettings, random: Callable[[], float]
) -> Decision:
    match outcome:
        case Succeeded(outputs, task_id):
            entry = {"kind": "result", **stored(outputs), "vendor_task_id": task_id}
            return Decision(Event.SUCCEED, entry=entry)
        case Failed(code, message, retryable, raw):
            return fail(code, message, retryable=retryable, raw=raw)
        case Pending(task_id):
            return poll_again(claim, settings, random, task_id)
        case TaskUnknown():
            return send_again_or_ask_twice(claim, settings, random)
        case NotStarted() | OutcomeUnknown() | AccountRefused() if claim.call == "query":
            return ask_later(outcome, claim, settings, random)
        case NotStarted(code, message):
            return _charge(code, message, claim, settings, random, next_call="swap")
        case OutcomeUnknown(code, message):
            answered = {"answered": 1} if outcome.answered else {}
            return _charge(code, message, claim, settings, random, next_call="query", patch=answered)
        case Throttled(message, retry_after_s):
            # Without a word of how long, the fleet goes on, only slower (lua/shared/vendor/adaptive_rate.lua).
            return _hold(message, claim, retry_after_s or 0, retry_after_s or _THROTTLED_PAUSE_S * (0.5 + random()))
        case AccountRefused(code, message):
            # Perhaps this job's own fault (a forbidden picture): it is charged, and fails as such. The breaker judges.
            last = ErrorCode.REJECTED_BY_VENDOR
            return _charge(code, message, claim, settings, random, next_call="swap", code_when_exhausted=last)
        case _:
            assert_never(outcome)


def _charge(
    code: ErrorCode,
    message: str,
    claim: Claim,
    settings: WorkerSettings,
    random: Callable[[], float],
    *,
    next_call: Call,
    patch: Mapping[str, int] = MappingProxyType({}),
    code_when_exhausted: ErrorCode = ErrorCode.ATTEMPTS_EXHAUSTED,
) -> Decision:
    attempts = claim.job.number("attempts") + 1
    # A call whose outcome is unknown is not given up before the vendor was asked: that may have been paid for.
    if attempts >= settings.max_attempts and next_call == "swap":
        return exhausted(code_when_exhausted, attempts, (code, message), settings, {})
    return Decision(
        Event.WAIT,
        patch={"attempts": attempts, "reason": Reason.RETRY, "next_call": next_call, **ANSWERED, **patch},
        entry={"kind": "attempt", "code": code, "message": message},
        schedule="retry",
        delay_s=backoff(attempts, settings, random),
        code=code,
        message=message,
    )


def _hold(message: str, claim: Claim, pause_s: float, delay_s: float) -> Decision:
    """Pause the whole fleet for `pause_s`; the job does later what it was to do now, and is not charged."""
    return Decision(
        Event.WAIT,
        patch={"reason": Reason.RATE_LIMIT, "next_call": claim.call},
        schedule="retry",
        delay_s=delay_s,
        pause_s=pause_s,
        code=ErrorCode.RATE_LIMITED,
        message=message,
    )
