"""The Celery result backend: a thin read view of the job's record, not a second truth."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from celery.backends.base import BaseBackend
from celery.exceptions import TaskRevokedError
from celery.exceptions import TimeoutError as CeleryTimeoutError

from swapjobs.celery import SwapFailed
from swapjobs.contract.errors import JobGone, JobNotFound, WaitTimeout
from swapjobs.contract.lifecycle import CELERY_STATE, JobState

if TYPE_CHECKING:
    from swapjobs.client.swap_client import SwapClient
    from swapjobs.contract.job import Job


class VendorTrouble(Exception):
    """Why an attempt is made again: shown by Flower beside RETRY."""


class WebhookUndelivered(Exception):
    """The webhook was given up: the job's own result is not touched."""


class RecordBackend(BaseBackend):  # type: ignore[misc]  # celery is untyped
    """`AsyncResult(job_id, app=...).get()` returns the `Job` as a dict, or raises as Celery does.

    What workers would store is ignored: the record was written before.
    """

    supports_autoexpire = True
    persistent = True

    def _client(self) -> SwapClient:
        return self.app.swap_client()  # type: ignore[no-any-return]  # celery is untyped

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        try:
            return _meta(self._client().get(task_id))
        except JobNotFound:
            # Perhaps a plain Celery producer's message that no worker has recorded yet.
            return {"task_id": task_id, "status": "PENDING", "result": None}

    def get_task_meta(self, task_id: str, cache: bool = True) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002 - Celery's signature
        """Return Celery's view of the job as it stands now."""
        return self._get_task_meta_for(task_id)

    def wait_for(
        self,
        task_id: str,
        timeout: float | None = None,
        interval: float = 0.5,
        no_ack: bool = True,  # noqa: ARG002, FBT001, FBT002 - Celery's signature
        on_interval: Any = None,
    ) -> dict[str, Any]:
        """Wait until the job is final; told by Redis, without polling."""
        deadline = time.monotonic() + (timeout if timeout is not None else float("inf"))
        while True:
            left = min(deadline - time.monotonic(), 60.0)
            if left <= 0:
                raise CeleryTimeoutError("The operation timed out.")
            try:
                return _meta(self._client().wait(task_id, left))
            except WaitTimeout:
                pass
            except JobGone:
                raise
            except JobNotFound:
                time.sleep(min(interval, left))
            if on_interval:
                on_interval()

    def store_result(self, task_id: str, result: Any, state: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002 - Celery's signature
        """Store nothing: the record is the truth."""
        return result

    def _forget(self, task_id: str) -> None:
        """Forget nothing: finished records expire by themselves."""


def _meta(job: Job) -> dict[str, Any]:
    result: Any = job.model_dump(mode="json")
    if job.state is JobState.FAILED and job.error:
        result = SwapFailed(f"{job.error.code}: {job.error.message}")
    elif job.state in {JobState.CANCELLED, JobState.EXPIRED}:
        result = TaskRevokedError(job.state.value)
    return {
        "task_id": job.id,
        "status": CELERY_STATE[job.state],
        "result": result,
        "date_done": job.finished_at.isoformat() if job.finished_at else None,
        "children": [],
        "traceback": None,
    }
