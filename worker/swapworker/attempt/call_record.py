"""What is kept of one call to the vendor: history's entry, labels of the metrics, spans, a line in the log.

In the log what goes without saying is left out, for there are many lines: the tenant `default`, the first attempt, a
swap's call, no wait for a slot, an id at the vendor that is the product's own.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from swapjobs import logs, tracing
from swapjobs.contract.lifecycle import Event
from swapjobs.store import record
from swapjobs.store.attempt_log import number_of
from swapworker.vendor_client.outcome import result_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from swapjobs.store.claims import Claim
    from swapworker.attempt.decision import Decision
    from swapworker.vendor_client.outcome import Outcome

_logger: Final = logging.getLogger("swapjobs.attempt")
_LONGEST: Final = 200  # of a message
_OK: Final = 200
_AS_HOPED: Final = frozenset({"succeeded", "pending"})


def history_entry(decision: Decision, claim: Claim, outcome: Outcome, now_ms: int, worker: str) -> str:
    """Return the line for the history: what was decided, with the facts of the call; see `attempt_log.py`.

    A job that ends well at its first attempt keeps no more than what its other fields do not say: there may be millions
    of them, and the log has their workers.
    """
    if not decision.entry:
        return ""
    sent_at = claim.job.number("sent_at", now_ms)
    if decision.event is Event.SUCCEED and len(claim.job.history) == 1:
        return record.entry(**decision.entry, at=sent_at if sent_at != claim.job.number("started_at") else None)
    goes_without_saying = decision.event is Event.SUCCEED and outcome.http_status == _OK
    status = None if goes_without_saying else outcome.http_status
    facts: dict[str, Any] = {"at": sent_at, "duration_ms": max(now_ms - sent_at, 0), "status": status}
    return record.entry(**decision.entry, **facts, worker=worker or None)


def metrics_labels(claim: Claim, outcome: Outcome) -> str:
    """Return as what the metrics count a call: `tool call result`."""
    return f"{claim.job.tool} {claim.call} {result_of(outcome)}"


def span_of(claim: Claim, worker: str) -> AbstractContextManager[tracing.Span]:
    """Return the attempt's span, in the trace in which its job was submitted."""
    job = claim.job
    facts = {"job": job.id, "tenant": job.fields["tenant"], "worker": worker}
    return tracing.span("attempt", "consumer", origin=job.origin, **facts)


def note(span: tracing.Span, outcome: Outcome) -> None:
    """Note on the call's span what came of it."""
    result = result_of(outcome)
    span.note(result=result, http_status=outcome.http_status)
    if result not in _AS_HOPED:
        span.fail(result)


def log(
    claim: Claim,
    vendor_id: str,
    outcome: Outcome,
    decision: Decision,
    answer: str,
    *,
    times: tuple[float, float, float],
) -> None:
    """Log an attempt; `answer` is the store's to its outcome, `times` when it was claimed, asked and answered (s)."""
    claimed_at, asked_at, answered_at = times
    job, is_on_time = claim.job, answer in {"ok", "failed", "uncharged"}
    level = logging.INFO if is_on_time else logging.WARNING
    if not _logger.isEnabledFor(level):
        return
    own_id, tenant, number = job.business_id, job.fields["tenant"], number_of(job.history, job.number("sent_at"))
    slot_ms = int((asked_at - claimed_at) * 1000)
    logs.event(
        _logger,
        "attempt",
        level=level,
        job=job.id,
        own_id=own_id,
        tenant=tenant if tenant != "default" else None,
        attempt=number if number > 1 else None,
        call=claim.call if claim.call != "swap" else None,
        outcome=_outcome(decision, answer) if is_on_time else answer,
        code=decision.code,
        vendor=result_of(outcome) if decision.event is Event.WAIT else None,
        message=decision.message[:_LONGEST] or None,
        queue_ms=_queue_ms(claim),
        slot_ms=slot_ms or None,
        call_ms=int((answered_at - asked_at) * 1000),
        again_ms=int(decision.delay_s * 1000) if decision.event is Event.WAIT and answer == "ok" else None,
        vendor_id=vendor_id if vendor_id != own_id else None,
        request_id=job.request.get("request_id"),
        trace_id=tracing.trace_id_of(tracing.current()),
    )


def _outcome(decision: Decision, answer: str) -> str:
    if answer == "failed" or decision.event is Event.FAIL:
        return "failed"
    if decision.event is Event.SUCCEED:
        return "succeeded"
    return "pending" if decision.schedule == "poll" else "retry"


def _queue_ms(claim: Claim) -> int | None:
    """Return how long the job stood in its queue before this claim, since it was due; None where nobody knows."""
    job = claim.job
    due = job.number("next_attempt_at")
    if not due and job.number("started_at") == claim.now_ms:  # the first attempt, perhaps of a new round
        retried = job.last("retry")
        due = retried["at"] if retried else job.number("created_at")
    return max(claim.now_ms - due, 0) if due else None
