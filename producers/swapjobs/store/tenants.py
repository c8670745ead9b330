"""The tenants: limits of their own, and how many of their jobs wait."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.tenant import TenantLimits, TenantStatus
from swapjobs.contract.timestamps import from_ms
from swapjobs.store import keys, record

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable

    import redis

    from swapjobs.store.functions import Functions

_LANES: Final = (keys.INTERACTIVE, keys.BULK)
_BLOCK: Final = 500  # tenants or jobs asked for in one round trip, so that each stays short


class TenantStore:
    """The tenants of one Redis; most have no limits of their own."""

    def __init__(self, client: redis.Redis, functions: Functions) -> None:
        self._redis = client
        self._functions = functions

    def set(self, limits: TenantLimits) -> None:
        """Write a tenant's own limits; the defaults take them away."""
        self._functions.call("fleet/set_tenant", limits.tenant, *limits.fields())

    def names(self) -> builtins.list[str]:
        """Return the names of all tenants that have jobs or limits of their own, sorted."""
        return sorted(str(name) for name in self._redis.sunion([keys.listed_tenants(), keys.tenants()]))

    def list(self) -> builtins.list[TenantLimits]:
        """Return the limits of all tenants that have their own, by name."""
        names = sorted(str(name) for name in self._redis.smembers(keys.tenants()))
        with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hmget(keys.tenant(name), "rate", "max_in_flight", "weight", "paused", "result_ttl")
            rows = zip(names, pipe.execute(), strict=True)
        return [
            TenantLimits(
                tenant=name,
                rate=rate or None,
                max_in_flight=max_in_flight,
                weight=weight,
                paused=paused,
                result_ttl_s=int(ttl_ms) // 1000 if ttl_ms and ttl_ms != "0" else None,
            )
            for name, (rate, max_in_flight, weight, paused, ttl_ms) in rows
            if weight  # None: taken away meanwhile
        ]

    def statuses(self) -> builtins.list[TenantStatus]:
        """Return all tenants by name, with their own limits and what is queued of theirs.

        No atomic step: jobs that move meanwhile may be counted twice or not at all.
        """
        return self._statuses(self.names())

    def status(self, name: str) -> TenantStatus:
        """Return the same of one tenant, known or not."""
        return self._statuses([name])[0]

    def _statuses(self, names: builtins.list[str]) -> builtins.list[TenantStatus]:
        limits = {item.tenant: item for item in self.list()}
        queued, first = self._queues(names)
        published = self._created(self._published())
        queued.update(tenant for tenant, _ in published)
        oldest: dict[str, int] = {}
        for tenant, created_at in (*self._created(first), *published):
            oldest[tenant] = min(oldest.get(tenant, created_at), created_at)
        return [
            TenantStatus(
                **(limits.get(name) or TenantLimits(tenant=name)).model_dump(),
                queued=queued[name],
                oldest_queued_at=from_ms(oldest[name]) if name in oldest else None,
            )
            for name in names
        ]

    def _queues(self, names: builtins.list[str]) -> tuple[Counter[str], builtins.list[str]]:
        """Return how many jobs stand in each tenant's queues, and the ids of those at their heads."""
        queued: Counter[str] = Counter()
        first: list[str] = []
        for block in _blocks([(name, lane) for name in names for lane in _LANES]):
            with self._redis.pipeline(transaction=False) as pipe:
                for name, lane in block:
                    pipe.zcard(keys.queue(lane, name))
                    pipe.zrange(keys.queue(lane, name), 0, 0)
                answers = pipe.execute()
            for (name, _), size, head in zip(block, answers[::2], answers[1::2], strict=True):
                queued[name] += size
                first += head
        return queued, first

    def _published(self) -> builtins.list[str]:
        """Return the ids of the jobs whose message is out: the next ones to start."""
        with self._redis.pipeline(transaction=False) as pipe:
            for lane in _LANES:
                pipe.zrange(keys.published(lane), 0, -1)
            return [id_ for ids in pipe.execute() for id_ in ids]

    def _created(self, ids: builtins.list[str]) -> builtins.list[tuple[str, int]]:
        """Return tenant and time of creation (ms) of these jobs, those that are gone left out."""
        texts: list[Any] = []
        for block in _blocks(ids):
            with self._redis.pipeline(transaction=False) as pipe:
                for id_ in block:
                    pipe.get(keys.job(id_))
                texts += pipe.execute()
        rows = [record.fields_of(text) for text in texts if text]
        return [(fields["tenant"], int(fields["created_at"])) for fields in rows]


def _blocks(items: builtins.list[Any]) -> Iterable[builtins.list[Any]]:
    return (items[start : start + _BLOCK] for start in range(0, len(items), _BLOCK))
