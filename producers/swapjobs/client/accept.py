"""What `accept` makes of a submit's outcome, whether it went to Redis by itself or together with those of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swapjobs import tracing
from swapjobs.contract.errors import BatchClosed, IdempotencyConflict

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from swapjobs.contract.job import Job
    from swapjobs.contract.request import Request
    from swapjobs.store.group_submit import Submitted


def submitting(request: Request) -> AbstractContextManager[tracing.Span]:
    """Make the span of one submit."""
    return tracing.span("submit", "producer", tenant=request.tenant, tool=request.tool)


def note(span: tracing.Span, submitted: Submitted) -> None:
    """Note on a submit's span what became of it."""
    span.note(outcome=submitted.outcome, job=submitted.record.id if submitted.record else None)


def accepted(request: Request, submitted: Submitted) -> tuple[Job, bool]:
    """Return the job that a request has now, and whether it is new.

    Raises:
        BatchClosed: its batch takes no more jobs.
        IdempotencyConflict: its id was used before for another request.
    """
    outcome, job = submitted.outcome, submitted.record
    if outcome == "closed" or job is None:
        raise BatchClosed(f"batch {request.batch_id!r} is closed, it takes no more jobs; another id is another batch")
    if outcome == "conflict":
        raise IdempotencyConflict(IdempotencyConflict.text_of(request.business_task_id, request.tenant), job_id=job.id)
    return job.to_job(), outcome == "created"
