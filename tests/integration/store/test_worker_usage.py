"""What workers tell of their slots lies in Redis for as long as it holds, and is added up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from swapjobs.store import keys, worker_usage
from swapjobs.store.worker_usage import Fleet, Usage

if TYPE_CHECKING:
    from swapjobs.store.store import Store


def test_the_workers_are_added_up_and_calls_weigh_as_many_as_they_were(store: Store) -> None:
    assert worker_usage.read(store.redis) == Fleet(processes=0, slots=0, busy=0, call_s=None)
    worker_usage.report(store.redis, "a", Usage(slots=10, busy=9.5, calls=30, call_s=1))
    worker_usage.report(store.redis, "b", Usage(slots=20, busy=0.5, calls=10, call_s=3))
    worker_usage.report(store.redis, "c", Usage(slots=5, busy=0, calls=0, call_s=0))
    assert worker_usage.read(store.redis) == Fleet(processes=3, slots=35, busy=10, call_s=1.5)
    assert 0 < int(store.redis.ttl(keys.workers())) <= 3600


def test_who_tells_again_counts_once_and_who_leaves_not_at_all(store: Store) -> None:
    worker_usage.report(store.redis, "a", Usage(slots=10, busy=1, calls=1, call_s=1))
    worker_usage.report(store.redis, "a", Usage(slots=10, busy=2, calls=1, call_s=1))
    worker_usage.report(store.redis, "b", Usage(slots=7, busy=3, calls=1, call_s=1))
    worker_usage.remove(store.redis, "b")
    assert worker_usage.read(store.redis) == Fleet(processes=1, slots=10, busy=2, call_s=1)


def test_who_was_killed_does_not_count_and_is_cleared_away(store: Store) -> None:
    worker_usage.report(store.redis, "killed", Usage(slots=10, busy=1, calls=1, call_s=1))
    long_ago = {**json.loads(str(store.redis.hget(keys.workers(), "killed"))), "at": 1}
    store.redis.hset(keys.workers(), "killed", json.dumps(long_ago))
    assert worker_usage.read(store.redis).processes == 0
    worker_usage.report(store.redis, "a", Usage(slots=7, busy=1, calls=1, call_s=1))
    assert store.redis.hkeys(keys.workers()) == ["a"]
