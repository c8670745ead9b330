"""Asking what became of a call: when to ask again, and what to make of the answers. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.lifecycle import Event, Reason
from swapjobs.contract.vendor_tools.table import TOOLS
from swapjobs.contract.vendor_tools.tool import Patience
from swapworker.attempt.decision import ANSWERED, Decision, backoff, exhausted, fail
from swapworker.vendor_client.outcome import OutcomeUnknown
from swapworker.vendor_client.request import vendor_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from swapjobs.contract.vendor_tools.tool import Tool
    from swapjobs.settings import WorkerSettings
    from swapjobs.store.claims import Claim
    from swapworker.vendor_client.outcome import AccountRefused, NotStarted

_ANSWERS_BEFORE_UNKNOWN: Final = 2
# Besides the time that has passed: the clock may have jumped.
_FAILED_LOOKUPS_BEFORE_GIVING_UP: Final = 5
_VENDOR_ZONE: Final = timezone(timedelta(hours=8))


def poll_again(
    claim: Claim, settings: WorkerSettings, random: Callable[[], float], task_id: str | None = None
) -> Decision:
    """Decide after the vendor said that it works on it: ask again after a while, and not for ever.

    `task_id` is the vendor's own; it is kept where the vendor may have to be asked by it.
    """
    tool, polls = TOOLS.get(claim.job.tool), claim.job.number("polls")
    patience = _patience(tool, settings)
    # Both by the clock and by the pauses that were made, within their jitter: the clock may have jumped.
    pauses_s = sum(_poll_pause_s(number, patience) for number in range(polls))
    if min(_age_s(claim), pauses_s * 1.25) >= patience.give_up_s:
        message = f"the vendor has worked on it for {_age_s(claim):.0f} s without an end"
        return fail(ErrorCode.VENDOR_TIMEOUT, message, retryable=True, next_call="query")
    pause_s = _poll_pause_s(polls, patience)
    known = {"vendor_task": vendor_task(claim, task_id)} if task_id and tool and tool.asks_by_own_id else {}
    return Decision(
        Event.WAIT,
        patch={"polls": polls + 1, "reason": Reason.VENDOR_PROCESSING, "next_call": "query", **ANSWERED, **known},
        schedule="poll",
        delay_s=pause_s * (0.75 + random() / 2),
    )


def _patience(tool: Tool | None, settings: WorkerSettings) -> Patience:
    """Return how a tool's tasks are asked for: seldom where they take hours, or where the vendor calls back."""
    if tool is not None and tool.patience is not None:
        return tool.patience
    base_s, cap_s = settings.poll_base_s, settings.poll_cap_s
    if tool is not None and tool.takes_callback and settings.vendor_callback_url:
        base_s, cap_s = max(base_s, settings.vendor_callback_poll_s), max(cap_s, settings.vendor_callback_poll_s)
    return Patience(base_s, cap_s, settings.poll_give_up_s)


def _poll_pause_s(polls: int, patience: Patience) -> float:
    pause_s: float = min(patience.base_s * 1.5 ** min(polls, 64), patience.cap_s)
    return pause_s


def ask_later(
    outcome: NotStarted | OutcomeUnknown | AccountRefused,
    claim: Claim,
    settings: WorkerSettings,
    random: Callable[[], float],
) -> Decision:
    """Decide after a query that told nothing of the task: ask again; after long enough give the look-up up.

    Then it is sent again only where nothing ever came back that may have been its outcome.
    """
    failed_lookups = claim.job.number("failed_lookups") + 1
    failed_since = min(claim.job.number("failed_lookups_since") or claim.now_ms, claim.now_ms)
    answered = claim.job.number("answered") or (isinstance(outcome, OutcomeUnknown) and outcome.answered)
    code, message = outcome.code, f"the task query brought no answer: {outcome.message}"
    if (
        failed_lookups >= _FAILED_LOOKUPS_BEFORE_GIVING_UP
        and claim.now_ms - failed_since >= settings.lookup_give_up_s * 1000
    ):
        if answered:
            what = f"the vendor answers, but not so that it can be read, and may have done it: {outcome.message}"
            return fail(ErrorCode.BAD_RESPONSE, what, retryable=True, next_call="query")
        if claim.job.number("polls"):
            # The vendor has it: sending it again would certainly be paid twice.
            return fail(ErrorCode.VENDOR_TIMEOUT, message, retryable=True, next_call="query")
        return _send_again(claim, settings, message, maybe_paid=True)
    patch: dict[str, str | int] = {"reason": Reason.RETRY, "next_call": "query"}
    return Decision(
        Event.WAIT,
        patch=patch
        | {"failed_lookups": failed_lookups, "failed_lookups_since": failed_since}
        | ({"answered": 1} if answered else {}),
        schedule="retry",
        delay_s=max(backoff(failed_lookups, settings, random), settings.retry_base_s / 2),
        code=code,
        message=message,
    )


def send_again_or_ask_twice(claim: Claim, settings: WorkerSettings, random: Callable[[], float]) -> Decision:
    """Decide after the vendor said that it does not know the task.

    That counts only when asked at least one call timeout after the send, and twice: a request still under way may
    not be known yet; more often where there are more ways to ask. It counts little where the vendor has known the task
    before, or where the month has changed, since it tells of the current month's tasks only. It counts nothing where
    the vendor has acknowledged the task, and a result of such a task has never been seen: then it is asked on.
    """
    tool = TOOLS.get(claim.job.tool)
    too_early_s = settings.call_timeout_s - _age_s(claim)
    unknown_answers = claim.job.number("unknown_answers") + (1 if too_early_s <= 0 else 0)
    if tool is not None and not tool.answers_at_once and claim.job.number("polls") > 0:
        decision = poll_again(claim, settings, random)
        return replace(decision, patch={**decision.patch, "unknown_answers": unknown_answers})
    ways = len(tool.query.ways) if tool is not None and tool.query else 1
    if unknown_answers < max(_ANSWERS_BEFORE_UNKNOWN, ways):
        return Decision(
            Event.WAIT,
            patch={
                "reason": Reason.RETRY,
                "next_call": "query",
                **ANSWERED,
                "unknown_answers": unknown_answers,
                **({"sent_at": claim.now_ms} if claim.job.number("sent_at") > claim.now_ms else {}),
            },
            schedule="retry",
            delay_s=max(too_early_s, settings.poll_base_s),
            message="not known to the vendor yet",
        )
    doubtful = claim.job.number("polls") > 0 or _month(claim.job.number("sent_at")) != _month(claim.now_ms)
    return _send_again(claim, settings, "not known to the vendor", maybe_paid=doubtful)


def _send_again(claim: Claim, settings: WorkerSettings, message: str, *, maybe_paid: bool) -> Decision:
    attempts = claim.job.number("attempts") + (1 if maybe_paid else 0)
    if attempts >= settings.max_attempts:
        unsure: dict[str, str | int] = {"next_call": "query"} if maybe_paid else {}
        return exhausted(ErrorCode.ATTEMPTS_EXHAUSTED, attempts, (None, message), settings, unsure)
    patch: dict[str, str | int] = {
        "attempts": attempts,
        "reason": Reason.RETRY,
        "next_call": "swap",
        "polls": 0,
        "answered": 0,
        **ANSWERED,
    }
    if maybe_paid:
        patch["maybe_paid_twice"] = claim.job.number("maybe_paid_twice") + 1
    return Decision(Event.WAIT, patch=patch, message=f"{message}: it is sent again")


def _age_s(claim: Claim) -> float:
    return max(claim.now_ms - claim.job.number("sent_at", claim.now_ms), 0) / 1000


def _month(time_ms: int) -> tuple[int, int]:
    time = datetime.fromtimestamp(time_ms / 1000, _VENDOR_ZONE)
    return time.year, time.month
