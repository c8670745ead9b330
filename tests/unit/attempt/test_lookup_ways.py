"""Tools whose results come later: how they are asked for, in which ways, how often, and when nothing is sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from swapjobs import ErrorCode
from swapjobs.contract.lifecycle import Event
from swapjobs.contract.vendor_tools.guidance import example_input
from swapjobs.contract.vendor_tools.table import TOOLS
from swapjobs.settings import WorkerSettings
from swapjobs.store.claims import Claim
from swapjobs.store.record import Record
from swapworker.attempt.retry_policy import decide
from swapworker.vendor_client.outcome import Failed, NotStarted, Outcome, Pending, TaskUnknown, signal_of
from swapworker.vendor_client.request import VendorCall, call_of

if TYPE_CHECKING:
    from swapworker.attempt.decision import Decision

SETTINGS = WorkerSettings(call_timeout_s=10, poll_base_s=2, poll_cap_s=60, poll_give_up_s=3600)
CALLED_BACK = SETTINGS.model_copy(update={"vendor_callback_url": "https://gw.example", "vendor_callback_poll_s": 120})
NOW_MS = 1_800_000_000_000
SD, STYLE, SWAP = TOOLS["sd/v2/text2image"], TOOLS["identifyStyle"], TOOLS["roop"]


def claimed(tool: str, call: str = "query", **fields: Any) -> Claim:
    row = TOOLS.get(tool)
    given = example_input(row) if row else {"image": "https://a.example/x.jpg"}
    request = {"tool": tool, **(given if row and row.is_swap else {"input": given})}
    hashed = {"tenant": "default", "business_id": "b1", "sent_at": NOW_MS - 60_000, **fields}
    record = Record("a" * 24, {name: str(value) for name, value in hashed.items()}, [request])
    return Claim(job=record, fence=1, call=call, wait_s=0, now_ms=NOW_MS)  # type: ignore[arg-type]  # a literal by value


def decided(outcome: Outcome, claim: Claim, settings: WorkerSettings = SETTINGS) -> Decision:
    return decide(outcome, claim, settings, lambda: 0.5)


def asked(claim: Claim, settings: WorkerSettings = SETTINGS, callback_url: str = "") -> VendorCall:
    call = call_of(claim, settings, lambda _: callback_url)
    assert isinstance(call, VendorCall), call
    return call


def test_an_sd_task_is_asked_for_live_then_by_the_vendors_id_then_in_the_archive() -> None:
    pending = decided(Pending("v-77"), claimed(SD.name, "swap"))
    task = pending.patch["vendor_task"]
    ways = [asked(claimed(SD.name, unknown_answers=number, vendor_task=task)) for number in range(4)]
    assert [(call.path, call.body["businessTaskId"]) for call in ways] == [
        ("sd/v2/queryTaskInfo", "b1"),
        ("sd/v2/queryTaskInfo", "v-77"),
        ("sd/queryTaskInfo", "b1"),
        ("sd/v2/queryTaskInfo", "b1"),
    ]


def test_the_vendors_id_of_an_earlier_generation_is_not_asked_by() -> None:
    again = claimed(SD.name, unknown_answers=1, vendor_task="1:v-77", generation=2)
    assert asked(again).body["businessTaskId"] == f"{'a' * 24}-2"


def test_a_swap_keeps_no_vendors_id() -> None:
    assert "vendor_task" not in decided(Pending("v-77"), claimed(SWAP.name, "swap")).patch


@pytest.mark.parametrize(("tool", "answers"), [(SWAP.name, 2), (SD.name, 3)])
def test_it_is_sent_again_only_when_no_way_knows_it(tool: str, answers: int) -> None:
    """The reply was lost, and the vendor says that it does not know the task: once for each way, and at least twice."""
    for number in range(answers - 1):
        decision = decided(TaskUnknown(), claimed(tool, unknown_answers=number))
        assert (decision.patch["next_call"], decision.patch["unknown_answers"]) == ("query", number + 1)
    last = decided(TaskUnknown(), claimed(tool, unknown_answers=answers - 1))
    assert last.patch["next_call"] == "swap"
    assert "maybe_paid_twice" not in last.patch


@pytest.mark.parametrize("tool", [STYLE.name, SD.name])
def test_what_was_acknowledged_is_never_sent_again_however_often_it_is_not_known(tool: str) -> None:
    """That its query works at all has never been seen: each job could be paid for again and again."""
    claim = claimed(tool, polls=3, unknown_answers=7)
    decision = decided(TaskUnknown(), claim)
    assert (decision.event, decision.schedule) == (Event.WAIT, "poll")
    assert (decision.patch["next_call"], decision.patch["polls"]) == ("query", 4)
    assert decision.patch["unknown_answers"] == 8  # so that the next way is asked
    given_up = decided(TaskUnknown(), claimed(tool, polls=500, sent_at=NOW_MS - 90_000_000))
    assert (given_up.event, given_up.code) == (Event.FAIL, ErrorCode.VENDOR_TIMEOUT)
    assert given_up.patch["next_call"] == "query"


@pytest.mark.parametrize(
    ("tool", "settings", "expected"),
    [
        (SWAP.name, CALLED_BACK, 2),  # takes no callback
        (STYLE.name, SETTINGS, 2),
        (STYLE.name, CALLED_BACK, 120),
        ("modelTraining/submitTraining/Job", CALLED_BACK, 900),
    ],
)
def test_the_first_question_comes_when_it_makes_sense(tool: str, settings: WorkerSettings, expected: float) -> None:
    assert decided(Pending(), claimed(tool, "swap"), settings).delay_s == expected


def test_a_training_is_given_up_after_days_and_not_after_an_hour() -> None:
    tool = "modelTraining/submitTraining/Job"
    day = decided(Pending(), claimed(tool, polls=40, sent_at=NOW_MS - 86_400_000))
    assert (day.event, day.delay_s) == (Event.WAIT, 7200)
    assert decided(Pending(), claimed(tool, polls=60, sent_at=NOW_MS - 3 * 86_400_000)).event is Event.FAIL


def test_only_tools_that_take_one_are_given_a_callback() -> None:
    assert asked(claimed(STYLE.name, "swap"), callback_url="https://gw/x").body["callbackUrl"] == "https://gw/x"
    assert "callbackUrl" not in asked(claimed(STYLE.name, "swap")).body
    assert "callbackUrl" not in asked(claimed(SWAP.name, "swap"), callback_url="https://gw/x").body
    assert "callbackUrl" not in asked(claimed(STYLE.name), callback_url="https://gw/x").body


def test_a_tool_that_this_worker_does_not_know_is_left_to_others() -> None:
    outcome = call_of(claimed("hair/change", "swap"), SETTINGS, lambda _: "")
    assert isinstance(outcome, NotStarted)
    assert "SWAPJOBS_TOOLS_FILE" in outcome.message
    assert signal_of(outcome) == "", "no fault of the vendor's"


def test_what_cannot_be_asked_for_is_not_sent_again_by_itself() -> None:
    outcome = call_of(claimed("modelTraining/submitTraining/Job"), SETTINGS, lambda _: "")
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable) == (ErrorCode.VENDOR_TIMEOUT, True)
    assert "look there before you retry" in outcome.message
    assert signal_of(outcome) == "", "the vendor was not asked"
    assert decided(outcome, claimed("modelTraining/submitTraining/Job")).event is Event.FAIL


def test_a_request_that_the_tool_does_not_take_any_more_fails_without_a_call() -> None:
    claim = claimed(STYLE.name, "swap")
    claim.job.history[0]["input"].clear()
    outcome = call_of(claim, SETTINGS, lambda _: "")
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.message) == (
        ErrorCode.INVALID_REQUEST,
        "source_image: is missing (tool identifyStyle)",
    )
    assert signal_of(outcome) == "", "the vendor was not asked"
