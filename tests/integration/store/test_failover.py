"""A machine crash or a failover takes the last second of writes back: claims and results are not forgotten with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from support.builders import claim, submit, wait_until
from support.killed_redis import kill_redis, write_out
from support.traffic_state import peek, poke
from swapjobs import JobState
from swapjobs.contract.lifecycle import Event
from swapjobs.settings import Rate, WorkerSettings
from swapjobs.store import keys, record
from swapjobs.store.claims import Claim
from swapjobs.store.store import Store, connect
from swapsandbox.processes.redis_server import EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEASE_S = 30
RESULT = record.entry("result", output_url="https://out.example/1.png")


class Crashing:
    """A Redis whose append-only file can be cut back to an earlier moment, as a crash of its machine does."""

    def __init__(self, server: EmbeddedRedis) -> None:
        self.server = server
        self.settings = WorkerSettings(redis_url=server.url, rate_limit=Rate("10/s"))
        self._sizes: dict[Path, int] = {}

    def worker(self) -> Store:
        """Return the store of a worker that connects now."""
        store = Store(connect(self.settings, detect_failover=True), self.settings)
        store.dispatch.set_limits(self.settings)
        return store

    def remember(self) -> None:
        """Take this moment as the last one that is on disk."""
        write_out(self.server)
        self._sizes = {path: path.stat().st_size for path in self.server.folder.glob("appendonlydir/*.aof")}

    def crash(self) -> None:
        """Kill the server, cut its file, start it."""
        kill_redis(self.server)
        for path, size in self._sizes.items():
            assert path.stat().st_size > size, "nothing was written since"
            os.truncate(path, size)
        self.server.start()


@pytest.fixture
def crashing(tmp_path: Path) -> Iterator[Crashing]:
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield Crashing(server)


def test_a_claim_that_redis_forgot_is_taken_up_again_by_its_renewal(crashing: Crashing) -> None:
    worker = crashing.worker()
    id_ = submit(worker)
    crashing.remember()
    held = claim(worker, id_)
    crashing.crash()
    assert worker.jobs.get(id_).to_job().state is JobState.QUEUED
    assert worker.attempts.renew_leases([(id_, held.fence, LEASE_S)]) == [True]
    assert worker.jobs.get(id_).to_job().state is JobState.RUNNING
    assert worker.redis.zscore(keys.schedule(), f"lease:{id_}") is not None
    assert worker.redis.zscore(keys.published(keys.INTERACTIVE), id_) is None
    assert worker.dispatch.status().in_flight == 1
    assert worker.attempts.record_outcome(held, Event.SUCCEED, patch={}, entry=RESULT) == "ok"
    assert worker.dispatch.status().in_flight == 0


@pytest.mark.parametrize("event", [Event.SUCCEED, Event.FAIL, Event.WAIT])
def test_a_result_in_hand_is_written_though_the_record_forgot_its_claim(crashing: Crashing, event: Event) -> None:
    worker = crashing.worker()
    id_ = submit(worker)
    crashing.remember()
    held = claim(worker, id_)
    crashing.crash()
    assert (
        worker.attempts.record_outcome(held, event, patch={"next_call": "query"}, schedule="poll", delay_s=60) == "ok"
    )
    assert worker.jobs.get(id_).to_job().state not in {JobState.QUEUED, JobState.RUNNING}
    assert worker.dispatch.status().in_flight == 0
    assert worker.redis.zscore(keys.published(keys.INTERACTIVE), id_) is None


def test_a_job_that_may_have_been_sent_in_the_lost_second_is_looked_up_first(crashing: Crashing) -> None:
    worker = crashing.worker()
    id_ = submit(worker)
    crashing.remember()
    forgotten = claim(worker, id_)
    crashing.crash()
    other = crashing.worker()
    again = claim(other, id_)
    assert again.call == "query"
    assert again.job.number("sent_at") > 0, "so that an unknown task counts only a call's time later"
    assert worker.attempts.record_outcome(forgotten, Event.SUCCEED, patch={}, entry=RESULT) == "fenced"
    assert worker.attempts.renew_leases([(id_, forgotten.fence, LEASE_S)]) == [False]
    assert other.attempts.record_outcome(again, Event.SUCCEED, patch={}, entry=RESULT) == "ok"


def test_only_so_many_jobs_are_looked_up_as_can_have_been_sent(crashing: Crashing) -> None:
    worker = crashing.worker()
    ids = [submit(worker) for _ in range(200)]
    crashing.crash()
    other = crashing.worker()
    new = submit(other)
    steps: dict[str, str] = {}
    while len(steps) < 150:
        other.dispatch.dispatch_due("w", LEASE_S)
        poke(other.redis, arrival=0)  # not what this is about
        for id_ in other.redis.zrange(keys.published(keys.INTERACTIVE), 0, -1):
            claimed = other.attempts.claim(str(id_), LEASE_S)
            if isinstance(claimed, Claim):
                steps[str(id_)] = claimed.call
                other.attempts.record_outcome(claimed, Event.SUCCEED, patch={})
    looked_up = sum(step == "query" for step in steps.values())
    assert 20 <= looked_up <= 60, "two seconds at 10/s, a burst, and the messages that were out"
    assert steps[ids[-60]] == "swap"
    assert steps.get(new, "swap") == "swap", "submitted to the new server: it can't have been sent before"


def test_a_server_that_is_the_same_raises_no_doubts(crashing: Crashing) -> None:
    worker = crashing.worker()
    id_ = submit(worker)
    assert claim(crashing.worker(), id_).call == "swap"
    assert peek(worker.redis, "epoch") == 0


def test_a_fence_of_the_new_server_is_above_all_of_the_old_one(crashing: Crashing) -> None:
    """Else the forgotten claim and the next one would have the same number."""
    worker = crashing.worker()
    id_ = submit(worker)
    crashing.remember()
    forgotten = claim(worker, id_)
    crashing.crash()
    again = claim(crashing.worker(), id_)
    assert again.fence > forgotten.fence + 1000


def test_a_fresh_worker_on_a_server_that_ran_through_gives_no_grace(crashing: Crashing) -> None:
    """Nobody was there to renew: the jobs' worker is dead, and they are not made to wait a second time."""
    worker = crashing.worker()
    id_ = submit(worker)
    claim(worker, id_, lease_s=0.01)
    poke(worker.redis, dispatched_at=worker.redis.time()[0] * 1000 - 60_000)
    fresh = crashing.worker()
    wait_until(lambda: fresh.dispatch.dispatch_due("fresh", LEASE_S)[0], what="the lease is due")
    assert worker.jobs.get(id_).to_job().state is JobState.QUEUED


def test_a_fresh_worker_on_a_restarted_server_gives_the_others_time_to_renew(crashing: Crashing) -> None:
    worker = crashing.worker()
    id_ = submit(worker)
    claim(worker, id_, lease_s=0.01)
    poke(worker.redis, dispatched_at=worker.redis.time()[0] * 1000 - 60_000)
    crashing.crash()
    fresh = crashing.worker()
    wait_until(lambda: fresh.dispatch.dispatch_due("fresh", LEASE_S)[0], what="the lease is due")
    assert worker.jobs.get(id_).to_job().state is JobState.RUNNING


def test_a_forgotten_claim_remembers_when_it_was_sent_at_the_latest(crashing: Crashing) -> None:
    """Else "not known yet" would be the answer for ever."""
    worker = crashing.worker()
    id_ = submit(worker)
    crashing.remember()
    held = claim(worker, id_)
    crashing.crash()
    worker.attempts.renew_leases([(id_, held.fence, LEASE_S)])
    assert worker.jobs.get(id_).number("sent_at") > 0


def test_whose_turn_came_after_the_crash_cannot_have_been_sent_before_it(crashing: Crashing) -> None:
    """Retries that came due while Redis was down must not use up the doubts meant for others."""
    worker = crashing.worker()
    ids = [submit(worker) for _ in range(3)]
    worker.dispatch.dispatch_due("w", LEASE_S)
    for id_ in ids:
        poke(worker.redis, arrival=0)
        worker.attempts.record_outcome(
            claim(worker, id_), Event.WAIT, patch={"next_call": "swap"}, schedule="retry", delay_s=3.5
        )
    crashing.crash()
    other = crashing.worker()
    doubts = peek(other.redis, "unverified")
    wait_until(
        lambda: (
            other.dispatch.dispatch_due("other", LEASE_S)[0] >= 0
            and other.redis.zcard(keys.published(keys.INTERACTIVE)) == 3
        )
    )
    poke(other.redis, arrival=0)
    assert claim(other, ids[0]).call == "swap"
    assert peek(other.redis, "unverified") == doubts


def test_a_second_crash_that_forgets_the_first_gives_no_fence_twice(crashing: Crashing) -> None:
    worker = crashing.worker()
    id_ = submit(worker)
    crashing.remember()
    submit(worker)
    crashing.crash()
    first = claim(crashing.worker(), id_)
    wait_until(lambda: worker.redis.time()[0] > peek(worker.redis, "epoch"))
    crashing.crash()
    second = claim(crashing.worker(), id_)
    assert second.fence > first.fence
    assert second.call == "query"
