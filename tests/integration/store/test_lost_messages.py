"""Hints are only messages: lost ones come again, doubled ones do nothing, and a clock that jumps stops no line."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from support.builders import claim, make_request, submit
from support.fake_clock import FakeClock, clocked_store
from swapjobs import JobState
from swapjobs.contract.lifecycle import Event
from swapjobs.store import keys
from swapjobs.store.claims import Claim, NotClaimed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swapjobs.settings import WorkerSettings
    from swapjobs.store.store import Store

LEASE_S = 30
HOUR_S = 3600
LANES = (keys.INTERACTIVE, keys.BULK)


@pytest.fixture
def store(settings: WorkerSettings) -> Iterator[Store]:
    with clocked_store(settings) as store:
        yield store


@pytest.fixture
def clock(store: Store) -> FakeClock:
    return FakeClock(store.redis)


def pop(store: Store) -> str | None:
    """Take a message as a worker does: the interactive ready queue first."""
    for lane in LANES:
        message = store.redis.rpop(keys.READY[lane])
        if message:
            return str(json.loads(str(message))["headers"]["id"])
    return None


def messages(store: Store) -> list[str]:
    return [
        str(json.loads(str(message))["headers"]["id"])
        for lane in LANES
        for message in store.redis.lrange(keys.READY[lane], 0, -1)
    ]


def everything_started(store: Store) -> set[str]:
    """Use every message as a worker does, and return the jobs that began."""
    started = set()
    while id_ := pop(store):
        claimed = store.attempts.claim(id_, LEASE_S)
        if isinstance(claimed, Claim):
            started.add(id_)
            store.attempts.record_outcome(claimed, Event.SUCCEED, patch={})
    return started


def dispatch(store: Store, clock: FakeClock, seconds: float) -> None:
    """Let the dispatcher work for so long, as it does: four times a second."""
    for _ in range(int(seconds * 4)):
        clock.move(0.25)
        store.dispatch.dispatch_due("w", LEASE_S, stayed=True)


@pytest.mark.parametrize("behind", [0, 300])
@pytest.mark.parametrize("priority", LANES)
def test_a_message_that_vanishes_after_the_pop_is_published_again(
    store: Store, clock: FakeClock, behind: int, priority: str
) -> None:
    """Also with nothing queued behind that would push the lane on."""
    id_ = submit(store, priority=priority)
    store.jobs.submit([make_request(priority="bulk") for _ in range(behind)])
    assert pop(store) == id_  # and its worker dies before the claim
    dispatch(store, clock, 10)
    assert id_ in messages(store)


@pytest.mark.parametrize("behind", [0, 300])
def test_when_every_queue_list_is_deleted_all_messages_come_again(store: Store, clock: FakeClock, behind: int) -> None:
    ids = [submit(store) for _ in range(5)] + [submit(store, priority="bulk") for _ in range(behind)]
    out = messages(store)
    store.redis.delete(*keys.READY.values())
    dispatch(store, clock, 10)
    assert set(messages(store)) >= set(out)
    assert set(out) <= set(ids)


def test_a_webhooks_message_comes_again_too(store: Store, clock: FakeClock) -> None:
    id_ = submit(store, callback_url="https://hooks.example/in")
    store.attempts.record_outcome(claim(store, id_), Event.SUCCEED, patch={})
    store.redis.delete(*keys.READY.values())
    dispatch(store, clock, 10)
    assert store.redis.llen(keys.READY[keys.WEBHOOKS]) == 1


def test_messages_published_ten_times_start_no_job_twice(store: Store, clock: FakeClock) -> None:
    ids = [submit(store) for _ in range(8)]
    for lane in LANES:
        for message in store.redis.lrange(keys.READY[lane], 0, -1):
            store.redis.lpush(keys.READY[lane], *[str(message)] * 9)
    claims = []
    while id_ := pop(store):
        claimed = store.attempts.claim(id_, LEASE_S)
        if isinstance(claimed, Claim):
            claims.append(id_)
        else:
            assert claimed == NotClaimed("running")
    assert sorted(claims) == sorted(ids)
    dispatch(store, clock, 20)
    assert messages(store) == []


def test_an_hour_of_pause_piles_nothing_up(store: Store, clock: FakeClock) -> None:
    """With a worker that pops and is sent back, and with none."""
    for with_worker in (True, False):
        ids = {submit(store) for _ in range(40)}
        first = claim(store, str(pop(store)))
        store.attempts.record_outcome(first, Event.WAIT, patch={}, schedule="retry", delay_s=HOUR_S, pause_s=HOUR_S)
        out = highest = len(messages(store))
        for _ in range(HOUR_S // 10 - 1):
            clock.move(10)
            store.dispatch.dispatch_due("w", LEASE_S, stayed=True)
            while with_worker and (id_ := pop(store)):
                assert store.attempts.claim(id_, LEASE_S) == NotClaimed("rate_limit")
            highest = max(highest, len(messages(store)))
        assert highest <= out
        dispatch(store, clock, 12)
        assert everything_started(store) == ids


@pytest.fixture
def long_queue(store: Store) -> int:
    """Queue 20,000 jobs; return how many."""
    count = 20_000
    for _ in range(count // 1000):
        store.jobs.submit([make_request(priority="bulk") for _ in range(1000)])
    return count


def test_who_comes_back_stands_before_twenty_thousand(store: Store, clock: FakeClock, long_queue: int) -> None:
    """A rescued job, a retried and a polled one: all three are claimed among the next dozen."""
    retried, polled, rescued = (claim(store, str(pop(store))) for _ in range(3))
    store.attempts.record_outcome(retried, Event.WAIT, patch={}, schedule="retry", delay_s=1)
    store.attempts.record_outcome(polled, Event.WAIT, patch={"next_call": "query"}, schedule="poll", delay_s=1)
    clock.move(LEASE_S + 1)
    began = time.process_time()
    store.dispatch.dispatch_due("w", LEASE_S)
    back = {retried.job.id, polled.job.id, rescued.job.id}
    order: list[str] = []
    while back - set(order):
        id_ = pop(store)
        assert id_ is not None
        if isinstance(store.attempts.claim(id_, LEASE_S), Claim):
            order.append(id_)
    assert len(order) <= 24, "the messages that were out before them, no more"
    assert store.redis.zcard(keys.queue(keys.BULK, "default")) > long_queue - 100
    assert time.process_time() - began < 5


class TestClockJumps:
    """By an hour, both ways. The times in the records were written before the jump."""

    @pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S])
    def test_no_running_job_is_started_a_second_time(self, store: Store, clock: FakeClock, by_s: int) -> None:
        held = claim(store, submit(store))
        dispatch(store, clock, 5)
        clock.move(by_s)
        for _ in range(10):  # its worker is alive and renews as ever
            dispatch(store, clock, LEASE_S / 4)
            assert store.attempts.renew_leases([(held.job.id, held.fence, LEASE_S)]) == [True]
        assert store.jobs.get(held.job.id).number("claims") == 1
        assert store.attempts.record_outcome(held, Event.SUCCEED, patch={}) == "ok"

    @pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S])
    def test_a_dead_workers_job_is_rescued_no_more_than_a_lease_late(
        self, store: Store, clock: FakeClock, by_s: int
    ) -> None:
        held = claim(store, submit(store))
        dispatch(store, clock, 5)
        clock.move(by_s)
        dispatch(store, clock, 2 * LEASE_S + 1)
        assert store.jobs.get(held.job.id).to_job().state is JobState.QUEUED

    @pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S])
    @pytest.mark.parametrize("wake", ["retry", "poll", "final_failure"])
    def test_what_waits_is_looked_at_in_time(self, store: Store, clock: FakeClock, by_s: int, wake: str) -> None:
        id_ = submit(store)
        store.attempts.record_outcome(claim(store, id_), Event.WAIT, patch={}, schedule=wake, delay_s=20)  # type: ignore[arg-type]  # a literal by value
        dispatch(store, clock, 5)
        clock.move(by_s)
        dispatch(store, clock, 30 if wake == "final_failure" else 20)  # a verdict waits for the breaker's window
        assert store.jobs.get(id_).to_job().state is (JobState.FAILED if wake == "final_failure" else JobState.WAITING)
        assert wake == "final_failure" or pop(store) == id_

    @pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S])
    def test_the_line_does_not_stop(self, store: Store, clock: FakeClock, by_s: int) -> None:
        """The rate, a pause, the messages that were out, an outage: each in turn."""
        ids = {submit(store) for _ in range(30)}
        dispatch(store, clock, 5)
        while pop(store):  # messages that are lost
            pass
        clock.move(by_s)
        dispatch(store, clock, 10)
        assert everything_started(store) == ids

    @pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S])
    def test_a_pause_lasts_no_longer_than_it_should(self, store: Store, clock: FakeClock, by_s: int) -> None:
        held, other = claim(store, submit(store)), submit(store)
        store.attempts.record_outcome(held, Event.WAIT, patch={}, schedule="retry", delay_s=20, pause_s=20)
        dispatch(store, clock, 2)
        clock.move(by_s)
        dispatch(store, clock, 20)
        assert pop(store) in {other, held.job.id}

    @pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S])
    def test_a_closed_line_is_probed_on(self, store: Store, clock: FakeClock, by_s: int) -> None:
        for claimed in [claim(store, submit(store)) for _ in range(5)]:
            store.attempts.record_outcome(claimed, Event.WAIT, patch={}, schedule="retry", delay_s=9, signal="outage")
        assert store.dispatch.status().reason == "vendor_outage"
        dispatch(store, clock, 0.5)
        clock.move(by_s)
        dispatch(store, clock, 6)
        assert pop(store) is not None

    def test_the_dispatchers_lease_of_a_dead_worker_does_not_outlive_it(self, store: Store, clock: FakeClock) -> None:
        store.dispatch.dispatch_due("dead", LEASE_S)
        clock.move(-HOUR_S)
        assert store.dispatch.dispatch_due("alive", LEASE_S)[0] >= 0
