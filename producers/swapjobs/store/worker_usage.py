"""Which workers there are, how busy their slots, how long the vendor's calls: reported by each, added up here."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from swapjobs.store import keys
from swapjobs.store.redis_client import time_ms

if TYPE_CHECKING:
    import redis

REPORT_EVERY_S: Final = 5.0
_OUT_OF_DATE_MS: Final = 20_000
_TTL_S: Final = 3600


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
    """All swap workers that have reported in the last 20 s; `call_s` is None before the first ended call."""

    processes: int
    slots: int
    busy: float
    call_s: float | None


def report(client: redis.Redis, worker: str, usage: Usage) -> None:
    """Write what one worker has seen, and clear away what is left of workers that are gone.

    Raises:
        redis.RedisError: Redis cannot be asked.
    """
    now_ms = time_ms(client)
    gone = [name for name, (at, _) in _reports(client).items() if at < now_ms - _OUT_OF_DATE_MS]
    with client.pipeline(transaction=False) as pipe:
        pipe.hset(keys.workers(), worker, json.dumps({"at": now_ms, **asdict(usage)}))
        if gone:
            pipe.hdel(keys.workers(), *gone)
        pipe.expire(keys.workers(), _TTL_S)
        pipe.execute()


def remove(client: redis.Redis, worker: str) -> None:
    """Take a worker that stops out of the sum at once.

    Raises:
        redis.RedisError: Redis cannot be asked.
    """
    client.hdel(keys.workers(), worker)


def read(client: redis.Redis) -> Fleet:
    """Return the fleet as it stood at its last words.

    Raises:
        redis.RedisError: Redis cannot be asked.
    """
    now_ms = time_ms(client)
    usages = [usage for usage in _living(client, now_ms) if keys.SWAPS_QUEUE in usage.kinds]
    calls = sum(usage.calls for usage in usages)
    return Fleet(
        processes=len(usages),
        slots=sum(usage.slots for usage in usages),
        busy=sum(usage.busy for usage in usages),
        call_s=sum(usage.calls * usage.call_s for usage in usages) / calls if calls else None,
    )


def workers(client: redis.Redis, now_ms: int | None = None) -> dict[str, int]:
    """Return how many processes work on each queue, of those that have reported in the 20 s before `now_ms`, or now.

    A process that is frozen reports nothing, and is not counted.

    Raises:
        redis.RedisError: Redis cannot be asked.
    """
    processes = {keys.SWAPS_QUEUE: 0, keys.WEBHOOKS_QUEUE: 0}
    for usage in _living(client, time_ms(client) if now_ms is None else now_ms):
        for kind in usage.kinds:
            processes[kind] = processes.get(kind, 0) + 1
    return processes


def _living(client: redis.Redis, now_ms: int) -> list[Usage]:
    return [usage for at, usage in _reports(client).values() if at >= now_ms - _OUT_OF_DATE_MS]


def _reports(client: redis.Redis) -> dict[str, tuple[int, Usage]]:
    reports = {str(name): json.loads(text) for name, text in client.hgetall(keys.workers()).items()}
    return {
        name: (one["at"], Usage(one["slots"], one["busy"], one["calls"], one["call_s"], tuple(one["kinds"])))
        for name, one in reports.items()
    }
