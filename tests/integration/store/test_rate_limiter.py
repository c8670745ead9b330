"""Traffic control against a plain Python model: every claim gets the same answer, and no limit breaks in any window.

The scripts run as in production, refill and all, on a fake clock; only the answers of claims are compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from support.builders import make_request, submit
from support.fake_clock import FakeClock, clocked_store
from swapjobs.contract.lifecycle import Event
from swapjobs.contract.tenant import TenantLimits
from swapjobs.settings import Rate, WorkerSettings
from swapjobs.store import keys
from swapjobs.store.claims import Claim
from swapjobs.store.record import pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swapjobs.store.record import Record
    from swapjobs.store.store import Store

TENANTS = ("limited", "free")
SWAP_LANES = (keys.INTERACTIVE, keys.BULK)
RESERVE = 1.015  # of the rate, for calls that leave later than booked
LEASE_S, HORIZON_S, ROUNDING_S = 600, 1.0, 1e-5


@dataclass
class Gcra:
    """A rate by the generic cell rate algorithm, as the textbook has it; seconds."""

    interval: float
    burst: float
    arrival: float = 0.0

    def earliest(self, now: float) -> float:
        return max(now, max(self.arrival, now) + self.interval - self.burst * self.interval)

    def take(self, at: float) -> None:
        self.arrival = max(self.arrival, at) + self.interval


@dataclass
class Model:
    """All limits, each as a rate or a number of its own."""

    rate: Gcra
    most: int
    bulk: Gcra | None
    bulk_most: int
    tenant: Gcra | None
    tenant_most: int
    calls: dict[str, Record] = field(default_factory=dict)  # in flight
    paused_until: float = 0.0

    def claim(self, job: Record, now: float) -> float | str:
        """Return the wait in seconds, or why there is no slot."""
        if self.paused_until > now + ROUNDING_S:
            return "rate_limit"
        is_bulk, is_limited = job.fields["priority"] == "bulk", job.fields["tenant"] == "limited"
        at = self.rate.earliest(now)
        bulk_out = sum(call.fields["priority"] == "bulk" for call in self.calls.values())
        tenant_out = sum(call.fields["tenant"] == "limited" for call in self.calls.values())
        if (
            (self.most and len(self.calls) >= self.most)
            or at - now > max(HORIZON_S, self.rate.interval) + ROUNDING_S
            or (is_bulk and self.bulk and self.most and bulk_out >= self.bulk_most)
            or (is_bulk and self.bulk and self.bulk.earliest(at) > at + ROUNDING_S)
            or (is_limited and self.tenant_most and tenant_out >= self.tenant_most)
            or (is_limited and self.tenant and self.tenant.earliest(at) > at + ROUNDING_S)
        ):
            return "busy"
        self.rate.take(now)
        if is_bulk and self.bulk:
            self.bulk.take(at)
        if is_limited and self.tenant:
            self.tenant.take(at)
        self.calls[job.id] = job
        return at - now


@pytest.fixture
def store(settings: WorkerSettings) -> Iterator[Store]:
    with clocked_store(settings) as clocked:
        yield clocked


def catching_up(interval: float, seconds: float) -> Gcra:
    return Gcra(interval, max(2.0, seconds / interval))


limits = st.fixed_dictionaries(
    {
        "rate": st.sampled_from(["30/m", "5/s", "20/s", "333/s"]),
        "burst": st.integers(1, 4),
        "most": st.sampled_from([0, 0, 3, 8]),
        "share": st.sampled_from([1.0, 0.5, 0.8]),
        "tenant_rate": st.sampled_from([None, "2/s", "9/s"]),
        "tenant_most": st.sampled_from([0, 2]),
    }
)
kinds = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([1, 10, 100, 333, 2000]).map(lambda ms: ms / 1000)),
    st.tuples(st.just("message_too_much"), st.integers(0, 3)),
    st.tuples(st.just("finish"), st.integers(0, 7)),
    st.tuples(st.just("pause"), st.sampled_from([0.0, 0.0, 0.0, 0.3, 2.0])),
    st.tuples(st.just("claim"), st.lists(st.integers(0, 7), min_size=1, max_size=8)),
)
steps = st.lists(kinds, min_size=20, max_size=50)


@dataclass
class Run:
    """One example: the steps, done by the scripts and by the model."""

    store: Store
    model: Model
    clock: FakeClock
    slots: list[tuple[float, Record]] = field(default_factory=list)

    def wait(self, seconds: float) -> None:
        self.clock.move(seconds)
        self.store.dispatch.dispatch_due("w", LEASE_S)

    def pause(self, seconds: float) -> None:
        if self.model.calls:
            finish(self.store, self.model, 0, pause_s=seconds)
            self.model.paused_until = max(self.model.paused_until, self.clock.now_s + seconds)

    def finish(self, pick: int) -> None:
        if self.model.calls:
            finish(self.store, self.model, pick)

    def message_too_much(self, pick: int) -> None:
        """Send a message that the refill would not have sent, as there are after a limit was lowered."""
        lane, tenant = [(lane, tenant) for lane in SWAP_LANES for tenant in TENANTS][pick % 4]
        popped: Any = self.store.redis.zpopmin(keys.queue(lane, tenant))
        for id_, _ in popped:
            self.store.redis.zadd(keys.published(lane), {id_: self.clock.now_s * 1000})

    def claim(self, picks: list[int]) -> None:
        for pick in picks:
            self.claim_one(pick)

    def claim_one(self, pick: int) -> None:
        messages = [id_ for lane in SWAP_LANES for id_ in self.store.redis.zrange(keys.published(lane), 0, -1)]
        if not messages:
            return
        job = self.store.jobs.get(str(messages[pick % len(messages)]))
        answer, expected = self.store.attempts.claim(job.id, LEASE_S), self.model.claim(job, self.clock.now_s)
        if isinstance(answer, Claim):
            assert answer.wait_s == pytest.approx(expected, abs=1e-4)
            self.slots.append((self.clock.now_s + answer.wait_s, job))
        else:
            assert answer.reason == expected


@pytest.mark.slow
@given(limits=limits, steps=steps)
@hypothesis_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_claim_is_answered_as_the_model_does(
    store: Store, settings: WorkerSettings, limits: dict[str, Any], steps: list[tuple[str, Any]]
) -> None:
    store.redis.flushdb()
    clock = FakeClock(store.redis)
    gap = Rate(limits["rate"]).interval_s * RESERVE
    own = Rate(limits["tenant_rate"]) if limits["tenant_rate"] else None
    chosen = {"rate_limit": Rate(limits["rate"]), "rate_burst": limits["burst"]}
    chosen |= {"max_in_flight": limits["most"], "bulk_share": limits["share"]}
    store.dispatch.set_limits(settings.model_copy(update=chosen))
    store.tenants.set(TenantLimits(tenant="limited", rate=own, max_in_flight=limits["tenant_most"]))
    model = Model(
        Gcra(gap, limits["burst"]),
        limits["most"],
        catching_up(gap / limits["share"], 0.25) if limits["share"] < 1 else None,
        math.ceil(limits["share"] * limits["most"]),
        catching_up(own.interval_s, 2) if own else None,
        limits["tenant_most"],
    )
    for lane, number in zip(SWAP_LANES, (2, 40), strict=True):
        store.jobs.submit([make_request(tenant=name, priority=lane) for name in TENANTS for _ in range(number)])
    run = Run(store, model, clock)
    for step, value in steps:
        getattr(run, step)(value)
        assert in_flight(store) == len(model.calls)
    check(run.slots, gap, limits["burst"])
    if model.bulk:
        bulk = [slot for slot in run.slots if slot[1].fields["priority"] == "bulk"]
        check(bulk, model.bulk.interval, model.bulk.burst)
    if model.tenant:
        mine = [slot for slot in run.slots if slot[1].fields["tenant"] == "limited"]
        check(mine, model.tenant.interval, model.tenant.burst)


def in_flight(store: Store) -> int:
    """Ask for this alone: `status` counts the queues and looks at the workers besides."""
    return int(pairs(store.functions.call("fleet/inspect")[1])["in_flight"])


def finish(store: Store, model: Model, pick: int, *, pause_s: float = 0) -> None:
    """End one of the calls; with a pause it was throttled, and the vendor said for how long."""
    id_ = list(model.calls)[pick % len(model.calls)]
    claim = Claim(model.calls.pop(id_), fence=1, call="swap", wait_s=0, now_ms=0)
    event = Event.WAIT if pause_s else Event.SUCCEED
    assert (
        store.attempts.record_outcome(
            claim, event, patch={}, signal="", schedule="retry", delay_s=3600, pause_s=pause_s
        )
        == "ok"
    )


def check(slots: list[tuple[float, Record]], gap: float, burst: float) -> None:
    """In every window of T seconds at most T / gap + burst calls."""
    times = sorted(time for time, _ in slots)
    for first, start in enumerate(times):
        for last in range(first, len(times)):
            assert last - first + 1 <= (times[last] - start) / gap + burst + 0.01


def test_a_clock_that_jumps_back_does_not_close_the_line(store: Store) -> None:
    """An hour back: the stored arrival time is an hour ahead, but no call waits longer than the horizon for it."""
    clock = FakeClock(store.redis)
    ids = [submit(store) for _ in range(4)]
    assert isinstance(store.attempts.claim(ids[0], LEASE_S), Claim)
    clock.move(-3600)
    store.attempts.claim(ids[1], LEASE_S)
    clock.move(1.5)
    third = store.attempts.claim(ids[2], LEASE_S)
    assert isinstance(third, Claim)
    assert third.wait_s <= HORIZON_S + 0.3


def test_after_a_long_pause_nothing_comes_in_a_bunch(store: Store, settings: WorkerSettings) -> None:
    """An hour in which nothing was called, and there is still only the burst to be had at once."""
    store.dispatch.set_limits(settings.model_copy(update={"rate_limit": Rate("5/s"), "rate_burst": 2}))
    clock = FakeClock(store.redis)
    ids = [submit(store) for _ in range(8)]
    assert isinstance(store.attempts.claim(ids.pop(0), LEASE_S), Claim)
    clock.move(3600)
    claims = [store.attempts.claim(id_, LEASE_S) for id_ in ids]
    waits = [claim.wait_s for claim in claims if isinstance(claim, Claim)]
    assert waits[:2] == [0, 0]
    assert all(later - earlier == pytest.approx(0.2 * RESERVE, abs=1e-3) for earlier, later in pairwise(waits[1:]))
    assert len(waits) == 6, "two at once, and one for each interval of the next second"
