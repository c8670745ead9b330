"""What only the metrics ask for: what was counted of all jobs, calls and webhooks, and how long the oldest job waits.

It is counted once, in the step that changes the job (lua/shared/fleet/metrics.lua). So it survives every restart of a
worker or a gateway, and of a Redis that keeps its data, and adds up: jobs by outcome are the jobs that ended, once for
each round that a retry begins.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.metrics import BUCKETS_MS, Histogram, Metrics
from swapjobs.store import keys, record
from swapjobs.store.redis_client import time_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import redis

    from swapjobs.store.functions import Functions

_BUCKET: Final = "_bucket"
_SUM: Final = "_ms"
_BLOCK: Final = 1000  # commands in one round trip, so that each stays short


class MetricStore:
    """The metrics in one Redis."""

    def __init__(self, client: redis.Redis, functions: Functions) -> None:
        self._redis = client
        self._functions = functions

    def read(self) -> Metrics:
        """Return what was counted, up to now.

        Raises:
            redis.RedisError: Redis cannot be asked.
        """
        return metrics_of(record.pairs(self._functions.call("fleet/read_metrics")))

    def oldest_s(self) -> dict[str, float]:
        """Return for each lane how many seconds ago the oldest of what stands in it was submitted; 0 for an empty one.

        Looked at are those whose message is out, and the head of each tenant's, or host's, queue. Of a delivery: how
        long ago its event was. No atomic step.

        Raises:
            redis.RedisError: Redis cannot be asked.
        """
        result = dict.fromkeys(keys.LANES, 0.0)
        now_ms = time_ms(self._redis)
        for block in _blocks(_first(self._redis)):
            with self._redis.pipeline(transaction=False) as pipe:
                for _, id_ in block:
                    pipe.get(record.key_of(id_))
                for (lane, _), text in zip(block, pipe.execute(), strict=True):
                    fields = record.fields_of(text) if text else {}
                    since = fields.get("delivery_started_at" if lane == keys.WEBHOOKS else "created_at")
                    if since:
                        result[lane] = max(result[lane], (now_ms - int(since)) / 1000)
        return result


def metrics_of(fields: Mapping[str, str]) -> Metrics:
    """Return the metrics of the fields of their hash: a name and its labels, with a space before each label."""
    counts: dict[str, dict[tuple[str, ...], int]] = defaultdict(dict)
    buckets: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for field, number in fields.items():
        name, *labels = field.split(" ")
        if name.endswith(_BUCKET):
            buckets[name.removesuffix(_BUCKET), labels[0]][int(labels[1])] = int(number)
        elif name.endswith(_SUM):
            sums[name.removesuffix(_SUM), labels[0]] = int(number)
        else:
            counts[name][tuple(labels)] = int(number)
    times: dict[str, dict[str, Any]] = defaultdict(dict)
    for (name, label), numbers in buckets.items():
        if name in BUCKETS_MS:  # else of a newer version
            every = tuple(numbers.get(place, 0) for place in range(1, len(BUCKETS_MS[name]) + 2))
            times[name][label] = Histogram(every, sums[name, label] / 1000)
    return Metrics(counts, times)


def _first(client: redis.Redis) -> Iterator[tuple[str, str]]:
    """Yield lane and id of whatever may be the oldest of its lane."""
    queues: list[tuple[str, str]] = []
    for lane in keys.LANES:
        with client.pipeline(transaction=False) as pipe:
            pipe.zrange(keys.published(lane), 0, -1)
            pipe.zrange(keys.fair(lane), 0, -1)
            pipe.smembers(keys.blocked(lane))
            published, fair, blocked = pipe.execute()
        yield from ((lane, id_) for id_ in published)
        queues += [(lane, owner) for owner in (*fair, *blocked)]
    for block in _blocks(queues):
        with client.pipeline(transaction=False) as pipe:
            for lane, owner in block:
                pipe.zrange(keys.queue(lane, owner), 0, 0)
            for (lane, _), head in zip(block, pipe.execute(), strict=True):
                yield from ((lane, id_) for id_ in head)


def _blocks(items: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while block := list(islice(rest, _BLOCK)):
        yield block
