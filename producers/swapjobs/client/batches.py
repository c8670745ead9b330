"""Batches: jobs that are looked at, paused, cancelled and retried together."""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter

from swapjobs.contract.errors import ErrorCode, InvalidRequest
from swapjobs.contract.filters import MAX_PAGE
from swapjobs.contract.frozen import DEFERRED
from swapjobs.contract.job import Name, checked
from swapjobs.contract.urls import CallbackUrl
from swapjobs.contract.wrong_values import must_be_one_of
from swapjobs.store.batches import batch_of
from swapjobs.store.redis_client import queue_errors

if TYPE_CHECKING:
    import builtins

    from swapjobs.contract.batch import Batch
    from swapjobs.store.batches import Command
    from swapjobs.store.store import Store

PATIENCE_S: Final = 1.0
_NAME: Final[TypeAdapter[str]] = TypeAdapter(Name, config=DEFERRED)
_URL: Final[TypeAdapter[str]] = TypeAdapter(CallbackUrl, config=DEFERRED)


class Batches:
    """The batches of all tenants: `client.batches`.

    A batch is there from the first job with its `batch_id` on, or from `open`. It is kept while one of its jobs is
    unfinished, and then for result_ttl_s, closed or not.

    `resume`, `cancel` and `retry` go through the jobs, some hundreds at a time, and all that is left to do stands in
    Redis. For up to `patience_s` seconds the caller makes the steps, so a batch of some ten thousand jobs is done when
    they return, also while no worker runs; with more, `operation` says so and the workers go on.

    Raises (every method):
        QueueUnavailable: Redis cannot be reached.
        InvalidRequest: a name, URL, code or cursor is not valid.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def open(self, batch_id: str | None = None, *, tenant: str = "default", callback_url: str | None = None) -> Batch:
        """Make a batch and return it; one that is there already stays as it is, but for the `callback_url`.

        Args:
            batch_id: Its id within the tenant; without it one is made up.
            tenant: Whose it is.
            callback_url: `batch.completed` is sent there.

        Raises:
            QueueFull: Redis is at its memory limit.
        """
        batch_id = f"batch-{secrets.token_hex(8)}" if batch_id is None else batch_id
        _check(tenant, batch_id)
        url = checked(_URL, "callback_url", callback_url) if callback_url is not None else ""
        with queue_errors():
            self._store.batches.open(tenant, batch_id, url)
        return self.get(batch_id, tenant=tenant)

    def get(self, batch_id: str, *, tenant: str = "default") -> Batch:
        """Return the batch as it stands now; costs the same for one job and for a million.

        Raises:
            BatchNotFound: there is no such batch.
        """
        _check(tenant, batch_id)
        with queue_errors():
            return batch_of(tenant, batch_id, self._store.batches.get(tenant, batch_id))

    def list(
        self, *, tenant: str = "default", cursor: str | None = None, limit: int = 50
    ) -> tuple[builtins.list[Batch], str | None]:
        """Return batches of the tenant, newest first, and the cursor for more of them, if there may be."""
        _check(tenant)
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidRequest(f"limit: must be from 1 to {MAX_PAGE}", field="limit")
        match = re.fullmatch(r"([0-9]{1,15})~([A-Za-z0-9._-]{1,64})", cursor) if cursor is not None else None
        if cursor is not None and not match:
            raise InvalidRequest("cursor: is not one that a page gave", field="cursor")
        with queue_errors():
            rows = self._store.batches.list(tenant, (int(match[1]), match[2]) if match else None, limit)
        batches = [batch_of(tenant, id_, fields) for id_, _, fields in rows if fields]
        return batches, f"{rows[-1][1]}~{rows[-1][0]}" if len(rows) == limit else None

    def close(self, batch_id: str, *, tenant: str = "default") -> Batch:
        """Let the batch take no more jobs: it is completed once all are final. Closed already, it stays so.

        Raises:
            BatchNotFound: there is no such batch.
        """
        return self._steer(batch_id, tenant, "close")

    def pause(self, batch_id: str, *, tenant: str = "default") -> Batch:
        """Start none of its jobs until `resume`. Those that run go on; new ones are taken, and wait.

        Raises:
            BatchNotFound: there is no such batch.
        """
        return self._steer(batch_id, tenant, "pause")

    def resume(self, batch_id: str, *, tenant: str = "default", patience_s: float = PATIENCE_S) -> Batch:
        """Let its jobs start again, with the places in the queue that they had.

        Raises:
            BatchNotFound: there is no such batch.
        """
        return self._steer(batch_id, tenant, "resume", patience_s=patience_s)

    def cancel(self, batch_id: str, *, tenant: str = "default", patience_s: float = PATIENCE_S) -> Batch:
        """Cancel all its jobs that are not final; none of them starts any more from now on. Ends a `retry`.

        Raises:
            BatchNotFound: there is no such batch.
        """
        return self._steer(batch_id, tenant, "cancel", patience_s=patience_s)

    def retry(
        self,
        batch_id: str,
        *,
        tenant: str = "default",
        error_code: str | None = None,
        patience_s: float = PATIENCE_S,
    ) -> Batch:
        """Queue its failed jobs again; with an `error_code` only those (`expired`: the expired ones).

        Ends a `cancel`. A batch that was completed is closed again, in a new round.

        Raises:
            BatchNotFound: there is no such batch.
        """
        if error_code is not None and error_code not in set(ErrorCode):
            raise InvalidRequest(f"error_code: {must_be_one_of(error_code, ErrorCode)}", field="error_code")
        return self._steer(batch_id, tenant, "retry", error_code or "", patience_s=patience_s)

    def _steer(
        self, batch_id: str, tenant: str, command: Command, error_code: str = "", *, patience_s: float = 0
    ) -> Batch:
        _check(tenant, batch_id)
        until = time.monotonic() + patience_s
        with queue_errors():
            self._store.batches.start_operation(tenant, batch_id, command, error_code)
            detail = {"error_code": error_code or None}
            self._store.audit.note(f"batch.{command}", tenant=tenant, target=batch_id, detail=detail)
            while time.monotonic() < until and self._store.batches.continue_operation(tenant, batch_id) == "more":
                pass
        return self.get(batch_id, tenant=tenant)


def _check(tenant: str, batch_id: str | None = None) -> None:
    checked(_NAME, "tenant", tenant)
    if batch_id is not None:
        checked(_NAME, "batch_id", batch_id)
