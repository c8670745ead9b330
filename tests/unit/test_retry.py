"""What follows from an outcome: pure, with time and randomness given."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.lifecycle import Event
from swapjobs.settings import WorkerSettings
from swapjobs.store.claims import Claim
from swapjobs.store.record import Record
from swapworker.attempt.decision import Decision, backoff
from swapworker.attempt.retry_policy import decide
from swapworker.vendor_client.outcome import (
    AccountRefused,
    Failed,
    NotKnown,
    Outcome,
    Pending,
    Succeeded,
    Throttled,
    TryAgain,
    Unseen,
)
from swapworker.vendor_client.request import vendor_id_of

SETTINGS = WorkerSettings(max_attempts=3, retry_base_s=1, retry_cap_s=20, call_timeout_s=10)
NOW_MS = 1_800_000_000_000


def claimed(step: str = "send", **fields: Any) -> Claim:
    record = Record(
        "j1",
        {"tenant": "default", "business_id": "b1", **{name: str(value) for name, value in fields.items()}},
        [{}],
    )
    return Claim(job=record, fence=1, step=step, wait_s=0, now_ms=NOW_MS)  # type: ignore[arg-type]  # a literal by value


def decided(outcome: Outcome, claim: Claim | None = None) -> Decision:
    return decide(outcome, claim or claimed(), SETTINGS, lambda: 0.5)


outcomes = st.sampled_from(
    [
        Succeeded("https://o.example/1.png"),
        Failed(ErrorCode.NO_FACE, "none"),
        Pending("t1"),
        TryAgain(ErrorCode.VENDOR_ERROR, "503"),
        Unseen(ErrorCode.VENDOR_TIMEOUT, "timeout"),
        NotKnown(),
        Throttled("429", retry_after_s=4),
        Throttled("429"),
        AccountRefused(ErrorCode.CREDENTIALS_REJECTED, "401"),
    ]
)


@given(outcomes, st.sampled_from(["send", "query"]), st.integers(0, 10), st.floats(0, 0.999))
def test_every_outcome_leads_somewhere(outcome: Outcome, step: str, attempts: int, dice: float) -> None:
    claim = claimed(step, attempts=attempts, sent_at=NOW_MS - 60_000)
    decision = decide(outcome, claim, SETTINGS, lambda: dice)
    assert decision.event in {Event.SUCCEED, Event.FAIL, Event.WAIT}
    assert decision.delay_s >= 0
    if decision.event is Event.WAIT:
        assert decision.patch["step"] in {"send", "query"}
    if decision.entry:
        assert json.loads(decision.entry)["kind"] in {"attempt", "error", "result"}
    charged = int(decision.patch.get("attempts", attempts)) - attempts
    assert charged in {0, 1}
    if isinstance(outcome, (Throttled, Pending)):
        assert charged == 0
        assert decision.event is Event.WAIT


@given(outcomes, st.integers(0, 10))
def test_a_call_whose_outcome_was_not_seen_is_never_simply_sent_again(outcome: Outcome, attempts: int) -> None:
    if isinstance(outcome, Unseen):
        decision = decided(outcome, claimed("send", attempts=attempts))
        assert decision.event is Event.WAIT
        assert decision.patch["step"] == "query"


@given(st.integers(1, 60), st.floats(0, 0.999))
def test_backoff_has_full_jitter_below_a_doubling_ceiling_and_a_cap(failures: int, dice: float) -> None:
    pause = backoff(failures, SETTINGS, lambda: dice)
    assert 0 <= pause < min(2 ** (failures - 1), 20)
    assert pause == pytest.approx(dice * min(2 ** (failures - 1), 20))


def test_the_last_attempt_fails_the_job_and_says_why_unless_it_was_an_outage() -> None:
    decision = decided(TryAgain(ErrorCode.VENDOR_ERROR, "HTTP 503"), claimed(attempts=2))
    assert (decision.event, decision.wake, decision.delay_s) == (Event.WAIT, "verdict", SETTINGS.breaker_window_s)
    error = json.loads(decision.entry)
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
    assert decision.says == "too_fast"


def test_polls_pause_longer_and_longer_up_to_the_cap() -> None:
    pauses = [decided(Pending(), claimed(polls=polls)).delay_s for polls in (0, 1, 5, 50)]
    assert pauses == sorted(pauses)
    assert pauses[0] == pytest.approx(SETTINGS.poll_base_s)
    assert pauses[-1] == pytest.approx(SETTINGS.poll_cap_s)


def test_unknown_counts_only_after_a_call_timeout_and_when_said_twice() -> None:
    early = decided(NotKnown(), claimed("query", sent_at=NOW_MS - 4000))
    assert (early.patch["step"], early.patch["questions"]) == ("query", 0)
    assert early.delay_s == pytest.approx(6)
    first = decided(NotKnown(), claimed("query", sent_at=NOW_MS - 11_000))
    assert (first.patch["step"], first.patch["questions"]) == ("query", 1)
    second = decided(NotKnown(), claimed("query", sent_at=NOW_MS - 14_000, questions=1))
    assert second.patch["step"] == "send"


def test_a_query_that_cannot_answer_is_asked_again_until_it_is_given_up_and_counted() -> None:
    silent = Unseen(ErrorCode.VENDOR_ERROR, "503")
    waiting = decided(silent, claimed("query", sent_at=NOW_MS - 3_600_000))
    assert (waiting.patch["step"], waiting.patch["missed_since"]) == ("query", NOW_MS), "one miss is none, however late"
    again = decided(silent, claimed("query", misses=3, missed_since=NOW_MS - 60_000))
    assert (again.patch["misses"], again.patch["missed_since"]) == (4, NOW_MS - 60_000)
    given_up = decided(silent, claimed("query", misses=30, missed_since=NOW_MS - 901_000))
    assert (given_up.patch["step"], given_up.patch["maybe_paid_twice"], given_up.patch["attempts"]) == ("send", 1, 1)


def test_a_task_that_the_vendor_has_acknowledged_is_not_sent_again_when_the_query_falls_silent() -> None:
    silent = Unseen(ErrorCode.VENDOR_ERROR, "503")
    decision = decided(silent, claimed("query", polls=2, misses=30, missed_since=NOW_MS - 901_000))
    assert decision.event is Event.FAIL
    assert json.loads(decision.entry)["code"] == "vendor_timeout"


@pytest.mark.parametrize("fields", [{"polls": 9}, {"sent_at": NOW_MS - 40 * 86_400_000}])
def test_not_known_is_doubtful_after_an_acknowledgement_and_in_a_new_month(fields: dict[str, int]) -> None:
    claim = claimed("query", **{"sent_at": NOW_MS - 60_000, "questions": 1, **fields})
    decision = decided(NotKnown(), claim)
    assert (decision.patch["step"], decision.patch["maybe_paid_twice"]) == ("send", 1)


UNREADABLE = Unseen(ErrorCode.BAD_RESPONSE, "not its JSON", answered=True)


def test_what_was_answered_but_can_not_be_read_is_never_sent_again_unless_the_vendor_does_not_know_it() -> None:
    charged = decided(UNREADABLE)
    assert (charged.patch["step"], charged.patch["answered"]) == ("query", 1)
    late = {"misses": 30, "missed_since": NOW_MS - 901_000}
    given_up = decided(Unseen(ErrorCode.VENDOR_ERROR, "503"), claimed("query", answered=1, **late))
    assert (given_up.event, given_up.patch["step"]) == (Event.FAIL, "query")
    assert json.loads(given_up.entry)["code"] == "bad_response"
    unknown = decided(NotKnown(), claimed("query", sent_at=NOW_MS - 14_000, questions=1, answered=1))
    assert (unknown.patch["step"], unknown.patch["answered"]) == ("send", 0)


def test_a_picture_that_was_paid_for_but_can_not_be_used_ends_the_job_with_what_came() -> None:
    """A retry by the user begins with the question, under the same id: that costs nothing."""
    decision = decided(Failed(ErrorCode.BAD_RESPONSE, "m", raw="data:,x"))
    assert (decision.event, decision.patch) == (Event.FAIL, {"step": "query", "code": "bad_response", "unusable": 1})
    assert json.loads(decision.entry)["raw"] == "data:,x"


@pytest.mark.parametrize(
    "answers",
    [
        {"send": Unseen(ErrorCode.VENDOR_ERROR, "500"), "query": Unseen(ErrorCode.VENDOR_ERROR, "503")},
        {"send": Unseen(ErrorCode.VENDOR_TIMEOUT, "t"), "query": AccountRefused(ErrorCode.CREDENTIALS_REJECTED, "403")},
        {"send": Unseen(ErrorCode.VENDOR_TIMEOUT, "t"), "query": TryAgain(ErrorCode.VENDOR_UNREACHABLE, "down")},
        {"send": Unseen(ErrorCode.VENDOR_TIMEOUT, "t"), "query": NotKnown()},
        {"send": Pending(), "query": Pending()},
        {"send": Pending(), "query": Unseen(ErrorCode.VENDOR_ERROR, "503")},
        {"send": TryAgain(ErrorCode.VENDOR_ERROR, "503"), "query": NotKnown()},
        {"send": UNREADABLE, "query": UNREADABLE},
        {"send": UNREADABLE, "query": Unseen(ErrorCode.VENDOR_ERROR, "503")},
        {"send": Unseen(ErrorCode.VENDOR_TIMEOUT, "t"), "query": UNREADABLE},
    ],
)
def test_every_job_ends_whatever_the_vendor_keeps_saying(answers: dict[str, Outcome]) -> None:
    """Each is played to its end with time passing as decided: no loop, and few sends."""
    fields: dict[str, Any] = {}
    now_ms, step, sends = NOW_MS, "send", 0
    for _ in range(5000):
        if step == "send":
            sends += 1
            fields["sent_at"] = now_ms
        claim = Claim(
            job=claimed(**{k: v for k, v in fields.items() if k != "step"}).job,
            fence=1,
            step=cast("Any", step),
            wait_s=0,
            now_ms=now_ms,
        )
        decision = decided(answers[step], claim)
        if decision.event is Event.FAIL or decision.wake == "verdict":
            assert sends <= (1 if UNREADABLE in answers.values() else SETTINGS.max_attempts)
            return
        fields.update(decision.patch)
        step = str(decision.patch["step"])
        now_ms += int(decision.delay_s * 1000) + 100
    pytest.fail(f"no end: {fields}")


def test_refused_credentials_are_charged_to_the_job_and_told_to_the_breaker() -> None:
    refused = AccountRefused(ErrorCode.CREDENTIALS_REJECTED, "HTTP 401")
    decision = decided(refused)
    assert (decision.patch["attempts"], decision.says, decision.step_if_spared) == (1, "credentials_rejected", "send")
    last = decided(refused, claimed(attempts=2))
    assert json.loads(last.entry)["code"] == "rejected_by_vendor"


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (Succeeded("https://o.example/1.png"), "answer"),
        (Failed(ErrorCode.NO_FACE, "none"), "answer"),
        (Pending(), "answer"),
        (NotKnown(), ""),
        (Throttled("429"), "too_fast"),
        (Throttled("503", retry_after_s=9, vendor_wide=True), "outage"),
        (TryAgain(ErrorCode.VENDOR_UNREACHABLE, "refused", vendor_wide=True), "outage"),
        (Unseen(ErrorCode.VENDOR_ERROR, "500"), "failure"),
        (Unseen(ErrorCode.INTERNAL, "a fault of ours"), ""),
        (AccountRefused(ErrorCode.QUOTA_EXHAUSTED, "402"), "quota_exhausted"),
    ],
)
def test_what_the_breaker_hears(outcome: Outcome, says: str) -> None:
    assert decided(outcome).says == says


@pytest.mark.parametrize(
    ("step", "outcome", "then"),
    [
        ("send", TryAgain(ErrorCode.VENDOR_ERROR, "503"), "send"),
        ("send", AccountRefused(ErrorCode.CREDENTIALS_REJECTED, "401"), "send"),
        ("send", Unseen(ErrorCode.VENDOR_TIMEOUT, "t"), "query"),
        ("query", TryAgain(ErrorCode.VENDOR_UNREACHABLE, "refused"), "query"),
        ("query", AccountRefused(ErrorCode.CREDENTIALS_REJECTED, "401"), "query"),
    ],
)
def test_a_spared_job_does_next_what_is_safe(step: str, outcome: Outcome, then: str) -> None:
    claim = claimed(step, attempts=2, misses=50, missed_since=NOW_MS - 7_200_000)
    assert decided(outcome, claim).step_if_spared == then


HOUR_MS = 3_600_000


def test_a_clock_that_jumped_ahead_gives_nothing_up() -> None:
    polled = decided(Pending(), claimed("query", sent_at=NOW_MS - 2 * HOUR_MS, polls=2))
    assert (polled.event, polled.wake) == (Event.WAIT, "poll")
    silent = Unseen(ErrorCode.VENDOR_ERROR, "503")
    missed = decided(silent, claimed("query", misses=1, missed_since=NOW_MS - 2 * HOUR_MS))
    assert missed.patch["step"] == "query"


def test_a_clock_that_was_put_back_makes_nobody_wait_for_the_length_of_the_jump() -> None:
    asked = decided(NotKnown(), claimed("query", sent_at=NOW_MS + HOUR_MS))
    assert asked.delay_s <= SETTINGS.call_timeout_s
    missed = decided(Unseen(ErrorCode.VENDOR_ERROR, "503"), claimed("query", misses=1, missed_since=NOW_MS + HOUR_MS))
    assert missed.patch["missed_since"] == NOW_MS


ids = st.text("ab2-", min_size=1, max_size=3)
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
    assert vendor_id_of(claimed(business_id="order-1", generation=2), prefixed) == "stage.default~order-1~2"
