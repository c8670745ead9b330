"""Operations: one action on all jobs that fit a filter, durable, with its progress."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.operation import OperationRequest
from swapjobs.store.redis_client import queue_errors

if TYPE_CHECKING:
    import builtins

    from swapjobs.contract.operation import Operation
    from swapjobs.store.store import Store

PATIENCE_S: Final = 1.0


class Operations:
    """What is done to all jobs that fit a filter: `client.operations`.

    It goes through the jobs that are there now, some at a time, and all that is left to do stands in Redis: the workers
    go on, whatever becomes of who began it. For up to `patience_s` seconds the caller makes the steps.

    Raises (every method):
        QueueUnavailable: Redis cannot be reached.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def start(self, kind: str, *, patience_s: float = PATIENCE_S, **filters: Any) -> Operation:
        """Begin an operation and return it.

        Args:
            kind: `retry`, `cancel` or `forget`.
            patience_s: How long to take part in it.
            filters: `tenant` ("default"; None: everybody's jobs), `batch_id`, `state`, `error_code`, `tool`,
                `created_after`, `created_before` (aware datetimes): all that is given must hold. `dry_run`: only count.

        Raises:
            InvalidRequest: something of it is not valid, or it can fit no job.
        """
        request = OperationRequest.parse({"kind": kind, **filters})
        with queue_errors():
            id_ = self._store.operations.start(request)
            if not request.dry_run:
                given = request.model_dump(mode="json", exclude={"tenant"}, exclude_none=True)
                self._store.audit.note("operation.start", tenant=request.tenant, target=id_, detail=given)
        return self.follow(id_, patience_s=patience_s)

    def follow(self, operation_id: str, *, patience_s: float = PATIENCE_S) -> Operation:
        """Take part in it for so long, or until it is over, and return how far it is.

        Raises:
            OperationNotFound: there is none with this id.
        """
        until = time.monotonic() + patience_s
        with queue_errors():
            while time.monotonic() < until and self._store.operations.step(operation_id) == "more":
                pass
            return self._store.operations.get(operation_id)

    def get(self, operation_id: str) -> Operation:
        """Return how far it is.

        Raises:
            OperationNotFound: there is none with this id, or it was over 90 days ago.
        """
        with queue_errors():
            return self._store.operations.get(operation_id)

    def list(self, *, tenant: str | None = None) -> builtins.list[Operation]:
        """Return the newest 200 operations, newest first; with a `tenant` those of them on its jobs alone."""
        with queue_errors():
            return self._store.operations.list(tenant)

    def stop(self, operation_id: str) -> Operation:
        """Do no more of it; what is done stays so.

        Raises:
            OperationNotFound: there is none with this id.
        """
        with queue_errors():
            if self._store.operations.stop(operation_id) == "ok":
                done = self._store.operations.get(operation_id)
                self._store.audit.note("operation.stop", tenant=done.tenant, target=done.id, number=done.changed)
        return self.get(operation_id)
