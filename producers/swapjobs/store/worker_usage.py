"""Which workers there are, how busy their slots, how long the vendor's calls: told by each, added up for a person."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from swapjobs.store import keys

if TYPE_CHECKING:
    import redis

EVERY_S: Final = 5.0  # a worker tells
_OUT_OF_DATE_MS: Final = 20_000
_TTL_S: Final = 3600

# Slots for a rate: what the calls take, and a little for all that is around them.
_MARGIN: Final = 1.15
_BUSY: Final = 0.9  # a larger share of the slots: they are what holds the fleet up
_MANY: Final = 4  # times as many as are needed


@dataclass(frozen=True, slots=True)
class Usage:
    """One worker process: its slots, and of late the mean number of them in a vendor call, and the ended calls."""

    slots: int
    busy: float
    calls: float
    call_s: float  # mean seconds of a call; 0 without calls
    kinds: tuple[str, ...] = (keys.SWAPS_QUEUE,)  # the queues that it works on


@dataclass(frozen=True, slots=True)
class Fleet:
    """All swap workers that have told in the last 20 s; `call_s` is None before the first ended call."""

    processes: int
    slots: int
    busy: float
    call_s: float | None


@dataclass(frozen=True, slots=True)
class Advice:
    """Whether the slots fit the rate: `found` for the eye, `to_do` where something would be better."""

    fits: bool
    found: str
    to_do: str = ""


def tell(client: redis.Redis, worker: str, usage: Usage) -> None:
    """Write what one worker has seen; what is left of workers that are gone is cleared away.

    Raises:
        redis.RedisError: Redis cannot be asked.
    """
    now_ms = _now_ms(client)
    gone = [name for name, (at, _) in _read(client).items() if at < now_ms - _OUT_OF_DATE_MS]
    with client.pipeline(transaction=False) as pipe:
        pipe.hset(keys.fleet(), worker, json.dumps({"at": now_ms, **asdict(usage)}))
        if gone:
            pipe.hdel(keys.fleet(), *gone)
        pipe.expire(keys.fleet(), _TTL_S)
        pipe.execute()


def leave(client: redis.Redis, worker: str) -> None:
    """Take a worker that stops out of the sum at once.

    Raises:
        redis.RedisError: Redis cannot be asked.
    """
    client.hdel(keys.fleet(), worker)


def look(client: redis.Redis) -> Fleet:
    """Return the fleet as it stood at its last words.

    Raises:
        redis.RedisError: Redis cannot be asked.
    """
    now_ms = _now_ms(client)
    told = [usage for usage in _living(client, now_ms) if keys.SWAPS_QUEUE in usage.kinds]
    calls = sum(usage.calls for usage in told)
    return Fleet(
        processes=len(told),
        slots=sum(usage.slots for usage in told),
        busy=sum(usage.busy for usage in told),
        call_s=sum(usage.calls * usage.call_s for usage in told) / calls if calls else None,
    )


def workers(client: redis.Redis, now_ms: int | None = None) -> dict[str, int]:
    """Return how many processes work on each queue, of those that have told in the 20 s before `now_ms`, or now.

    A process that is frozen tells nothing, and is not counted.

    Raises:
        redis.RedisError: Redis cannot be asked.
    """
    found = {keys.SWAPS_QUEUE: 0, keys.WEBHOOKS_QUEUE: 0}
    for usage in _living(client, _now_ms(client) if now_ms is None else now_ms):
        for kind in usage.kinds:
            found[kind] = found.get(kind, 0) + 1
    return found


def slots_for(rate_per_s: float, call_s: float, max_in_flight: int = 0) -> int:
    """Return how many slots of the whole fleet use the rate up; `max_in_flight` bounds them, unless it is 0."""
    slots = max(math.ceil(rate_per_s * call_s * _MARGIN), 1)
    return min(slots, max_in_flight) if max_in_flight else slots


def advise(fleet: Fleet, rate_per_s: float, max_in_flight: int = 0) -> Advice:
    """Say whether the fleet has too few or too many slots for its rate, by what it has seen."""
    processes = f"{fleet.processes} process" + ("es" if fleet.processes != 1 else "")
    found = f"{fleet.slots} slots in {processes}, {fleet.busy:.0f} busy on average"
    if fleet.call_s is None:
        return Advice(fits=True, found=f"{found}; no call has ended of late")
    needed = slots_for(rate_per_s, fleet.call_s, max_in_flight)
    found += f", calls take {fleet.call_s:.2g} s"
    per_process = math.ceil(fleet.slots / fleet.processes)
    if needed > fleet.slots and fleet.busy >= _BUSY * fleet.slots:
        found += f": too few for the rate {rate_per_s:g}/s, {needed} would do"
        more = math.ceil((needed - fleet.slots) / per_process)
        workers = f"{more} more worker" + ("s" if more > 1 else "")
        return Advice(fits=False, found=found, to_do=f"raise SWAPJOBS_CONCURRENCY or start {workers}")
    if fleet.slots > _MANY * needed and per_process > 1:
        return Advice(fits=True, found=f"{found}: {needed} would do for the rate {rate_per_s:g}/s")
    return Advice(fits=True, found=found)


def _now_ms(client: redis.Redis) -> int:
    seconds, microseconds = client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def _living(client: redis.Redis, now_ms: int) -> list[Usage]:
    return [usage for at, usage in _read(client).values() if at >= now_ms - _OUT_OF_DATE_MS]


def _read(client: redis.Redis) -> dict[str, tuple[int, Usage]]:
    told = {str(name): json.loads(text) for name, text in client.hgetall(keys.fleet()).items()}
    return {
        name: (one["at"], Usage(one["slots"], one["busy"], one["calls"], one["call_s"], _kinds(one)))
        for name, one in told.items()
    }


def _kinds(told: dict[str, Any]) -> tuple[str, ...]:
    # a worker of an older version tells only of swaps
    return tuple(told.get("kinds", (keys.SWAPS_QUEUE,)))
