"""The rate learns from refusals: the real scripts on a fake clock, and a vendor that allows less than is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.fake_clock import clocked_store
from support.rehearsal import Rehearsal, begin, vendor
from swapjobs.settings import Rate, WorkerSettings
from swapsandbox.vendor.rate_limit import RateLimit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swapjobs.store.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture
def store(settings: WorkerSettings) -> Iterator[Store]:
    with clocked_store(settings) as clocked:
        yield clocked


@pytest.mark.parametrize(("rate", "latency_s", "seconds"), [("50/s", 0.25, 60), ("50/s", 2.0, 60), ("5/s", 0.5, 300)])
def test_it_settles_at_what_the_vendor_allows(
    store: Store, settings: WorkerSettings, rate: str, latency_s: float, seconds: float
) -> None:
    """Half of what is configured: used to 95 % and more, and hardly any call is refused."""
    real = 0.5 / Rate(rate).interval_s
    clock = begin(store, settings, rate, int(real * seconds * 1.3))
    limit = RateLimit(real)
    rehearsal = Rehearsal(store, clock, lambda at: limit.wait_s(1e6 + at) == 0, latency_s)
    rehearsal.run(seconds)
    settled = seconds / 3
    answered = sum(at > settled for at in rehearsal.answered)
    refused = sum(at > settled for at in rehearsal.refused)
    assert answered > 0.95 * real * (seconds - settled)
    assert refused < 0.02 * (answered + refused)
    assert store.dispatch.status().rate == pytest.approx(real, rel=0.1)


def test_a_limit_that_is_lifted_is_found_out(store: Store, settings: WorkerSettings) -> None:
    clock = begin(store, settings, "50/s", 5000)
    slow, fast = RateLimit(25), RateLimit(60)
    rehearsal = Rehearsal(store, clock, lambda at: slow.wait_s(1e6 + at) == 0, 0.25)
    rehearsal.run(20)
    assert store.dispatch.status().rate < 30
    rehearsal.allows = lambda at: fast.wait_s(1e6 + at) == 0
    rehearsal.run(90)
    assert store.dispatch.status().rate == store.dispatch.status().rate_limit


def test_after_a_storm_in_which_nothing_came_through_the_rate_is_back_soon(
    store: Store, settings: WorkerSettings
) -> None:
    """That was no limit: the rate goes down to the floor, and back up in seconds instead of an hour."""
    clock = begin(store, settings, "50/s", 2000)
    rehearsal = Rehearsal(store, clock, lambda _: True, 0.25)
    rehearsal.run(5)
    rehearsal.allows = lambda _: False
    rehearsal.run(20)
    assert store.dispatch.status().rate == pytest.approx(50 * settings.rate_floor)
    in_storm = len(rehearsal.refused)
    assert in_storm < 0.2 * 20 * 50
    rehearsal.allows = lambda _: True
    rehearsal.run(15)
    assert store.dispatch.status().rate > 0.9 * 50
    assert len(rehearsal.refused) == in_storm


def test_calls_from_before_the_rate_fell_do_not_lower_it_again(store: Store, settings: WorkerSettings) -> None:
    """Those that were on their way when the tenth of them was refused: the rate is halved once."""
    clock = begin(store, settings, "50/s", 100)
    rehearsal = Rehearsal(store, clock, lambda _: True, 1.0)
    rehearsal.run(3)
    rehearsal.allows = lambda _: False
    rehearsal.run(1.9)
    assert store.dispatch.inspect().numbers["rate_factor"] == pytest.approx(0.5, abs=0.01)


def test_with_a_floor_of_one_nothing_is_learned(store: Store, settings: WorkerSettings) -> None:
    clock = begin(store, settings.model_copy(update={"rate_floor": 1}), "50/s", 200)
    Rehearsal(store, clock, lambda _: False, 0.25).run(2)
    assert store.dispatch.status().rate == 50


def test_another_limit_begins_anew(store: Store, settings: WorkerSettings) -> None:
    """What was learned about 50/s says nothing of 20/s; a worker that starts with the same limit changes nothing."""
    clock = begin(store, settings, "50/s", 500)
    Rehearsal(store, clock, lambda _: False, 0.25).run(5)
    learned = store.dispatch.inspect().numbers["rate_factor"]
    assert learned < 0.5
    store.dispatch.set_limits(settings.model_copy(update={"rate_limit": Rate("50/s")}))
    assert store.dispatch.inspect().numbers["rate_factor"] == learned
    store.dispatch.set_limits(settings.model_copy(update={"rate_limit": Rate("20/s")}))
    assert store.dispatch.status().rate == 20


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
@pytest.mark.parametrize(("rate", "seconds"), [("1/s", 600), ("30/s", 60)])
def test_refusals_at_random_slow_nothing_down(
    store: Store, settings: WorkerSettings, rate: str, seconds: float, share: float
) -> None:
    """A vendor that sheds load refuses as many at a lower rate: going slower would only cost calls."""
    full = 1 / Rate(rate).interval_s
    clock = begin(store, settings, rate, int(full * seconds))
    rehearsal = Rehearsal(store, clock, vendor(3, noise=lambda _: share), 0.25)
    rehearsal.run(seconds)
    made = len(rehearsal.answered) + len(rehearsal.refused)
    assert made > 0.95 * full / 1.015 * seconds
    assert store.dispatch.status().refused_at_any_rate == pytest.approx(share, abs=0.5 * share) or share == 0.01


def test_after_twenty_seconds_of_refusals_at_random_the_rate_is_full(store: Store, settings: WorkerSettings) -> None:
    clock = begin(store, settings, "30/s", 2500)
    rehearsal = Rehearsal(store, clock, vendor(3, noise=lambda at: 0.2 if 10 <= at < 30 else 0), 0.25)
    rehearsal.run(70)
    bad = rehearsal.used(10, 30)
    assert bad > 0.9 * 0.8 * 30 / 1.015
    assert rehearsal.used(50, 70) > 0.95 * 30 / 1.015


def test_a_limit_that_halves_and_comes_back_is_followed(store: Store, settings: WorkerSettings) -> None:
    clock = begin(store, settings, "30/s", 3500)
    rehearsal = Rehearsal(store, clock, vendor(1, limit=lambda at: 15 if 20 <= at < 80 else None), 0.25)
    rehearsal.run(130)
    assert rehearsal.used(50, 80) > 0.9 * 15
    assert rehearsal.used(110, 130) > 0.9 * 30 / 1.015


def test_a_lower_limit_is_found_through_refusals_at_random(store: Store, settings: WorkerSettings) -> None:
    clock = begin(store, settings, "30/s", 3000)
    rehearsal = Rehearsal(store, clock, vendor(2, limit=lambda _: 15, noise=lambda _: 0.05), 0.25)
    rehearsal.run(120)
    assert rehearsal.used(40, 120) > 0.9 * 15


def test_why_and_since_when_are_told_and_forgotten_on_demand(store: Store, settings: WorkerSettings) -> None:
    clock = begin(store, settings, "50/s", 2000)
    rehearsal = Rehearsal(store, clock, vendor(1, limit=lambda _: 25), 0.25)
    rehearsal.run(20)
    line = store.dispatch.status()
    assert line.rate_reason == "limit"
    assert line.rate_since is not None
    assert 0 < (line.as_of - line.rate_since).total_seconds() < 20
    store.dispatch.forget_rate()
    assert (store.dispatch.status().rate, store.dispatch.status().rate_reason, store.dispatch.status().rate_since) == (
        50,
        None,
        None,
    )


def test_a_clock_that_jumps_back_keeps_what_was_learned(store: Store, settings: WorkerSettings) -> None:
    clock = begin(store, settings, "50/s", 3000)
    rehearsal = Rehearsal(store, clock, vendor(1, limit=lambda _: 25), 0.25)
    rehearsal.run(15)
    rehearsal.start -= 3600
    rehearsal.run(30)
    assert rehearsal.used(25, 45) > 0.9 * 25
