"""The sliding window counter of the gateway's keys."""

from __future__ import annotations

import pytest

from swapjobs.gateway import key_rate
from swapjobs.gateway.key_rate import KeyRate

NOW = 1_800_000_000.0  # a window of 10 s begins


def passed(rate: KeyRate, at_s: float, count: int, key: str = "k") -> int:
    """Return how many of so many requests pass."""
    return sum(rate.hit(key, NOW + at_s).passed for _ in range(count))


def test_so_many_pass_in_a_period_and_no_more() -> None:
    rate = KeyRate(5, 10)
    assert passed(rate, 0, 8) == 5
    assert passed(rate, 9.9, 3) == 0


def test_where_two_windows_meet_no_burst_of_twice_the_rate_passes() -> None:
    rate = KeyRate(10, 10)
    assert passed(rate, 9, 20) == 10
    assert passed(rate, 10, 20) == 0
    assert passed(rate, 12, 20) == 2  # a fifth of the window before lies outside of the last 10 s
    assert passed(rate, 15, 20) == 3
    assert passed(rate, 19.9, 20) == 5


def test_after_two_windows_nothing_is_remembered() -> None:
    rate = KeyRate(10, 10)
    assert passed(rate, 0, 10) == 10
    assert passed(rate, 20, 20) == 10


def test_a_refused_request_does_not_count() -> None:
    rate = KeyRate(2, 10)
    assert passed(rate, 0, 100) == 2
    assert passed(rate, 15, 100) == 1  # half of the two


def test_keys_do_not_take_from_one_another() -> None:
    rate = KeyRate(2, 10)
    assert passed(rate, 0, 5, "a") == 2
    assert passed(rate, 0, 5, "b") == 2


def test_it_says_what_is_left_and_when_there_is_more() -> None:
    rate = KeyRate(3, 10)
    first, second = rate.hit("k", NOW + 1), rate.hit("k", NOW + 2)
    assert (first.remaining, second.remaining) == (2, 1)
    assert second.reset_s == pytest.approx(8)
    assert not [rate.hit("k", NOW + 3), rate.hit("k", NOW + 3)][-1].passed
    later = rate.hit("k", NOW + 13)
    assert (later.passed, later.remaining) == (True, 0)
    assert later.reset_s == pytest.approx(7 - 2 * 10 / 3)


def test_old_keys_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_rate, "_REMEMBERED", 3)
    rate = KeyRate(2, 10)
    for number in range(3):
        rate.hit(f"old-{number}", NOW)
    rate.hit("new", NOW + 25)
    assert list(rate._counted) == ["new"]  # noqa: SLF001 - no public way
