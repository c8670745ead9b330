"""The Celery tasks: a message comes in, what its attempt came to goes out in Celery's own terms."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn

from celery.exceptions import Ignore, Retry

from swapjobs.celery import SwapFailed
from swapjobs.contract.lifecycle import Event, JobState
from swapjobs.store import celery_message
from swapjobs.store.claims import NotClaimed
from swapjobs.store.redis_client import REDIS_AWAY
from swapworker.app import app, runtime
from swapworker.celery_adapter.redaction import RedactedTask
from swapworker.celery_adapter.result_backend import VendorTrouble, WebhookUndelivered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swapworker.attempt.executor import Report


@app.task(
    name=celery_message.SWAP_TASK,
    bind=True,
    base=RedactedTask,
    throws=(SwapFailed,),
)  # type: ignore[untyped-decorator]  # celery is untyped
def swap(self: Any) -> str:
    """Make an attempt at the job of this message; tasks that products send become jobs before (`process/intake.py`)."""
    with _redis_may_be_away():
        report = runtime().attempts.run(self.request.id, self.request.hostname or "")
    return _not_claimed(self, report) if isinstance(report, NotClaimed) else _outcome(self, report)


@app.task(name=celery_message.DELIVER_TASK, bind=True, base=RedactedTask, throws=(WebhookUndelivered,))  # type: ignore[untyped-decorator]  # celery is untyped
def deliver(self: Any) -> str:
    """Try to deliver the webhook of this message's job."""
    with _redis_may_be_away():
        tried = runtime().deliveries.run(self.request.id.removesuffix(celery_message.WEBHOOK_SUFFIX))
    if tried is None:
        raise Ignore
    if tried.state == "delivered":
        return tried.state
    if tried.state == "undelivered":
        raise WebhookUndelivered(tried.reason)
    raise Retry(tried.reason, exc=VendorTrouble(tried.reason), when=tried.again_s)


@app.task(name=celery_message.READ_TASK, bind=True, base=RedactedTask)  # type: ignore[untyped-decorator]  # celery is untyped
def read(self: Any) -> str:
    """Ask the vendor what this message's client wants to know."""
    with _redis_may_be_away():
        return runtime().reads.run(self.request.id)


@contextmanager
def _redis_may_be_away() -> Iterator[None]:
    """Let a message go that could not be used; the dispatcher publishes it again, or its lease runs out."""
    try:
        yield
    except REDIS_AWAY as error:
        why = f"Redis cannot be reached: {type(error).__name__}"
        raise Retry(why, exc=VendorTrouble(why), when=None) from None


def _outcome(task: Any, report: Report) -> str:
    decision = report.decision
    reason = f"{decision.code}: {decision.message}" if decision.code else decision.message
    if report.answer == "uncharged":
        raise Retry(f"vendor_outage: {reason}", exc=VendorTrouble("vendor_outage"), when=None)
    if report.answer == "failed":
        raise SwapFailed(reason)
    if report.answer != "ok":
        # Another claim happened, or the job was cancelled meanwhile: what this attempt found is not the job's state.
        _send_end_event(task, report.answer)
        raise Ignore
    if decision.event is Event.SUCCEED:
        return JobState.SUCCEEDED.value
    if decision.event is Event.FAIL:
        raise SwapFailed(reason)
    raise Retry(reason, exc=VendorTrouble(reason or str(decision.patch.get("reason"))), when=decision.delay_s)


_BACK_IN_QUEUE: Final = {
    "busy": "rate_limit: no slot near enough",
    "rate_limit": "rate_limit: the vendor asked for a pause",
    "paused_manually": "dispatch is paused",
    "stopping": "the worker stops",
    "outage": "vendor_outage: the breaker is open",
    "batch_held": "its batch is paused or being cancelled",
}


def _not_claimed(task: Any, answer: NotClaimed) -> NoReturn:
    why = _BACK_IN_QUEUE.get(answer.reason)
    if why:
        raise Retry(why, exc=VendorTrouble(why), when=None)
    _send_end_event(task, answer.reason)
    raise Ignore


def _send_end_event(task: Any, state: str) -> None:
    """Let Flower show REVOKED where the job was cancelled or expired; `late` is a picture that came after that."""
    if state in {JobState.CANCELLED, JobState.EXPIRED, "late"}:
        task.send_event("task-revoked", terminated=False, signum=None, expired=state == JobState.EXPIRED)
