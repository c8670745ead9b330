"""The sandbox's own rate limit, with times given by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapsandbox.vendor.rate_limit import RateError, RateLimit, most_in_window, parse_rate

NOW = 1_790_000_000.0


@pytest.mark.parametrize(("text", "rate"), [("5", 5), ("5/s", 5), (" 300/m ", 5), ("1800/h", 0.5), ("2.5/s", 2.5)])
def test_rates_are_read_per_second(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "0", "fast", "-5", "5/d", "5/s/s", "nan", "inf"])
def test_other_texts_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(RateError, match=r"expected for example 5, 5/s"):
        parse_rate(text)


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_limit_that_admits_nothing_is_refused(rate: float, burst: int) -> None:
    with pytest.raises(RateError):
        RateLimit(rate, burst)


def test_a_burst_passes_and_the_next_call_is_told_how_long_to_wait() -> None:
    limit = RateLimit(5, burst=2)
    assert [limit.wait_s(NOW), limit.wait_s(NOW)] == [0, 0]
    assert limit.wait_s(NOW) == pytest.approx(0.2, abs=1e-6)


def test_a_refused_call_costs_nothing() -> None:
    limit = RateLimit(5, burst=1)
    limit.wait_s(NOW)
    for _ in range(10):
        assert limit.wait_s(NOW + 0.1) > 0
    assert limit.wait_s(NOW + 0.2) == 0


def test_exact_distances_pass_for_ever() -> None:
    limit = RateLimit(3, burst=1)
    assert all(limit.wait_s(NOW + call / 3) == 0 for call in range(10_000))


def test_idle_time_is_not_saved_up() -> None:
    limit = RateLimit(10, burst=3)
    limit.wait_s(NOW)
    admitted = [limit.wait_s(NOW + 3600) == 0 for _ in range(10)]
    assert admitted.count(True) == 3


@given(
    gaps=st.lists(st.floats(0, 0.5), max_size=60),
    rate=st.integers(1, 20),
    burst=st.integers(1, 5),
    window_s=st.integers(1, 5),
)
def test_no_window_admits_more_than_rate_times_length_plus_burst(
    gaps: list[float], rate: int, burst: int, window_s: int
) -> None:
    limit = RateLimit(rate, burst)
    admitted = []
    at = NOW
    for gap in gaps:
        at += gap
        if limit.wait_s(at) == 0:
            admitted.append(at)
    assert most_in_window(admitted, window_s) <= rate * window_s + burst


@pytest.mark.parametrize(
    ("times", "limit"), [([], 0), ([1.0], 1), ([1.0, 1.5, 1.99, 2.0], 3), ([1.0, 2.0, 3.0], 1), ([5.0, 5.0], 2)]
)
def test_the_busiest_window_is_found(times: list[float], limit: int) -> None:
    assert most_in_window(times, 1.0) == limit
