"""The table of moves is the only authority on states."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swapjobs.contract.lifecycle import CELERY_STATE, FINAL, MOVES, Event, JobState, after

events = st.lists(st.sampled_from(Event), max_size=30)


def test_final_states_are_the_four_of_the_contract() -> None:
    assert {"succeeded", "failed", "cancelled", "expired"} == FINAL


def test_every_state_has_a_celery_state() -> None:
    assert set(CELERY_STATE) == set(JobState)


@given(events)
def test_final_stays_final_whatever_happens_but_for_the_users_retry(history: list[Event]) -> None:
    state, was_final = JobState.QUEUED, False
    for event in history:
        target = after(state, event)
        assert not (was_final and target) or event is Event.RETRY
        state = target or state
        was_final = state in FINAL


@given(events)
def test_what_succeeded_stays_so_for_ever(history: list[Event]) -> None:
    state = JobState.SUCCEEDED
    for event in history:
        state = after(state, event) or state
    assert state is JobState.SUCCEEDED


def test_a_retry_leads_from_every_final_state_but_success_to_the_line() -> None:
    assert {state: after(state, Event.RETRY) for state in JobState} == {
        **dict.fromkeys(JobState),
        JobState.FAILED: JobState.QUEUED,
        JobState.CANCELLED: JobState.QUEUED,
        JobState.EXPIRED: JobState.QUEUED,
    }


def test_a_closed_line_holds_only_jobs_that_do_not_run() -> None:
    sources, target = MOVES[Event.HOLD]
    assert (sources, target) == (frozenset({JobState.QUEUED, JobState.WAITING}), JobState.WAITING)


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
