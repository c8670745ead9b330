"""What a worker tells of its slots, and what a person is told to do about it."""

from __future__ import annotations

import contextlib

import pytest

from swapjobs.monitoring.slot_advice import advise, slots_for
from swapjobs.store.worker_usage import Fleet, Usage
from swapworker.process.slot_usage import SlotUsage


class Clock:
    """Stands still but for the test."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_busy_is_the_mean_number_of_slots_in_a_call_also_of_calls_that_have_not_ended() -> None:
    clock = Clock()
    meter = SlotUsage(clock)
    with meter.call():
        clock.now += 2
        with meter.call():
            clock.now += 2
        assert meter.read(8) == Usage(slots=8, busy=1.5, calls=1, call_s=2)
    clock.now += 4.8  # as long as what was before has weight
    assert meter.read(8) == Usage(slots=8, busy=0.6, calls=1.8, call_s=round((0.8 * 2 + 4) / 1.8, 4))


def test_a_call_that_raises_has_ended() -> None:
    meter = SlotUsage(clock := Clock())
    with contextlib.suppress(ValueError), meter.call():
        clock.now += 1
        raise ValueError
    clock.now += 1
    assert meter.read(1) == Usage(slots=1, busy=0.5, calls=1, call_s=1)


def test_what_was_long_ago_fades() -> None:
    meter = SlotUsage(clock := Clock())
    with meter.call():
        clock.now += 10
    for _ in range(30):
        clock.now += 10
        usage = meter.read(4)
    assert usage.busy == 0
    assert usage.calls == 0


def test_before_anything_was_seen() -> None:
    assert SlotUsage(Clock()).read(4) == Usage(slots=4, busy=0, calls=0, call_s=0)


@pytest.mark.parametrize(
    ("rate", "call_s", "in_flight", "slots"),
    [(50, 1.9, 0, 110), (50, 1.9, 64, 64), (5, 0.01, 0, 1), (200, 0.25, 0, 58), (0.5, 60, 0, 35)],
)
def test_slots_for_a_rate(rate: float, call_s: float, in_flight: int, slots: int) -> None:
    assert slots_for(rate, call_s, in_flight) == slots


@pytest.mark.parametrize(
    ("fleet", "result", "to_do"),
    [
        (
            Fleet(processes=1, slots=32, busy=31.2, call_s=1.9),
            "32 slots in 1 process, 31 busy on average, calls take 1.9 s: too few for the rate 50/s, 110 would do",
            "raise SWAPJOBS_CONCURRENCY or start 3 more workers",
        ),
        (
            Fleet(processes=2, slots=100, busy=96, call_s=1.9),
            "100 slots in 2 processes, 96 busy on average, calls take 1.9 s: too few for the rate 50/s, 110 would do",
            "raise SWAPJOBS_CONCURRENCY or start 1 more worker",
        ),
        # not enough to do is no lack of slots
        (
            Fleet(processes=1, slots=32, busy=4, call_s=1.9),
            "32 slots in 1 process, 4 busy on average, calls take 1.9 s",
            "",
        ),
        (
            Fleet(processes=1, slots=400, busy=5, call_s=0.1),
            "400 slots in 1 process, 5 busy on average, calls take 0.1 s: 6 would do for the rate 50/s",
            "",
        ),
        (
            Fleet(processes=1, slots=32, busy=0, call_s=None),
            "32 slots in 1 process, 0 busy on average; no call has ended of late",
            "",
        ),
    ],
)
def test_the_advice(fleet: Fleet, result: str, to_do: str) -> None:
    advice = advise(fleet, 50)
    assert (advice.found, advice.to_do, advice.fits) == (result, to_do, not to_do)
