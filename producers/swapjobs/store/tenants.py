"""The limits of tenants that have limits of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swapjobs.contract.tenant import TenantLimits
from swapjobs.store import keys

if TYPE_CHECKING:
    import builtins

    import redis

    from swapjobs.store.functions import Functions


class TenantStore:
    """The tenants' own limits in one Redis; most tenants have none."""

    def __init__(self, client: redis.Redis, functions: Functions) -> None:
        self._redis = client
        self._functions = functions

    def set(self, limits: TenantLimits) -> None:
        """Write a tenant's own limits; the defaults take them away."""
        self._functions.call("fleet/set_tenant", limits.tenant, *limits.fields())

    def list(self) -> builtins.list[TenantLimits]:
        """Return the limits of all tenants that have their own, by name."""
        names = sorted(str(name) for name in self._redis.smembers(keys.tenants()))
        with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hmget(keys.tenant(name), "rate", "max_in_flight", "weight", "paused")
            rows = zip(names, pipe.execute(), strict=True)
        return [
            TenantLimits(tenant=name, rate=rate or None, max_in_flight=max_in_flight, weight=weight, paused=paused)
            for name, (rate, max_in_flight, weight, paused) in rows
            if weight  # None: taken away meanwhile
        ]
