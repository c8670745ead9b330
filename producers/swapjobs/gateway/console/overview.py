"""What the overview shows: is all well, and if not why and what to do; and the figures beneath."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from swapjobs.gateway.console.charts import Sums, sums_of
from swapjobs.monitoring.health import Check, Condition, judge, unreachable
from swapjobs.store.redis_client import RedisError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swapjobs.contract.tenant import TenantStatus
    from swapjobs.contract.trend import Slot
    from swapjobs.gateway.dependencies import Parts

_RANK: Final = {"problem": 0, "warning": 1, "ok": 2}


@dataclass(frozen=True)
class Overview:
    """One look at the whole queue.

    Attributes:
        findings: What is not as it should be, the worst first.
        condition: The rest of what was seen; None where Redis could not be asked.
        oldest_s: Lane -> seconds since the oldest that is queued there was submitted.
        hour, day, today: What happened in the last hour, in the last 24 hours, and since midnight (UTC).
        calls_per_s: Calls to the vendor in the last whole minute, a second.
        slots: What the chart shows.
    """

    findings: Sequence[Check]
    condition: Condition | None = None
    oldest_s: Mapping[str, float] | None = None
    hour: Sums | None = None
    day: Sums | None = None
    today: Sums | None = None
    calls_per_s: float = 0
    slots: Sequence[Slot] = ()

    @classmethod
    def read(cls, gateway: Parts, shown: str) -> Overview:
        """Ask Redis; `shown` is the range of the chart. It never fails: that Redis can't be asked is what is found."""
        store = gateway.store
        try:
            condition = Condition.read(store)
            store.metrics.read()  # which adds up what was not yet
            minutes, hours = store.trends.by_minute(60), store.trends.by_hour(720 if shown == "month" else 25)
            oldest_s = store.metrics.oldest_s()
        except RedisError as error:
            return cls([unreachable(error)])
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(
            sorted((check for check in judge(condition) if check.state != "ok"), key=lambda check: _RANK[check.state]),
            condition,
            oldest_s,
            sums_of(minutes),
            sums_of(hours[-24:]),
            sums_of([slot for slot in hours if slot.at >= midnight]),
            sums_of(minutes[-2:-1]).calls / 60,
            minutes if shown == "hour" else hours[-24:] if shown == "day" else hours,
        )


@dataclass(frozen=True)
class TenantOverview:
    """What a tenant's key sees: how the tenant's own jobs stand, and what became of them today and this month (UTC)."""

    status: TenantStatus | None = None
    today: Mapping[str, int] = field(default_factory=dict)
    month: Mapping[str, int] = field(default_factory=dict)
    paused: bool = False

    @classmethod
    def read(cls, gateway: Parts, tenant: str) -> TenantOverview:
        """Ask Redis. It never fails: there is no status where Redis can't be asked."""
        store = gateway.store
        try:
            store.metrics.read()
            return cls(
                store.tenants.status(tenant),
                store.trends.usage(1).get(tenant, {}),
                store.trends.usage(30).get(tenant, {}),
                paused=store.dispatch.status().state == "paused",
            )
        except RedisError:
            return cls()
