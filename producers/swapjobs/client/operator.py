"""What operators do: how dispatch stands, pause and resume, the rate, tenants' limits. Only where Redis is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swapjobs.contract.tenant import TenantLimits
from swapjobs.store.redis_client import queue_errors

if TYPE_CHECKING:
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
        return self.status()

    def resume(self) -> DispatchStatus:
        """Resume dispatch after a manual pause.

        A pause that the vendor asked for ends too. Where failing calls opened the breaker it stays open, but the vendor
        is probed at once.
        """
        with queue_errors():
            self._store.dispatch.resume()
        return self.status()

    def forget_rate(self) -> DispatchStatus:
        """Forget what refusals taught about the rate: the limit is used in full again, until the next ones."""
        with queue_errors():
            self._store.dispatch.forget_rate()
        return self.status()

    def tenants(self) -> list[TenantStatus]:
        """Return all tenants that have jobs or limits of their own, by name, with what is queued of theirs."""
        with queue_errors():
            return self._store.tenants.statuses()

    def set_tenant(self, tenant: str, **limits: Any) -> TenantLimits:
        """Change a tenant's own limits and return them all; what is not given stays as it is.

        Args:
            tenant: Its name.
            limits: `rate` (like "5/s"; None: no limit), `max_in_flight` (0: no limit), `weight`, `paused`.

        Raises:
            InvalidRequest: a name or value is wrong.
        """
        with queue_errors():
            before = next((known for known in self._store.tenants.list() if known.tenant == tenant), None)
            changed = TenantLimits.parse(**{**(before.model_dump() if before else {}), "tenant": tenant, **limits})
            self._store.tenants.set(changed)
        return changed
