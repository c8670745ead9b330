"""What a look at the line counts, and that the line can be closed and opened whatever state Redis is in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import redis

from support.builders import claim, make_request, submit
from support.traffic_state import poke
from swapjobs.store import keys
from swapjobs.store.claims import Claim, NotClaimed
from swapjobs.store.dispatch import queued
from swapjobs.store.fleet_state import OUTAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swapjobs import SwapClient
    from swapjobs.store.store import Store


def test_everybody_who_waits_is_counted_by_lane(store: Store, client: SwapClient) -> None:
    """Whether a job's message is out already or not: to its user it waits. More tenants than fit into one block."""
    for number in range(0, 1500, 100):
        store.jobs.submit([make_request(tenant=f"t{item}", priority="bulk") for item in range(number, number + 100)])
    store.jobs.submit([make_request(tenant=f"t{item}") for item in range(30)])
    done = [claim(store, str(id_)) for id_ in store.redis.zrange(keys.published(keys.BULK), 0, 2)]
    line = client.operator.status()
    assert line.queued == {"interactive": 30, "bulk": 1497, "webhooks": 0}
    assert line.in_flight == 3
    for claimed in done:
        store.attempts.record_outcome(claimed, "succeed", patch={}, signal="answer")  # type: ignore[arg-type]  # an event by value
    assert client.operator.status().in_flight == 0


def test_webhooks_in_line_are_counted_by_their_hosts(store: Store) -> None:
    ids = [submit(store, callback_url=f"https://host-{number % 3}.example/in") for number in range(20)]
    for id_ in ids:
        store.jobs.cancel(id_)
    assert queued(store.redis) == {"interactive": 0, "bulk": 0, "webhooks": 20}


def test_a_probe_is_under_way_as_long_as_its_lease(store: Store) -> None:
    probe = claim(store, submit(store), lease_s=60)
    poke(store.redis, tripped=OUTAGES.index("vendor_outage"), tripped_at=1)
    store.redis.sadd(keys.probes(), probe.job.id)
    assert store.dispatch.status().probing
    store.redis.zadd(keys.schedule(), {f"lease:{probe.job.id}": 1})  # its worker is dead
    assert not store.dispatch.status().probing


def test_closed_twice_by_hand_it_is_closed_since_the_first_time(client: SwapClient) -> None:
    since = client.operator.pause().since
    assert since is not None
    assert abs(since.timestamp() - time.time()) < 60
    assert client.operator.pause().since == since
    assert client.operator.resume().state == "running"
    assert client.operator.resume().state == "running", "there is nothing to open, and that is fine"


def test_opened_by_hand_work_begins_at_once(store: Store, client: SwapClient) -> None:
    """Without a look of the dispatcher: the messages go out in the same step."""
    client.operator.pause()
    id_ = submit(store)
    assert not store.redis.zcard(keys.published(keys.INTERACTIVE))
    assert store.attempts.claim(id_, 30) == NotClaimed("queued")
    client.operator.resume()
    assert isinstance(store.attempts.claim(id_, 30), Claim)


def test_opened_by_hand_the_vendors_own_pause_ends_too(store: Store, client: SwapClient) -> None:
    poke(store.redis, paused_until=int(time.time() * 1000) + 60_000)
    assert client.operator.status().reason == "rate_limit"
    assert client.operator.resume().state == "running"


@pytest.fixture
def full(store: Store) -> Iterator[redis.Redis]:
    """A Redis at its memory limit."""
    store.redis.config_set("maxmemory", 1)
    yield store.redis
    store.redis.config_set("maxmemory", 0)


def test_a_full_redis_keeps_nobody_from_closing_and_opening_the_line(full: redis.Redis, client: SwapClient) -> None:
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        full.set("anything", 1)
    assert client.operator.pause().reason == "manual"
    assert client.operator.resume().state == "running"
