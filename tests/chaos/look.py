"""What the harness reads in Redis: leases and counters of jobs, the backlog, and what is left at the end."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from support.traffic_state import peek
from swapjobs.contract.lifecycle import FINAL
from swapjobs.settings import CoreSettings
from swapjobs.store import keys, record
from swapjobs.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import redis

    from swapjobs import Job
    from swapjobs.contract.metrics import Metrics

_BLOCK: Final = 500
_LATER: Final = re.compile("(prune|ended):")


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What should not be there when nothing is left to do; see `Look.leftovers`."""

    scheduled: Sequence[str] = ()
    messages: Sequence[str] = ()
    lines: Sequence[str] = ()
    ready_queues: Mapping[str, int] = field(default_factory=dict)
    in_flight: int = 0

    def __bool__(self) -> bool:
        return bool(self.scheduled or self.messages or self.lines or self.ready_queues or self.in_flight)


class Look:
    """Reads only; every method may raise `redis.RedisError` while Redis is away."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client  # its answers are untyped

    def _each(self, ids: Collection[str], *fields: str) -> dict[str, list[str | None]]:
        """Return these fields of each job."""
        result: dict[str, list[str | None]] = {}
        listed = list(ids)
        for start in range(0, len(listed), _BLOCK):
            block = listed[start : start + _BLOCK]
            with self._redis.pipeline(transaction=False) as pipe:
                for id_ in block:
                    pipe.get(keys.job(id_))
                texts = pipe.execute()
            for id_, text in zip(block, texts, strict=True):
                known = record.fields_of(text) if text else {}
                result[id_] = [known.get(name) for name in fields]
        return result

    def _woken(self, kind: str) -> list[str]:
        """Return the ids of a kind in the schedule."""
        members: Iterable[str] = self._redis.zrange(keys.schedule(), 0, -1)
        return [id_ for name, _, id_ in (member.partition(":") for member in members) if name == kind]

    # -- attempts

    def leased(self) -> dict[str, int]:
        """Return the jobs that hold a lease, with how often each was claimed."""
        return {id_: int(claims or 0) for id_, (claims,) in self._each(self._woken("lease"), "claims").items()}

    def still_stuck(self, held: Mapping[str, int]) -> dict[str, int]:
        """Return those of `held` that were not claimed since and are not final."""
        now = self._each(held, "state", "claims")
        return {id_: n for id_, n in held.items() if now[id_][0] not in FINAL and int(now[id_][1] or 0) <= n}

    # -- deliveries

    def handed_out(self) -> dict[str, int]:
        """Return the deliveries that a webhook worker holds or is about to take, with how often each was claimed."""
        ids = {*self._woken("delivery"), *self._redis.zrange(keys.published(keys.WEBHOOKS), 0, -1)}
        result = self._each(ids, "delivery_claims", "delivery_next_at")
        return {id_: int(claims or 0) for id_, (claims, next_at) in result.items() if next_at is None}

    def put_off(self) -> dict[str, int]:
        """Return the deliveries that failed and wait for another try."""
        result = self._each(self._woken("delivery"), "delivery_claims", "delivery_next_at")
        return {id_: int(claims or 0) for id_, (claims, next_at) in result.items() if next_at is not None}

    def not_tried_again(self, held: Mapping[str, int]) -> dict[str, int]:
        """Return those of `held` that were not claimed since and are not delivered."""
        now = self._each(held, "delivery_state", "delivery_claims")
        return {id_: n for id_, n in held.items() if now[id_][0] == "pending" and int(now[id_][1] or 0) <= n}

    # -- all

    def states(self, ids: Collection[str]) -> dict[str, str | None]:
        """Return the state of each job, None where there is no record."""
        return {id_: state for id_, (state,) in self._each(ids, "state").items()}

    def backlog(self) -> int:
        """Return how many jobs stand in the lines of the swaps."""
        lines = [line for line in self._lines() if line[0] != keys.WEBHOOKS]
        return sum(self._redis.zcard(keys.queue(lane, who)) for lane, who in lines)

    def _lines(self) -> list[tuple[str, str]]:
        return [(lane, who) for lane in keys.LANES for who in self._redis.zrange(keys.fair(lane), 0, -1)]

    def counts(self) -> dict[str, int]:
        """Return what the fleet has counted."""
        return {name: int(number) for name, number in self._redis.hgetall(keys.counts()).items()}

    def metrics(self) -> Metrics:
        """Return what the metrics count."""
        return Store(self._redis, CoreSettings()).metrics.read()

    def leftovers(self) -> Leftovers:
        """Return what is still to be done: scheduled members, messages, queues, ready queues, calls in flight."""
        ready_queues = {name: self._redis.llen(name) for name in keys.READY.values()}
        return Leftovers(
            # what becomes of indexes and batches when records expire is not a job's
            scheduled=[member for member in self._redis.zrange(keys.schedule(), 0, -1) if not _LATER.match(member)],
            messages=[id_ for lane in keys.LANES for id_ in self._redis.zrange(keys.published(lane), 0, -1)],
            lines=[keys.queue(lane, who) for lane, who in self._lines()],
            ready_queues={name: length for name, length in ready_queues.items() if length},
            in_flight=int(peek(self._redis, "in_flight")),
        )

    def without_ttl(self) -> list[str]:
        """Return our keys that would stay for ever; those of traffic control and indexes may."""
        names = sorted(self._redis.scan_iter(f"{keys.PREFIX}*", count=1000))
        lasting = []
        for start in range(0, len(names), _BLOCK):
            block = names[start : start + _BLOCK]
            with self._redis.pipeline(transaction=False) as pipe:
                for name in block:
                    pipe.ttl(name)
                lasting += [name for name, ttl in zip(block, pipe.execute(), strict=True) if ttl == -1]
        stored = {
            keys.fleet_state(),
            keys.fleet_traffic(),
            keys.counts(),
            keys.server(),
            keys.schedule(),
            keys.listed_tenants(),
        }
        stored |= {keys.metrics(), keys.observed()}
        return [name for name in lasting if name not in stored and not name.startswith(keys.index(""))]

    def job(self, id_: str) -> Job:
        """Return a job that has a record, as producers see it."""
        return record.unpack(id_, self._redis.get(keys.job(id_))).to_job()

    def raw(self, id_: str) -> tuple[dict[str, str], list[str]]:
        """Return a job's fields and the lines of its history."""
        text = self._redis.get(keys.job(id_))
        return (record.fields_of(text), record.history_of(text).split("\n")) if text else ({}, [""])
