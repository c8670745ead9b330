"""The table of moves is the only authority on states."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swapjobs.lifecycle import CELERY_STATE, FINAL, MOVES, Event, JobState, after

events = st.lists(st.sampled_from(Event), max_size=30)


def test_final_states_are_the_four_of_the_contract() -> None:
    assert {"succeeded", "failed", "cancelled", "expired"} == FINAL


def test_every_state_has_a_celery_state() -> None:
    assert set(CELERY_STATE) == set(JobState)


@given(events)
def test_final_stays_final_whatever_happens(history: list[Event]) -> None:
    state, was_final = JobState.QUEUED, False
    for event in history:
        target = after(state, event)
        assert not (was_final and target)
        state = target or state
        was_final = state in FINAL


@given(events)
def test_a_job_runs_only_after_it_was_claimed_and_every_unfinished_job_can_still_finish(history: list[Event]) -> None:
    state = JobState.QUEUED
    for event in history:
        target = after(state, event)
        if target is JobState.RUNNING:
            assert event is Event.START
        state = target or state
    if state not in FINAL:
        assert after(state, Event.CANCEL) is JobState.CANCELLED
        assert after(state, Event.START) is JobState.RUNNING or state is JobState.RUNNING


def test_waiting_and_rescue_begin_only_at_a_running_job() -> None:
    assert MOVES[Event.WAIT][0] == MOVES[Event.RESCUE][0] == {JobState.RUNNING}
