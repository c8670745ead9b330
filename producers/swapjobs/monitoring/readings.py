"""Everything that the metrics show, read at one time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from swapjobs.monitoring.slot_advice import slots_for
from swapjobs.store import keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swapjobs.contract.metrics import Metrics
    from swapjobs.store.dispatch import TrafficSnapshot
    from swapjobs.store.store import Store
    from swapjobs.store.worker_usage import Fleet


@dataclass(frozen=True, slots=True)
class Readings:
    """One look at Redis for the metrics.

    Attributes:
        traffic: How dispatch stands, and how much is queued.
        counted: What was counted.
        fleet: The workers' slots.
        oldest_s: Lane -> seconds since the oldest that is queued there was submitted.
        memory: Bytes that Redis uses, and that it may use (0: no limit).
    """

    traffic: TrafficSnapshot
    counted: Metrics
    fleet: Fleet
    oldest_s: Mapping[str, float]
    memory: tuple[int, int]

    @classmethod
    def read(cls, store: Store) -> Self:
        """Ask Redis.

        Raises:
            redis.RedisError: it cannot be asked.
        """
        traffic, counted = store.dispatch.inspect(), store.metrics.read()
        return cls(traffic, counted, store.fleet(), store.metrics.oldest_s(), store.memory())

    @property
    def slots_wanted(self) -> int:
        """How many slots for swaps would be used now: what an autoscaler goes by.

        As many as use the rate up, by the time that calls take of late, but no more than there is work for; none
        while dispatch is paused, since more workers would not help.
        """
        status = self.traffic.status
        backlog = sum(self.traffic.queued.get(lane, 0) for lane in (keys.INTERACTIVE, keys.BULK)) + status.in_flight
        if status.state == "paused" or not backlog:
            return 0
        limit = int(self.traffic.numbers["max_in_flight"])
        return min(backlog, slots_for(status.rate, self._call_s, limit))

    @property
    def _call_s(self) -> float:
        if self.fleet.call_s is not None:
            return self.fleet.call_s
        every = self.counted.times.get("vendor_call", {}).values()  # nobody made one of late
        calls = sum(histogram.count for histogram in every)
        return sum(histogram.sum_s for histogram in every) / calls if calls else 1.0
