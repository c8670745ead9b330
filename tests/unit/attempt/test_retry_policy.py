"""What follows from an outcome: pure, with time and randomness given."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.vendor_calls import picture
from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.job import job_id
from swapjobs.contract.lifecycle import Event
from swapjobs.settings import WorkerSettings
from swapjobs.store.claims import Claim
from swapjobs.store.record import Record
from swapworker.attempt.decision import Decision, backoff
from swapworker.attempt.retry_policy import decide
from swapworker.vendor_client.outcome import (
    AccountRefused,
    Failed,
    NotStarted,
    Outcome,
    OutcomeUnknown,
    Pending,
    TaskUnknown,
    Throttled,
)
from swapworker.vendor_client.request import vendor_id_of

SETTINGS = WorkerSettings(max_attempts=3, retry_base_s=1, retry_cap_s=20, call_timeout_s=10)
NOW_MS = 1_800_000_000_000


def claimed(call: str = "swap", **fields: Any) -> Claim:
    record = Record(
        job_id(fields.get("tenant", "default"), fields.get("business_id", "b1")),
        {"tenant": "default", "business_id": "b1", **{name: str(value) for name, value in fields.items()}},
        [{}],
    )
    return Claim(job=record, fence=1, call=call, wait_s=0, now_ms=NOW_MS)  # type: ignore[arg-type]  # a literal by value


def decided(outcome: Outcome, claim: Claim | None = None) -> Decision:
    return decide(outcome, claim or claimed(), SETTINGS, lambda: 0.5)


outcomes = st.sampled_from(
    [
        picture("https://o.example/1.png"),
        Failed(ErrorCode.NO_FACE, "none"),
        Pending("t1"),
        NotStarted(ErrorCode.VENDOR_ERROR, "503"),
        OutcomeUnknown(ErrorCode.VENDOR_TIMEOUT, "timeout"),
        TaskUnknown(),
        Throttled("429", retry_after_s=4),
        Throttled("429"),
        AccountRefused(ErrorCode.CREDENTIALS_REJECTED, "401"),
    ]
)


@given(outcomes, st.sampled_from(["swap", "query"]), st.integers(0, 10), st.floats(0, 0.999))
def test_every_outcome_leads_somewhere(outcome: Outcome, call: str, attempts: int, dice: float) -> None:
    claim = claimed(call, attempts=attempts, sent_at=NOW_MS - 60_000)
    decision = decide(outcome, claim, SETTINGS, lambda: dice)
    assert decision.event in {Event.SUCCEED, Event.FAIL, Event.WAIT}
    assert decision.delay_s >= 0
    if decision.event is Event.WAIT:
        assert decision.patch["next_call"] in {"swap", "query"}
    if decision.entry:
        assert decision.entry["kind"] in {"attempt", "error", "result"}
    charged = int(decision.patch.get("attempts", attempts)) - attempts
    assert charged in {0, 1}
    if isinstance(outcome, (Throttled, Pending)):
        assert charged == 0
        assert decision.event is Event.WAIT


@given(outcomes, st.integers(0, 10))
def test_a_call_whose_outcome_was_not_seen_is_never_simply_sent_again(outcome: Outcome, attempts: int) -> None:
    if isinstance(outcome, OutcomeUnknown):
        decision = decided(outcome, claimed("swap", attempts=attempts))
        assert decision.event is Event.WAIT
        assert decision.patch["next_call"] == "query"


@given(st.integers(1, 60), st.floats(0, 0.999))
def test_backoff_has_full_jitter_below_a_doubling_ceiling_and_a_cap(failures: int, dice: float) -> None:
    pause = backoff(failures, SETTINGS, lambda: dice)
    assert 0 <= pause < min(2 ** (failures - 1), 20)
    assert pause == pytest.approx(dice * min(2 ** (failures - 1), 20))


def test_the_last_attempt_fails_the_job_and_says_why_unless_it_was_an_outage() -> None:
    decision = decided(NotStarted(ErrorCode.VENDOR_ERROR, "HTTP 503"), claimed(attempts=2))
    assert (decision.event, decision.schedule, decision.delay_s) == (
        Event.WAIT,
        "final_failure",
        SETTINGS.breaker_window_s,
    )
    error = decision.entry
    assert error["code"] == "attempts_exhausted"
    assert "HTTP 503" in error["message"]
    assert error["retryable"] is True


def test_a_throttled_call_pauses_the_fleet_and_charges_nothing() -> None:
    decision = decided(Throttled("too fast", retry_after_s=5))
    assert (decision.pause_s, decision.delay_s) == (5, 5)
    assert "attempts" not in decision.patch
    assert decision.patch["reason"] == "rate_limit"


def test_a_throttled_call_that_is_not_told_for_how_long_lets_the_fleet_go_on() -> None:
    """Only slower, see `learn.lua`; the job itself comes again a little later."""
    decision = decided(Throttled("too fast"))
    assert decision.pause_s == 0
    assert 0.5 <= decision.delay_s <= 1.5
    assert decision.signal == "too_fast"


def test_polls_pause_longer_and_longer_up_to_the_cap() -> None:
    pauses = [decided(Pending(), claimed(polls=polls)).delay_s for polls in (0, 1, 5, 50)]
    assert pauses == sorted(pauses)
    assert pauses[0] == pytest.approx(SETTINGS.poll_base_s)
    assert pauses[-1] == pytest.approx(SETTINGS.poll_cap_s)


def test_unknown_counts_only_after_a_call_timeout_and_when_said_twice() -> None:
    early = decided(TaskUnknown(), claimed("query", sent_at=NOW_MS - 4000))
    assert (early.patch["next_call"], early.patch["unknown_answers"]) == ("query", 0)
    assert early.delay_s == pytest.approx(6)
    first = decided(TaskUnknown(), claimed("query", sent_at=NOW_MS - 11_000))
    assert (first.patch["next_call"], first.patch["unknown_answers"]) == ("query", 1)
    second = decided(TaskUnknown(), claimed("query", sent_at=NOW_MS - 14_000, unknown_answers=1))
    assert second.patch["next_call"] == "swap"


def test_a_query_that_cannot_answer_is_asked_again_until_it_is_given_up_and_counted() -> None:
    silent = OutcomeUnknown(ErrorCode.VENDOR_ERROR, "503")
    waiting = decided(silent, claimed("query", sent_at=NOW_MS - 3_600_000))
    assert (waiting.patch["next_call"], waiting.patch["failed_lookups_since"]) == ("query", NOW_MS), (
        "one miss is none, however late"
    )
    again = decided(silent, claimed("query", failed_lookups=3, failed_lookups_since=NOW_MS - 60_000))
    assert (again.patch["failed_lookups"], again.patch["failed_lookups_since"]) == (4, NOW_MS - 60_000)
    given_up = decided(silent, claimed("query", failed_lookups=30, failed_lookups_since=NOW_MS - 901_000))
    assert (given_up.patch["next_call"], given_up.patch["maybe_paid_twice"], given_up.patch["attempts"]) == (
        "swap",
        1,
        1,
    )


def test_a_task_that_the_vendor_has_acknowledged_is_not_sent_again_when_the_query_falls_silent() -> None:
    silent = OutcomeUnknown(ErrorCode.VENDOR_ERROR, "503")
    decision = decided(silent, claimed("query", polls=2, failed_lookups=30, failed_lookups_since=NOW_MS - 901_000))
    assert decision.event is Event.FAIL
    assert decision.entry["code"] == "vendor_timeout"


@pytest.mark.parametrize("fields", [{"polls": 9}, {"sent_at": NOW_MS - 40 * 86_400_000}])
def test_not_known_is_doubtful_after_an_acknowledgement_and_in_a_new_month(fields: dict[str, int]) -> None:
    claim = claimed("query", **{"sent_at": NOW_MS - 60_000, "unknown_answers": 1, **fields})
    decision = decided(TaskUnknown(), claim)
    assert (decision.patch["next_call"], decision.patch["maybe_paid_twice"]) == ("swap", 1)


UNREADABLE = OutcomeUnknown(ErrorCode.BAD_RESPONSE, "not its JSON", answered=True)


def test_what_was_answered_but_can_not_be_read_is_never_sent_again_unless_the_vendor_does_not_know_it() -> None:
    charged = decided(UNREADABLE)
    assert (charged.patch["next_call"], charged.patch["answered"]) == ("query", 1)
    late = {"failed_lookups": 30, "failed_lookups_since": NOW_MS - 901_000}
    given_up = decided(OutcomeUnknown(ErrorCode.VENDOR_ERROR, "503"), claimed("query", answered=1, **late))
    assert (given_up.event, given_up.patch["next_call"]) == (Event.FAIL, "query")
    assert given_up.entry["code"] == "bad_response"
    unknown = decided(TaskUnknown(), claimed("query", sent_at=NOW_MS - 14_000, unknown_answers=1, answered=1))
    assert (unknown.patch["next_call"], unknown.patch["answered"]) == ("swap", 0)


def test_a_picture_that_was_paid_for_but_can_not_be_used_ends_the_job_with_what_came() -> None:
    """A retry by the user begins with the question, under the same id: that costs nothing."""
    decision = decided(Failed(ErrorCode.BAD_RESPONSE, "m", raw="data:,x"))
    assert (decision.event, decision.patch) == (
        Event.FAIL,
        {"next_call": "query", "code": "bad_response", "unusable": 1},
    )
    assert decision.entry["raw"] == "data:,x"


@pytest.mark.parametrize(
    "answers",
    [
        {"swap": OutcomeUnknown(ErrorCode.VENDOR_ERROR, "500"), "query": OutcomeUnknown(ErrorCode.VENDOR_ERROR, "503")},
        {
            "swap": OutcomeUnknown(ErrorCode.VENDOR_TIMEOUT, "t"),
            "query": AccountRefused(ErrorCode.CREDENTIALS_REJECTED, "403"),
        },
        {
            "swap": OutcomeUnknown(ErrorCode.VENDOR_TIMEOUT, "t"),
            "query": NotStarted(ErrorCode.VENDOR_UNREACHABLE, "down"),
        },
        {"swap": OutcomeUnknown(ErrorCode.VENDOR_TIMEOUT, "t"), "query": TaskUnknown()},
        {"swap": Pending(), "query": Pending()},
        {"swap": Pending(), "query": OutcomeUnknown(ErrorCode.VENDOR_ERROR, "503")},
        {"swap": NotStarted(ErrorCode.VENDOR_ERROR, "503"), "query": TaskUnknown()},
        {"swap": UNREADABLE, "query": UNREADABLE},
        {"swap": UNREADABLE, "query": OutcomeUnknown(ErrorCode.VENDOR_ERROR, "503")},
        {"swap": OutcomeUnknown(ErrorCode.VENDOR_TIMEOUT, "t"), "query": UNREADABLE},
    ],
)
def test_every_job_ends_whatever_the_vendor_keeps_saying(answers: dict[str, Outcome]) -> None:
    """Each is played to its end with time passing as decided: no loop, and few sends."""
    fields: dict[str, Any] = {}
    now_ms, call, sends = NOW_MS, "swap", 0
    for _ in range(5000):
        if call == "swap":
            sends += 1
            fields["sent_at"] = now_ms
        claim = Claim(
            job=claimed(**{k: v for k, v in fields.items() if k != "next_call"}).job,
            fence=1,
            call=cast("Any", call),
            wait_s=0,
            now_ms=now_ms,
        )
        decision = decided(answers[call], claim)
        if decision.event is Event.FAIL or decision.schedule == "final_failure":
            assert sends <= (1 if UNREADABLE in answers.values() else SETTINGS.max_attempts)
            return
        fields.update(decision.patch)
        call = str(decision.patch["next_call"])
        now_ms += int(decision.delay_s * 1000) + 100
    pytest.fail(f"no end: {fields}")


def test_refused_credentials_are_charged_to_the_job_and_told_to_the_breaker() -> None:
    refused = AccountRefused(ErrorCode.CREDENTIALS_REJECTED, "HTTP 401")
    decision = decided(refused)
    assert (decision.patch["attempts"], decision.signal, decision.next_call_if_uncharged) == (
        1,
        "credentials_rejected",
        "swap",
    )
    last = decided(refused, claimed(attempts=2))
    assert last.entry["code"] == "rejected_by_vendor"


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (picture("https://o.example/1.png"), "answer"),
        (Failed(ErrorCode.NO_FACE, "none"), "answer"),
        (Pending(), "answer"),
        (TaskUnknown(), ""),
        (Throttled("429"), "too_fast"),
        (Throttled("503", retry_after_s=9, vendor_wide=True), "outage"),
        (NotStarted(ErrorCode.VENDOR_UNREACHABLE, "refused", vendor_wide=True), "outage"),
        (OutcomeUnknown(ErrorCode.VENDOR_ERROR, "500"), "failure"),
        (OutcomeUnknown(ErrorCode.INTERNAL, "a fault of ours"), ""),
        (AccountRefused(ErrorCode.QUOTA_EXHAUSTED, "402"), "quota_exhausted"),
    ],
)
def test_what_the_breaker_hears(outcome: Outcome, says: str) -> None:
    assert decided(outcome).signal == says


@pytest.mark.parametrize(
    ("call", "outcome", "then"),
    [
        ("swap", NotStarted(ErrorCode.VENDOR_ERROR, "503"), "swap"),
        ("swap", AccountRefused(ErrorCode.CREDENTIALS_REJECTED, "401"), "swap"),
        ("swap", OutcomeUnknown(ErrorCode.VENDOR_TIMEOUT, "t"), "query"),
        ("query", NotStarted(ErrorCode.VENDOR_UNREACHABLE, "refused"), "query"),
        ("query", AccountRefused(ErrorCode.CREDENTIALS_REJECTED, "401"), "query"),
    ],
)
def test_a_spared_job_does_next_what_is_safe(call: str, outcome: Outcome, then: str) -> None:
    claim = claimed(call, attempts=2, failed_lookups=50, failed_lookups_since=NOW_MS - 7_200_000)
    assert decided(outcome, claim).next_call_if_uncharged == then


HOUR_MS = 3_600_000


def test_a_clock_that_jumped_ahead_gives_nothing_up() -> None:
    polled = decided(Pending(), claimed("query", sent_at=NOW_MS - 2 * HOUR_MS, polls=2))
    assert (polled.event, polled.schedule) == (Event.WAIT, "poll")
    silent = OutcomeUnknown(ErrorCode.VENDOR_ERROR, "503")
    missed = decided(silent, claimed("query", failed_lookups=1, failed_lookups_since=NOW_MS - 2 * HOUR_MS))
    assert missed.patch["next_call"] == "query"


def test_a_clock_that_was_put_back_makes_nobody_wait_for_the_length_of_the_jump() -> None:
    asked = decided(TaskUnknown(), claimed("query", sent_at=NOW_MS + HOUR_MS))
    assert asked.delay_s <= SETTINGS.call_timeout_s
    missed = decided(
        OutcomeUnknown(ErrorCode.VENDOR_ERROR, "503"),
        claimed("query", failed_lookups=1, failed_lookups_since=NOW_MS + HOUR_MS),
    )
    assert missed.patch["failed_lookups_since"] == NOW_MS


ids = st.text("ab2-~", min_size=1, max_size=3) | st.sampled_from(["a" * 64, "a" * 65, "b" * 65])
uses = st.tuples(st.sampled_from(["default", "a", "b", "2"]), ids, st.integers(1, 3))


@given(uses, uses)
def test_what_the_vendor_gets_is_different_for_different_jobs(
    one: tuple[str, str, int], two: tuple[str, str, int]
) -> None:
    sent = [
        vendor_id_of(claimed(tenant=tenant, business_id=business_id, generation=generation), SETTINGS)
        for tenant, business_id, generation in (one, two)
    ]
    assert (sent[0] == sent[1]) == (one == two)


def test_the_vendor_gets_the_callers_own_id_at_its_first_use() -> None:
    assert vendor_id_of(claimed(business_id="order-1"), SETTINGS) == "order-1"
    prefixed = SETTINGS.model_copy(update={"vendor_id_prefix": "stage."})
    assert (
        vendor_id_of(claimed(business_id="order-1", generation=2), prefixed)
        == f"stage.{job_id('default', 'order-1')}-2"
    )
