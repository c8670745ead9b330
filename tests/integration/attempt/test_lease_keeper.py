"""Which slots are taken for stuck: those that are past their deadline though Redis was there to write to."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
import redis

from support.builders import claim, submit
from swapjobs.store import keys
from swapjobs.store.store import Store, connect
from swapworker.attempt.lease_keeper import LeaseKeeper
from swapworker.process.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swapjobs.settings import WorkerSettings

LEASE_S = 1000.0  # its thread sleeps all the time
CALL_TIMEOUT_S = 60.0
DEADLINE_S = CALL_TIMEOUT_S + 10
NO_PORT = 1


class Worker:
    """LeaseKeeper of two running jobs, at a time of our own."""

    def __init__(self, store: Store, settings: WorkerSettings) -> None:
        self.now = 0.0
        self.store = store
        self.own = Store(connect(settings), settings)
        self.find_redis()
        self.leases = LeaseKeeper(self.own, LEASE_S, Watchdog(180, lambda: self.now), now=lambda: self.now)
        self.slots = ExitStack()
        self.ids = [submit(store) for _ in range(2)]
        for id_ in self.ids:
            self.slots.enter_context(self.leases.hold(claim(store, id_), CALL_TIMEOUT_S))

    def renew_at(self, seconds: float) -> int:
        """Renew and return how many are stuck."""
        self.now = seconds
        self.leases.renew()
        return self.leases.stuck

    def lose_redis(self) -> None:
        self.own.redis.connection_pool = redis.ConnectionPool(port=NO_PORT)

    def find_redis(self) -> None:
        self.own.redis.connection_pool = self.store.redis.connection_pool


@pytest.fixture
def worker(store: Store, settings: WorkerSettings) -> Iterator[Worker]:
    worker = Worker(store, settings)
    with worker.slots:
        yield worker


def test_a_slot_is_stuck_a_little_after_its_deadline(worker: Worker) -> None:
    assert worker.renew_at(DEADLINE_S + 1) == 0
    assert worker.renew_at(DEADLINE_S + 3.9) == 0
    assert worker.renew_at(DEADLINE_S + 4.1) == 2


def test_a_slot_that_ended_is_not(worker: Worker) -> None:
    assert worker.renew_at(DEADLINE_S + 1) == 0
    worker.slots.close()
    assert worker.renew_at(DEADLINE_S + 5) == 0


def test_a_lease_is_renewed_to_the_deadline_and_not_beyond(worker: Worker) -> None:
    worker.renew_at(DEADLINE_S - 30)
    seconds, _ = worker.store.redis.time()
    scores = [worker.store.redis.zscore(keys.schedule(), f"lease:{id_}") for id_ in worker.ids]
    assert all(score is not None and 28 <= score / 1000 - seconds <= 31 for score in scores)
    worker.renew_at(DEADLINE_S + 1)
    assert [worker.store.redis.zscore(keys.schedule(), f"lease:{id_}") for id_ in worker.ids] == scores


def test_slots_that_wait_for_redis_with_their_result_are_not_stuck(worker: Worker) -> None:
    """Even where there is nothing left to renew; when Redis is back they have a moment to write it."""
    worker.lose_redis()
    for seconds in range(int(DEADLINE_S) - 5, int(DEADLINE_S) + 100, 5):
        with pytest.raises(redis.ConnectionError):
            worker.renew_at(seconds)
        assert worker.leases.stuck == 0
    worker.find_redis()
    assert worker.renew_at(DEADLINE_S + 101) == 0
    assert worker.renew_at(DEADLINE_S + 103) == 0
    assert worker.renew_at(DEADLINE_S + 105) == 2


def test_a_moment_without_redis_begins_it_anew(worker: Worker) -> None:
    assert worker.renew_at(DEADLINE_S + 1) == 0
    worker.lose_redis()
    with pytest.raises(redis.ConnectionError):
        worker.renew_at(DEADLINE_S + 2)
    worker.find_redis()
    assert worker.renew_at(DEADLINE_S + 5) == 0
    assert worker.renew_at(DEADLINE_S + 9) == 2


def test_after_a_frozen_process_goes_on_its_slots_have_a_moment_too(worker: Worker) -> None:
    assert worker.renew_at(DEADLINE_S - 40) == 0
    assert worker.renew_at(DEADLINE_S + 3600) == 0
    assert worker.renew_at(DEADLINE_S + 3602) == 0
