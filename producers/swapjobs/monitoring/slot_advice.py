"""Whether the fleet has as many slots as its rate needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from swapjobs.store.worker_usage import Fleet

# Slots for a rate: what the calls take, and a little for all that is around them.
_MARGIN: Final = 1.15
_BUSY: Final = 0.9  # a larger share of the slots: they are what holds the fleet up
_MANY: Final = 4  # times as many as are needed


@dataclass(frozen=True, slots=True)
class Advice:
    """Whether the slots fit the rate: `found` for the eye, `to_do` where something would be better."""

    fits: bool
    found: str
    to_do: str = ""


def slots_for(rate_per_s: float, call_s: float, max_in_flight: int = 0) -> int:
    """Return how many slots of the whole fleet use the rate up; `max_in_flight` bounds them, unless it is 0."""
    slots = max(math.ceil(rate_per_s * call_s * _MARGIN), 1)
    return min(slots, max_in_flight) if max_in_flight else slots


def advise(fleet: Fleet, rate_per_s: float, max_in_flight: int = 0) -> Advice:
    """Say whether the fleet has too few or too many slots for its rate, by what it has seen."""
    processes = f"{fleet.processes} process" + ("es" if fleet.processes != 1 else "")
    result = f"{fleet.slots} slots in {processes}, {fleet.busy:.0f} busy on average"
    if fleet.call_s is None:
        return Advice(fits=True, found=f"{result}; no call has ended of late")
    needed = slots_for(rate_per_s, fleet.call_s, max_in_flight)
    result += f", calls take {fleet.call_s:.2g} s"
    per_process = math.ceil(fleet.slots / fleet.processes)
    if needed > fleet.slots and fleet.busy >= _BUSY * fleet.slots:
        result += f": too few for the rate {rate_per_s:g}/s, {needed} would do"
        more = math.ceil((needed - fleet.slots) / per_process)
        workers = f"{more} more worker" + ("s" if more > 1 else "")
        return Advice(fits=False, found=result, to_do=f"raise SWAPJOBS_CONCURRENCY or start {workers}")
    if fleet.slots > _MANY * needed and per_process > 1:
        return Advice(fits=True, found=f"{result}: {needed} would do for the rate {rate_per_s:g}/s")
    return Advice(fits=True, found=result)
