"""The breaker on a clock of its own: when it trips, what it does not charge, how it probes, how it resets."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest

from support.builders import claim, make_request, submit
from support.fake_clock import FakeClock, clocked_store
from swapjobs import JobState
from swapjobs.contract.lifecycle import Event
from swapjobs.settings import Rate
from swapjobs.store import keys, record
from swapjobs.store.claims import Claim, NotClaimed
from swapjobs.store.fleet_state import OUTAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swapjobs.settings import WorkerSettings
    from swapjobs.store.store import Store

LEASE_S = 30
ERROR = record.entry("error", code="attempts_exhausted", message="so it was", retryable=True)


@pytest.fixture
def store(settings: WorkerSettings) -> Iterator[Store]:
    with clocked_store(settings) as store:
        yield store


@pytest.fixture
def clock(store: Store) -> FakeClock:
    return FakeClock(store.redis)


def fail(store: Store, claimed: Claim, says: str = "outage", attempts: int = 1, wake: str = "retry") -> str:
    """Let an attempt fail as `decide` would write it."""
    return store.attempts.record_outcome(
        claimed,
        Event.WAIT,
        patch={"attempts": attempts, "next_call": "swap", "reason": "retry"},
        entry=ERROR if wake == "final_failure" else "",
        schedule=wake,  # type: ignore[arg-type]  # a literal by value
        delay_s=20,
        signal=says,
        next_call_if_uncharged="swap",
    )


def succeed(store: Store, claimed: Claim) -> str:
    return store.attempts.record_outcome(claimed, Event.SUCCEED, patch={}, signal="answer")


def tripped(store: Store) -> str:
    """Return why dispatch is paused, or an empty text."""
    return OUTAGES[int(store.dispatch.inspect().numbers["tripped"])]


def look(store: Store, id_: str) -> tuple[JobState, str | None, int]:
    job = store.jobs.get(id_).to_job()
    return job.state, job.reason, job.failed_attempts


def trip(store: Store, says: str = "outage") -> list[str]:
    """Close the line with five jobs' failures; return these jobs."""
    ids = [submit(store) for _ in range(5)]
    answers = [fail(store, claimed, says) for claimed in [claim(store, id_) for id_ in ids]]
    assert answers == ["ok"] * 4 + ["uncharged"]
    return ids


def next_probe(store: Store, clock: FakeClock, lease_s: float = LEASE_S) -> Claim:
    """Let time pass until the next message leads to a claim."""
    for _ in range(1000):
        clock.move(0.25)
        store.dispatch.dispatch_due("w", lease_s)
        for ready_queue in (keys.READY[keys.INTERACTIVE], keys.READY[keys.BULK]):
            while message := store.redis.rpop(ready_queue):
                claimed = store.attempts.claim(json.loads(str(message))["headers"]["id"], lease_s)
                if isinstance(claimed, Claim):
                    return claimed
    raise AssertionError("no probe")


def test_it_trips_on_the_share_of_failed_calls_and_gives_the_attempts_back(store: Store) -> None:
    ids = trip(store)
    assert tripped(store) == "vendor_outage"
    assert [look(store, id_) for id_ in ids] == [(JobState.WAITING, "vendor_outage", 0)] * 5


def test_it_does_not_trip_while_most_calls_are_answered(store: Store) -> None:
    for _ in range(20):
        assert succeed(store, claim(store, submit(store))) == "ok"
    for number in range(15):
        assert fail(store, claim(store, submit(store))) == "ok"
        if number % 5 == 0:
            succeed(store, claim(store, submit(store)))
    assert tripped(store) == ""


def test_ten_failures_without_an_answer_trip_it_however_long_they_took(store: Store, clock: FakeClock) -> None:
    """Few slots and a vendor that hangs: a call timeout lies between them. And all that was charged is given back."""
    for _ in range(100):
        succeed(store, claim(store, submit(store)))
    ids = [submit(store) for _ in range(10)]
    for id_ in ids:
        assert tripped(store) == ""
        fail(store, claim(store, id_), "failure")
        clock.move(60)
        store.dispatch.dispatch_due("w", LEASE_S)
    assert tripped(store) == "vendor_outage"
    assert [look(store, id_)[2] for id_ in ids] == [0] * 10


def test_look_ups_that_find_nothing_do_not_hide_an_outage(store: Store) -> None:
    """Where only the swaps fail, each of them is looked up twice, and the queries are answered."""
    for number in range(5):
        fail(store, claim(store, submit(store)), "failure")
        for _ in range(2 * (number < 4)):
            asked = claim(store, submit(store))
            store.attempts.record_outcome(
                asked, Event.WAIT, patch={"next_call": "query"}, schedule="retry", delay_s=5, signal=""
            )
    assert tripped(store) == "vendor_outage"


def test_failures_out_of_the_window_count_no_more(store: Store, clock: FakeClock) -> None:
    for _ in range(9):
        fail(store, claim(store, submit(store)))
        clock.move(8)
    assert tripped(store) == ""


def test_one_jobs_own_500_does_not_trip_it_however_often(store: Store, clock: FakeClock) -> None:
    id_ = submit(store)
    for attempt in range(1, 7):
        assert fail(store, claim(store, id_), "failure", attempt, wake="") == "ok"
        clock.move(0.1)
    assert look(store, id_) == (JobState.WAITING, "retry", 6)


def test_a_lone_job_is_spared_when_the_failure_cannot_be_its_own(store: Store) -> None:
    id_ = submit(store)
    answers = [fail(store, claim(store, id_), "outage", attempt, wake="") for attempt in range(1, 6)]
    assert answers == ["ok"] * 4 + ["uncharged"]
    assert look(store, id_) == (JobState.WAITING, "vendor_outage", 0)


def test_while_it_is_open_nothing_is_fetched_and_messages_that_are_out_come_back(store: Store) -> None:
    trip(store)
    ids = [submit(store) for _ in range(20)]
    assert not store.redis.zcard(keys.published(keys.INTERACTIVE))
    store.redis.zadd(keys.published(keys.INTERACTIVE), {ids[0]: 1})  # as if its message had been out before
    store.redis.zrem(keys.queue(keys.INTERACTIVE, "default"), ids[0])
    assert store.attempts.claim(ids[0], LEASE_S) == NotClaimed("outage")
    assert look(store, ids[0]) == (JobState.WAITING, "vendor_outage", 0)
    (first,) = store.redis.zrange(keys.queue(keys.INTERACTIVE, "default"), -20, -20)
    assert first == ids[0], "behind those that met the outage before, ahead of the fresh ones"


def test_a_claim_that_waits_for_its_slot_is_told(store: Store) -> None:
    waiting = claim(store, submit(store))
    trip(store)
    assert store.attempts.confirm(waiting) == "outage"


def test_each_probe_is_another_jobs_and_the_pauses_grow_to_their_cap(store: Store, clock: FakeClock) -> None:
    trip(store)
    for _ in range(20):
        submit(store)
    probes, times = [], []
    for _ in range(12):
        probe = next_probe(store, clock)
        assert store.attempts.confirm(probe) == "ok"
        probes.append(probe.job.id)
        times.append(clock.now_s)
        assert fail(store, probe) == "uncharged"
    assert len(set(probes)) == 12
    pauses = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert pauses == pytest.approx([2, 4, *[5] * 9], abs=0.5)


def test_only_one_probe_is_out_but_one_that_hangs_is_not_waited_for(store: Store, clock: FakeClock) -> None:
    trip(store)
    next_probe(store, clock)
    began = clock.now_s
    next_probe(store, clock)
    assert LEASE_S > clock.now_s - began >= 5


def test_an_answer_resets_it_and_the_spared_jobs_come_first(store: Store, clock: FakeClock) -> None:
    uncharged = trip(store)
    fresh = [submit(store) for _ in range(10)]
    fail(store, next_probe(store, clock))
    order: list[str] = []
    while len(order) < 15:
        probe = next_probe(store, clock)
        order.append(probe.job.id)
        succeed(store, probe)
        assert tripped(store) == ""
    assert set(order[:5]) == set(uncharged)
    assert order[5:] == fresh


def test_a_job_with_a_500_of_its_own_cannot_keep_the_line_shut(store: Store, clock: FakeClock) -> None:
    """Three such jobs and one good one: the good one is probed with at last, and comes through."""
    bad = [submit(store) for _ in range(3)]
    for attempt in (1, 2):
        for id_ in bad:
            if tripped(store) == "":
                fail(store, claim(store, id_), "failure", attempt, wake="")
    assert tripped(store) == "vendor_outage"
    good = submit(store)
    while True:
        probe = next_probe(store, clock)
        if probe.job.id == good:
            break
        assert fail(store, probe, "failure") == "uncharged"
    assert succeed(store, probe) == "ok"
    assert tripped(store) == ""


def test_jobs_that_cause_outages_are_charged_in_the_end(store: Store, clock: FakeClock) -> None:
    """Three bad jobs and a good one now and then: each reset is followed by another trip, but not for ever."""
    bad = [submit(store) for _ in range(3)]
    uncharged = 0
    while not any(store.redis.zscore(keys.schedule(), f"final_failure:{id_}") for id_ in bad):
        if tripped(store):
            submit(store)
        probe = next_probe(store, clock)
        if probe.job.id in bad:
            attempts = probe.job.number("attempts") + 1
            uncharged += (
                fail(store, probe, "failure", attempts, wake="final_failure" if attempts >= 6 else "") == "uncharged"
            )
        else:
            succeed(store, probe)
        assert uncharged < 100
    assert uncharged > 3


def test_the_last_attempt_is_judged_when_it_is_clear_that_it_was_no_outage(store: Store, clock: FakeClock) -> None:
    id_ = submit(store)
    assert fail(store, claim(store, id_), "outage", 6, wake="final_failure") == "ok"
    assert look(store, id_) == (JobState.WAITING, "retry", 6)
    clock.move(29)
    store.dispatch.dispatch_due("w", LEASE_S)
    assert look(store, id_)[0] is JobState.WAITING, "the window is not over"
    clock.move(2)
    store.dispatch.dispatch_due("w", LEASE_S)
    assert look(store, id_)[0] is JobState.FAILED
    error = store.jobs.get(id_).to_job().error
    assert error is not None
    assert error.code == "attempts_exhausted"


def test_the_last_attempt_is_judged_at_once_while_the_vendor_works(store: Store) -> None:
    for _ in range(10):
        succeed(store, claim(store, submit(store)))
    id_ = submit(store)
    assert fail(store, claim(store, id_), "outage", 6, wake="final_failure") == "failed"
    assert look(store, id_)[0] is JobState.FAILED


def test_the_last_attempt_is_given_back_when_an_outage_shows(store: Store) -> None:
    id_ = submit(store)
    fail(store, claim(store, id_), "outage", 6, wake="final_failure")
    for _ in range(4):
        fail(store, claim(store, submit(store)))
    assert look(store, id_) == (JobState.WAITING, "vendor_outage", 5)


def test_refused_credentials_close_the_line_when_three_jobs_got_them(store: Store, clock: FakeClock) -> None:
    first, second, third = (claim(store, submit(store)) for _ in range(3))
    assert fail(store, first, "credentials_rejected") == "ok"
    assert fail(store, second, "credentials_rejected") == "ok"
    assert fail(store, third, "credentials_rejected") == "uncharged"
    assert tripped(store) == "credentials_rejected"
    assert look(store, first.job.id) == (JobState.WAITING, "vendor_outage", 0)
    began = clock.now_s
    next_probe(store, clock)
    assert clock.now_s - began >= 6, "a person has to act"


def test_one_forbidden_picture_does_not_close_the_line(store: Store) -> None:
    id_ = submit(store)
    for attempt in range(1, 6):
        assert fail(store, claim(store, id_), "credentials_rejected", attempt, wake="") == "ok"
    assert tripped(store) == ""


def test_a_success_in_between_starts_the_count_of_refusals_anew(store: Store) -> None:
    for _ in range(2):
        fail(store, claim(store, submit(store)), "quota_exhausted")
    succeed(store, claim(store, submit(store)))
    assert fail(store, claim(store, submit(store)), "quota_exhausted") == "ok"
    assert tripped(store) == ""


def test_a_look_up_passes_as_a_probe(store: Store, clock: FakeClock) -> None:
    asked = claim(store, submit(store))
    store.attempts.record_outcome(asked, Event.WAIT, patch={"next_call": "query"}, schedule="")
    trip(store)
    probe = next_probe(store, clock)
    while probe.job.id != asked.job.id:
        fail(store, probe)
        probe = next_probe(store, clock)
    assert probe.call == "query"
    store.attempts.record_outcome(
        probe, Event.WAIT, patch={"next_call": "query"}, schedule="poll", delay_s=60, signal="answer"
    )
    assert tripped(store) == ""


def test_after_a_reset_the_rate_grows_instead_of_jumping(store: Store, clock: FakeClock) -> None:
    """1000/s: in the first second far fewer, after the ramp the full rate."""
    trip(store)
    for _ in range(30):
        store.jobs.submit([make_request(priority="bulk") for _ in range(100)])
    succeed(store, next_probe(store, clock))
    first_second = booked_in_a_second(store, clock)
    assert 0 < first_second < 300
    clock.move(5)
    assert booked_in_a_second(store, clock) > 900


def booked_in_a_second(store: Store, clock: FakeClock) -> int:
    booked = 0
    for _ in range(10):
        clock.move(0.1)
        store.dispatch.dispatch_due("w", LEASE_S)
        while ids := store.redis.zrange(keys.published(keys.BULK), 0, -1):
            for id_ in ids:
                claimed = store.attempts.claim(str(id_), LEASE_S)
                if not isinstance(claimed, Claim):
                    break
                booked += 1
                succeed(store, claimed)
            else:
                continue
            break
    return booked


def test_webhooks_go_on_while_the_line_is_closed(store: Store) -> None:
    done = claim(store, submit(store, callback_url="https://hooks.example/in"))
    trip(store)
    succeed(store, done)
    assert store.deliveries.claim(done.job.id, LEASE_S) is not None


def test_the_line_closed_by_hand_lets_nothing_through_and_opens_again(store: Store, clock: FakeClock) -> None:
    running = claim(store, submit(store))
    out = submit(store)
    store.dispatch.pause()
    assert store.attempts.confirm(running) == "paused_manually"
    assert store.attempts.claim(out, LEASE_S) == NotClaimed("paused_manually")
    assert store.dispatch.status().reason == "manual"
    clock.move(7200)
    store.dispatch.dispatch_due("w", LEASE_S)
    assert not store.redis.zcard(keys.published(keys.INTERACTIVE))
    store.dispatch.resume()
    store.dispatch.dispatch_due("w", LEASE_S)
    assert isinstance(store.attempts.claim(out, LEASE_S), Claim)


@pytest.mark.parametrize("rate", ["7/m", "1/s", "19/m", "1000/s"])
def test_failures_are_noted_at_any_rate_and_while_it_grows_back(
    store: Store, settings: WorkerSettings, clock: FakeClock, rate: str
) -> None:
    store.dispatch.set_limits(settings.model_copy(update={"rate_limit": Rate(rate), "rate_burst": 20}))
    trip(store)
    succeed(store, next_probe(store, clock))
    clock.move(1.7)
    assert fail(store, next_probe(store, clock)) == "ok"


def test_a_look_up_that_failed_gets_no_attempt_back(store: Store) -> None:
    """It was charged none. But the time of asking in vain begins anew."""
    id_ = submit(store)
    store.attempts.record_outcome(
        claim(store, id_), Event.WAIT, patch={"attempts": 4, "next_call": "query"}, schedule="", signal=""
    )
    patch: dict[str, str | int] = {"next_call": "query", "failed_lookups": 1, "failed_lookups_since": 5}
    store.attempts.record_outcome(
        claim(store, id_), Event.WAIT, patch=patch, schedule="retry", delay_s=9, signal="failure"
    )
    for _ in range(4):
        fail(store, claim(store, submit(store)))
    assert look(store, id_) == (JobState.WAITING, "vendor_outage", 4)
    assert not {"failed_lookups", "failed_lookups_since"} & set(store.jobs.get(id_).fields)


def test_a_probe_that_tells_nothing_makes_nobody_wait(store: Store, clock: FakeClock) -> None:
    trip(store)
    probe = next_probe(store, clock)
    store.attempts.record_outcome(
        probe, Event.WAIT, patch={"next_call": "query"}, schedule="retry", delay_s=60, signal=""
    )
    began = clock.now_s
    next_probe(store, clock)
    assert clock.now_s - began < 1


def test_a_refused_account_is_an_answer_of_a_vendor_that_was_down(store: Store, clock: FakeClock) -> None:
    trip(store)
    assert fail(store, next_probe(store, clock), "credentials_rejected") == "ok"
    assert tripped(store) == ""
