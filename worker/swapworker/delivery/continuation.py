"""What a product's own Celery app is told of the end of its task; `celery_adapter/product_app.py` tells it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from swapjobs.contract.lifecycle import JobState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swapjobs.store.record import Record


class NotYet(Exception):
    """The product's app is there, but what is to be told has to wait; the text says for what."""


@dataclass(frozen=True, slots=True)
class TaskEnd:
    """How a task ended, in Celery's terms.

    Attributes:
        context: What its message said, see `TaskMessage.context`.
        state: Celery's.
        result: The job as JSON where it succeeded.
        reason: Else why not, `code: message`; of a revoked one `cancelled`, `expired` or `revoked`.
    """

    context: Mapping[str, Any]
    state: Literal["SUCCESS", "FAILURE", "REVOKED"]
    result: Mapping[str, Any] | None = None
    reason: str = ""


def end_of(told: str, job: Record | None) -> TaskEnd:
    """Return the end of the task whose continuation, or refusal, is `told`."""
    context = json.loads(told)
    if job is None:
        refused = context["refused"]
        return TaskEnd(context["context"], refused["state"], reason=refused["reason"])
    seen = job.to_job()
    if seen.state is JobState.SUCCEEDED:
        return TaskEnd(context, "SUCCESS", result=seen.model_dump(mode="json"))
    if seen.error and seen.state is JobState.FAILED:
        return TaskEnd(context, "FAILURE", reason=f"{seen.error.code}: {seen.error.message}")
    return TaskEnd(context, "REVOKED", reason=seen.state.value)


def refusal(context: Mapping[str, Any], state: Literal["FAILURE", "REVOKED"], reason: str) -> str:
    """Return what is kept of a task that became no job."""
    return json.dumps({"context": context, "refused": {"state": state, "reason": reason}}, separators=(",", ":"))
