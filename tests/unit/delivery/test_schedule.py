"""When a webhook is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapworker.delivery.schedule import PAUSES_S, next_delay

HOUR = 3600


def test_the_schedule_is_that_of_the_design() -> None:
    middle = [next_delay(tries, lambda: 0.5) for tries in range(10)]
    assert middle == [0, 5, 300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]


def test_after_ten_tries_and_about_three_days_it_ends() -> None:
    assert next_delay(10, lambda: 0.5) is None
    assert next_delay(10, lambda: 0.5, 60.0) is None
    assert 3 <= sum(PAUSES_S["standard"]) / 86400 <= 3.5


@given(st.integers(0, 9), st.floats(0, 1, exclude_max=True))
def test_chance_moves_a_try_by_a_tenth_at_most(tries: int, chance: float) -> None:
    delay = next_delay(tries, lambda: chance)
    assert delay == pytest.approx(PAUSES_S["standard"][tries], rel=0.1000001)


@pytest.mark.parametrize(("wish_s", "delay_s"), [(None, 5.0), (1.0, 5.0), (60.0, 60.0)])
def test_the_receivers_wish_is_a_lower_bound(wish_s: float | None, delay_s: float) -> None:
    assert next_delay(1, lambda: 0.5, wish_s) == delay_s


def test_callbacks_the_vendors_way_have_the_vendors_schedule() -> None:
    pauses = [next_delay(tries, lambda: 0.5, style="vendor") for tries in range(1, 11)]
    assert pauses == [3, 5, 15, 30, 60, 600, 3600, 3600, 3600, None]
