"""The sandbox's books: what counts as a call, as work, as money, and as money spent twice."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from swapjobs.contract.output import ImageOutput
from swapjobs.contract.vendor_api import Status
from swapsandbox.vendor.ledger import OVER_LIMIT, Ledger
from swapsandbox.vendor.records import Kind, Outcome

if TYPE_CHECKING:
    from swapsandbox.vendor.records import Task

SUCCESS = Outcome((ImageOutput(url="http://pictures/out.png"),))
FAILURE = Outcome((), "TARGET_NO_FACE: no face found")


class Clock:
    """A time that moves only when told."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock: Clock) -> Ledger:
    return Ledger(clock)


def swap(ledger: Ledger, business_id: str, outcome: Outcome = SUCCESS) -> Task:
    call = ledger.arrive(Kind.SWAP, business_id, ledger.now())
    task = ledger.start("roop", business_id)
    ledger.finish(task, outcome)
    ledger.answer(call, 200)
    return task


def test_a_success_is_billed_and_a_failure_is_not(ledger: Ledger) -> None:
    swap(ledger, "good")
    swap(ledger, "bad", FAILURE)
    stats = ledger.stats()
    assert (stats["calls"], stats["executed"], stats["billed"], stats["failed"]) == (2, 2, 1, 1)


def test_each_billing_beyond_the_first_of_an_id_is_a_duplicate(ledger: Ledger) -> None:
    for business_id in ("once", "thrice", "thrice", "thrice"):
        swap(ledger, business_id)
    stats = ledger.stats()
    assert stats["billed"] == 4
    assert stats["duplicates"] == 2
    assert stats["duplicate_ids"] == ["thrice"]


def test_a_retry_after_a_failure_is_no_duplicate(ledger: Ledger) -> None:
    swap(ledger, "job", FAILURE)
    swap(ledger, "job")
    assert ledger.stats()["duplicates"] == 0


def test_a_call_that_was_never_accepted_leaves_no_task(ledger: Ledger) -> None:
    call = ledger.arrive(Kind.SWAP, "refused", ledger.now())
    ledger.answer(call, 503)
    assert ledger.find(["roop"], "refused") is None
    assert ledger.accounts("refused")["refused"]["calls"] == 1


def test_a_task_is_found_by_its_own_tool_only(ledger: Ledger) -> None:
    swap(ledger, "job")
    assert ledger.find(["roop"], "job") is not None
    assert ledger.find(["v2/roop"], "job") is None


def test_a_task_is_pending_while_it_runs(ledger: Ledger) -> None:
    ledger.start("roop", "job")
    result = ledger.find(["roop"], "job")
    assert result is not None
    assert result.seen_at(ledger.now()) is None


def test_an_outcome_may_be_hidden_for_some_seconds(ledger: Ledger, clock: Clock) -> None:
    ledger.finish(ledger.start("roop", "job"), SUCCESS, visible_after_s=5)
    result = ledger.find(["roop"], "job")
    assert result is not None
    assert result.seen_at(clock.time + 4.9) is None
    assert result.seen_at(clock.time + 5) == SUCCESS
    assert ledger.stats()["billed"] == 1, "hidden from the caller, but already on the bill"


def test_every_call_gets_a_new_vendor_id(ledger: Ledger) -> None:
    assert swap(ledger, "job").vendor_id != swap(ledger, "job").vendor_id


def test_calls_in_flight_are_counted_with_their_maximum(ledger: Ledger) -> None:
    calls = [ledger.arrive(Kind.QUERY, "a", 1.0), ledger.arrive(Kind.SWAP, "a", 1.0)]
    for call in calls:
        ledger.answer(call, None)
    ledger.answer(ledger.arrive(Kind.SWAP, "b", 2.0), 200)
    stats = ledger.stats()
    assert (stats["in_flight"], stats["max_in_flight"]) == (0, 2)
    assert (stats["calls"], stats["queries"]) == (2, 1)
    assert stats["statuses"] == {"none": 2, "200": 1}


def test_the_log_shows_calls_in_order_and_can_be_narrowed(ledger: Ledger) -> None:
    for at, business_id in ((1.0, "a"), (2.0, "b"), (3.0, "a")):
        call = ledger.arrive(Kind.SWAP, business_id, at)
        ledger.blame(call, OVER_LIMIT)
        ledger.answer(call, 429)
    assert [row["at"] for row in ledger.calls()] == [1.0, 2.0, 3.0]
    assert [row["at"] for row in ledger.calls(since=2.0)] == [2.0, 3.0]
    assert ledger.calls(business_id="b") == [
        {"at": 2.0, "kind": "swap", "business_id": "b", "status": 429, "fault": "over_limit"}
    ]
    assert ledger.stats()["over_limit"] == 3
    assert ledger.stats()["faults"] == {"over_limit": 3}


def test_the_log_is_bounded_and_the_counts_are_not(clock: Clock) -> None:
    ledger = Ledger(clock, log_size=2)
    for business_id in "abc":
        swap(ledger, business_id)
    assert [row["business_id"] for row in ledger.calls()] == ["b", "c"]
    assert ledger.stats()["calls"] == 3


def test_a_call_from_before_a_reset_does_not_change_the_counts_after_it(ledger: Ledger) -> None:
    call = ledger.arrive(Kind.SWAP, "old", ledger.now())
    task = ledger.start("roop", "old")
    ledger.reset()
    ledger.finish(task, SUCCESS)
    ledger.blame(call, "hang")
    ledger.answer(call, 200)
    stats = ledger.stats()
    assert not any(stats.values())
    assert ledger.accounts() == {}


def test_an_account_shows_the_newest_task(ledger: Ledger, clock: Clock) -> None:
    swap(ledger, "job", FAILURE)
    clock.time = 1007.0
    task = swap(ledger, "job")
    assert ledger.accounts("job") == {
        "job": {
            "calls": 2,
            "queries": 0,
            "billed": 1,
            "tool": "roop",
            "vendor_id": task.vendor_id,
            "status": Status.SUCCESS,
            "output_url": "http://pictures/out.png",
            "outputs": [{"kind": "image", "url": "http://pictures/out.png"}],
            "message": "success",
            "done_at": 1007.0,
        }
    }
    assert ledger.accounts("unknown") == {}


def test_threads_lose_no_count() -> None:
    """The demo reads the books while the server writes them."""
    ledger = Ledger()
    threads = [threading.Thread(target=lambda: [swap(ledger, f"id-{at % 10}") for at in range(200)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = ledger.stats()
    assert stats["calls"] == stats["billed"] == 1600
    assert stats["duplicates"] == 1590
    assert stats["in_flight"] == 0


def test_the_clock_of_a_ledger_never_goes_back() -> None:
    ledger = Ledger()
    times = [ledger.now() for _ in range(1000)]
    assert times == sorted(times)
