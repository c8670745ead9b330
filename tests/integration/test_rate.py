"""The rate in Lua against a plain model in Python: same answers, and the limit holds in every window."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from swapjobs import keys
from swapjobs.scripts import source

HORIZON_MS = 1000.0


@dataclass
class Model:
    """GCRA as the textbook has it, with a horizon; all in ms."""

    interval: float
    burst: int
    arrival: float = 0.0

    def book(self, now: float) -> float | None:
        arrival = max(self.arrival, now) + self.interval
        wait = max(arrival - self.burst * self.interval - now, 0.0)
        if wait > max(HORIZON_MS, self.interval) + 0.01:
            return None
        self.arrival = arrival
        return wait


def book_at_chosen_times(client: redis.Redis, interval: float, burst: int, times: list[float]) -> list[float | None]:
    """Run the script's own traffic part, with the clock given instead of Redis' own."""
    client.flushall()
    client.hset(
        keys.traffic(), mapping={"interval": interval, "burst": burst, "horizon": HORIZON_MS, "max_in_flight": 0}
    )
    whole = source("claim", 60_000)
    start, end = whole.index("local now = clock()"), whole.index("-- Decide whether")
    traffic = whole[start:end].replace("local now = clock()", "local now = tonumber(ARGV[1])")
    text = whole[:start] + traffic + "\nlocal wait = book('send')\nreturn wait and tostring(wait) or 'no'"
    answers = [client.eval(text, 0, str(time)) for time in times]
    return [None if answer == "no" else float(str(answer)) for answer in answers]


gaps = st.lists(st.integers(0, 5600).map(lambda eighths: eighths / 8), min_size=1, max_size=40)


@pytest.fixture
def raw(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url, decode_responses=True)


@given(gaps=gaps, calls=st.sampled_from([1, 5, 50, 333]), period=st.sampled_from([1, 60]), burst=st.integers(1, 5))
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_script_answers_as_the_model_does(
    raw: redis.Redis, gaps: list[float], calls: int, period: int, burst: int
) -> None:
    interval = period * 1000 / calls
    times, now = [], 1_800_000_000_000.0
    for gap in gaps:
        now += gap
        times.append(now)
    model = Model(interval, burst)
    expected = [model.book(time) for time in times]
    got = book_at_chosen_times(raw, interval, burst, times)
    for mine, theirs in zip(got, expected, strict=True):
        assert (mine is None) == (theirs is None)
        assert mine is None or theirs is None or mine == pytest.approx(theirs, abs=0.01)
    slots = sorted(time + wait for time, wait in zip(times, got, strict=True) if wait is not None)
    for first, slot in enumerate(slots):
        for last in range(first, len(slots)):
            window = slots[last] - slot
            assert last - first + 1 <= window / interval + burst + 0.01


def test_a_clock_that_jumps_back_does_not_close_the_line(raw: redis.Redis) -> None:
    """An hour back: the stored arrival time is an hour ahead, but no call waits longer than the horizon for it."""
    later = 1_800_000_000_000.0
    hour = 3_600_000.0
    answers = book_at_chosen_times(raw, 200, 1, [later, later - hour, later - hour + 1500])
    assert answers[0] == 0
    assert answers[2] is not None
