"""What operators do: how dispatch stands, pause and resume, the rate, tenants' limits. Only where Redis is reached."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from swapjobs.contract.errors import InvalidRequest
from swapjobs.contract.filters import MAX_PAGE
from swapjobs.contract.tenant import TenantLimits
from swapjobs.store.redis_client import queue_errors

if TYPE_CHECKING:
    from swapjobs.contract.audit import AuditPage
    from swapjobs.contract.dispatch_status import DispatchStatus
    from swapjobs.contract.tenant import TenantStatus
    from swapjobs.store.store import Store


class Operator:
    """The operator's verbs: `client.operator`.

    Raises (every method):
        QueueUnavailable: Redis cannot be reached.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def status(self) -> DispatchStatus:
        """Return how dispatch stands: running, or paused and why, and how many jobs are queued."""
        with queue_errors():
            return self._store.dispatch.status()

    def pause(self) -> DispatchStatus:
        """Pause dispatch until `resume`: calls under way end as ever, jobs are accepted and wait."""
        with queue_errors():
            self._store.dispatch.pause()
            self._store.audit.note("dispatch.pause")
        return self.status()

    def resume(self) -> DispatchStatus:
        """Resume dispatch after a manual pause.

        A pause that the vendor asked for ends too. Where failing calls opened the breaker it stays open, but the vendor
        is probed at once.
        """
        with queue_errors():
            self._store.dispatch.resume()
            self._store.audit.note("dispatch.resume")
        return self.status()

    def forget_rate(self) -> DispatchStatus:
        """Forget what refusals taught about the rate: the limit is used in full again, until the next ones."""
        with queue_errors():
            self._store.dispatch.forget_rate()
            self._store.audit.note("rate.forget")
        return self.status()

    def restored(self, *, for_s: float = 3600) -> DispatchStatus:
        """Say that Redis was restored from a backup: what the vendor did since then is not known here.

        From now on every job that is there, and every one that is submitted in the next `for_s` seconds, is asked for
        at the vendor before it is sent, so that nothing is paid twice as far as the vendor can be asked. Say it before
        workers start, and before producers submit again what was lost.
        """
        with queue_errors():
            self._store.dispatch.note_restore(for_s)
            self._store.audit.note("redis.restored", detail={"for_s": for_s})
        return self.status()

    def audit(
        self, *, tenant: str | None = None, action: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> AuditPage:
        """Return what was changed by hand, newest first: of one tenant, or actions that begin so, where given.

        Raises:
            InvalidRequest: a cursor that was not given, or a limit that is not 1 to 500.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidRequest(f"limit: must be from 1 to {MAX_PAGE}", field="limit")
        if cursor is not None and not re.fullmatch(r"[0-9]{1,15}-[0-9]{1,15}", cursor):
            raise InvalidRequest("cursor: is not one that a page gave as next_cursor", field="cursor")
        with queue_errors():
            return self._store.audit.page(tenant=tenant, action=action, cursor=cursor, limit=limit)

    def tenants(self) -> list[TenantStatus]:
        """Return all tenants that have jobs or limits of their own, by name, with what is queued of theirs."""
        with queue_errors():
            return self._store.tenants.statuses()

    def set_tenant(self, tenant: str, **limits: Any) -> TenantLimits:
        """Change a tenant's own limits and return them all; what is not given stays as it is.

        Args:
            tenant: Its name.
            limits: `rate` (like "5/s"; None: no limit), `max_in_flight` (0: no limit), `weight`, `paused`,
                `result_ttl_s` (None: as all).

        Raises:
            InvalidRequest: a name or value is wrong.
        """
        with queue_errors():
            before = next((known for known in self._store.tenants.list() if known.tenant == tenant), None)
            changed = TenantLimits.parse(**{**(before.model_dump() if before else {}), "tenant": tenant, **limits})
            self._store.tenants.set(changed)
            detail = changed.model_dump(mode="json", include=set(limits))
            self._store.audit.note("tenant.set", tenant=tenant, detail=detail)
        return changed
