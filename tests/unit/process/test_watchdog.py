"""When a worker is taken for stalled, and what of it is told; with a clock of our own."""

from __future__ import annotations

import logging

import pytest
import redis

from swapworker.process.watchdog import Watchdog


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(clock: Clock) -> Watchdog:
    progress = Watchdog(30, clock)
    progress.watch("consumer")
    progress.watch("dispatcher")
    return progress


def look(progress: Watchdog, clock: Clock, seconds: int, *working: str) -> str | None:
    """Let time pass while these parts work, and look every second; return the last answer."""
    answer = None
    for _ in range(seconds):
        clock.now += 1
        for what in working:
            progress.heartbeat(what)
        answer = progress.stalled()
    return answer


def test_who_works_is_not_stalled(progress: Watchdog, clock: Clock) -> None:
    assert look(progress, clock, 100, "consumer", "dispatcher") is None


@pytest.mark.parametrize(("working", "still"), [("consumer", "dispatcher"), ("dispatcher", "consumer")])
def test_one_part_that_stands_still_is_enough(progress: Watchdog, clock: Clock, working: str, still: str) -> None:
    assert look(progress, clock, 30, working) is None
    answer = look(progress, clock, 1, working)
    assert answer == f"no progress for 31 s: the {still} could not reach Redis (SWAPJOBS_STALL_EXIT_S)"


def test_one_sign_of_life_is_enough_to_go_on(progress: Watchdog, clock: Clock) -> None:
    for _ in range(5):
        assert look(progress, clock, 29) is None
        assert look(progress, clock, 1, "consumer", "dispatcher") is None


def test_what_is_not_watched_may_stand_still(clock: Clock) -> None:
    progress = Watchdog(30, clock)
    progress.watch("dispatcher")
    progress.heartbeat("consumer")
    assert look(progress, clock, 100, "dispatcher") is None


def test_a_process_that_was_frozen_is_not_stalled(progress: Watchdog, clock: Clock) -> None:
    """It could do nothing; only what it missed while it ran counts."""
    assert look(progress, clock, 20) is None
    clock.now += 3600
    assert look(progress, clock, 11) is None
    assert look(progress, clock, 1) is not None


def test_a_frozen_process_that_works_again_has_all_its_time(progress: Watchdog, clock: Clock) -> None:
    assert look(progress, clock, 20) is None
    clock.now += 3600
    progress.heartbeat("consumer")
    progress.heartbeat("dispatcher")
    assert look(progress, clock, 30) is None


def test_an_outage_is_told_once_and_so_is_its_end(
    progress: Watchdog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(10):
        progress.report_failure("dispatcher", redis.ConnectionError("no route to a host"))
        clock.now += 1
    for _ in range(3):
        progress.heartbeat("dispatcher")
    assert caplog.messages == [
        "the dispatcher cannot work: ConnectionError",
        "the dispatcher works again, after 10.0 s",
    ]
