"""The rate learns from refusals: the real scripts on a fake clock, and a vendor that allows less than is configured."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import pytest

from factories import job_of, make_request
from fake_clock import FakeClock, clocked_store
from swapjobs import keys
from swapjobs.claims import Claim
from swapjobs.lifecycle import Event
from swapjobs.settings import Rate, WorkerSettings
from swapsandbox.limit import RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swapjobs.store import JobStore

TICK_S = 0.25


@pytest.fixture
def store(settings: WorkerSettings) -> Iterator[JobStore]:
    with clocked_store(settings) as clocked:
        yield clocked


@dataclass
class Rehearsal:
    """A fleet with slots for everything, and a vendor with a limit of its own, played through event by event."""

    store: JobStore
    clock: FakeClock
    allows: Callable[[float], bool]  # a call at this second of the rehearsal
    latency_s: float
    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    outcomes: dict[str, bool] = field(default_factory=dict)
    order: Iterator[int] = field(default_factory=count)
    until: float = 0.0

    def __post_init__(self) -> None:
        self.start = self.clock.now_s
        self.agenda: list[tuple[float, int, Claim | None]] = [(0.0, next(self.order), None)]

    def later(self, at: float, claim: Claim | None) -> None:
        heapq.heappush(self.agenda, (at, next(self.order), claim))

    def run(self, seconds: float) -> None:
        """Play on for so many seconds."""
        self.until += seconds
        while self.agenda[0][0] < self.until:
            at, _, claim = heapq.heappop(self.agenda)
            self.clock.move(self.start + at - self.clock.now_s)
            if claim is None:
                self.store.wake("w", 600)
                self.later(at + TICK_S, None)
            elif claim.job.id in self.outcomes:
                self.tell(claim, good=self.outcomes.pop(claim.job.id))
            else:
                self.outcomes[claim.job.id] = good = self.allows(at)
                (self.answered if good else self.refused).append(at)
                self.later(at + self.latency_s, claim)
            self.claim_all(at)

    def claim_all(self, at: float) -> None:
        while hint := self.store.redis.rpop(keys.SWAPS_QUEUE):
            claim = self.store.claim(job_of(hint), 600)
            if isinstance(claim, Claim):
                self.later(at + claim.wait_s, claim)

    def tell(self, claim: Claim, *, good: bool) -> None:
        made_at_ms = claim.now_ms + int(claim.wait_s * 1000)
        if good:
            self.store.apply(claim, Event.SUCCEED, patch={}, says="answer", made_at_ms=made_at_ms)
            return
        patch = {"step": "send", "reason": "rate_limit"}
        self.store.apply(
            claim, Event.WAIT, patch=patch, wake="retry", delay_s=1, says="too_fast", made_at_ms=made_at_ms
        )


def begin(store: JobStore, settings: WorkerSettings, rate: str, jobs: int) -> FakeClock:
    store.set_limits(settings.model_copy(update={"rate_limit": Rate(rate)}))
    for _ in range(0, jobs, 500):
        store.submit([make_request() for _ in range(500)])
    return FakeClock(store.redis)


@pytest.mark.parametrize(("rate", "latency_s", "seconds"), [("50/s", 0.25, 60), ("50/s", 2.0, 60), ("5/s", 0.5, 300)])
def test_it_settles_at_what_the_vendor_allows(
    store: JobStore, settings: WorkerSettings, rate: str, latency_s: float, seconds: float
) -> None:
    """Half of what is configured: used to 90 % and more, and hardly any call is refused."""
    real = 0.5 / Rate(rate).interval_s
    clock = begin(store, settings, rate, int(real * seconds * 1.3))
    limit = RateLimit(real)
    rehearsal = Rehearsal(store, clock, lambda at: limit.wait_s(1e6 + at) == 0, latency_s)
    rehearsal.run(seconds)
    settled = seconds / 3
    answered = sum(at > settled for at in rehearsal.answered)
    refused = sum(at > settled for at in rehearsal.refused)
    assert answered > 0.9 * real * (seconds - settled)
    assert refused < 0.02 * (answered + refused)
    assert store.line().rate == pytest.approx(real, rel=0.1)


def test_a_limit_that_is_lifted_is_found_out(store: JobStore, settings: WorkerSettings) -> None:
    clock = begin(store, settings, "50/s", 5000)
    slow, fast = RateLimit(25), RateLimit(60)
    rehearsal = Rehearsal(store, clock, lambda at: slow.wait_s(1e6 + at) == 0, 0.25)
    rehearsal.run(20)
    assert store.line().rate < 30
    rehearsal.allows = lambda at: fast.wait_s(1e6 + at) == 0
    rehearsal.run(90)
    assert store.line().rate == store.line().rate_limit


def test_after_a_storm_in_which_nothing_came_through_the_rate_is_back_soon(
    store: JobStore, settings: WorkerSettings
) -> None:
    """That was no limit: the rate goes down to the floor, and back up in seconds instead of an hour."""
    clock = begin(store, settings, "50/s", 2000)
    rehearsal = Rehearsal(store, clock, lambda _: True, 0.25)
    rehearsal.run(5)
    rehearsal.allows = lambda _: False
    rehearsal.run(20)
    assert store.line().rate == pytest.approx(50 * settings.rate_floor)
    in_storm = len(rehearsal.refused)
    assert in_storm < 0.2 * 20 * 50
    rehearsal.allows = lambda _: True
    rehearsal.run(15)
    assert store.line().rate > 0.9 * 50
    assert len(rehearsal.refused) == in_storm


def test_calls_from_before_the_cut_do_not_cut_again(store: JobStore, settings: WorkerSettings) -> None:
    """Twenty that were on their way when the first of them was refused: the rate is lowered once."""
    clock = begin(store, settings, "50/s", 100)
    rehearsal = Rehearsal(store, clock, lambda _: True, 1.0)
    rehearsal.run(3)
    rehearsal.allows = lambda _: False
    rehearsal.run(1.9)
    assert store.look().traffic["learned"] == pytest.approx(0.5, abs=0.01)


def test_with_a_floor_of_one_nothing_is_learned(store: JobStore, settings: WorkerSettings) -> None:
    clock = begin(store, settings.model_copy(update={"rate_floor": 1}), "50/s", 200)
    Rehearsal(store, clock, lambda _: False, 0.25).run(2)
    assert store.line().rate == 50


def test_another_limit_begins_anew(store: JobStore, settings: WorkerSettings) -> None:
    """What was learned about 50/s says nothing of 20/s; a worker that starts with the same limit changes nothing."""
    clock = begin(store, settings, "50/s", 500)
    Rehearsal(store, clock, lambda _: False, 0.25).run(5)
    learned = store.look().traffic["learned"]
    assert learned < 0.5
    store.set_limits(settings.model_copy(update={"rate_limit": Rate("50/s")}))
    assert store.look().traffic["learned"] == learned
    store.set_limits(settings.model_copy(update={"rate_limit": Rate("20/s")}))
    assert store.line().rate == 20
