"""What is asked of the vendor besides jobs, and what its callbacks lead to."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from support.builders import claim, submit
from support.fleet import leases
from swapjobs.contract.errors import VendorUnavailable
from swapjobs.contract.lifecycle import Event, JobState
from swapjobs.settings import Rate, WorkerSettings
from swapjobs.store import keys
from swapjobs.store.vendor.reads import Question

if TYPE_CHECKING:
    from swapjobs.store.store import Store

LIST = "a-list"


def in_flight(store: Store) -> int:
    return store.dispatch.status().in_flight


def asking(store: Store, answers: list[Any], timeout_s: float = 10) -> threading.Thread:
    """Ask in a thread of its own, as a client does."""

    def ask() -> None:
        try:
            answers.append(store.reads.ask(LIST, {"page_size": 3}, timeout_s))
        except VendorUnavailable as error:
            answers.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def asked_id(store: Store) -> str:
    """Return the id of the question in the message that a worker would pop."""
    message: Any = store.redis.brpop([keys.READY[keys.INTERACTIVE]], timeout=5)
    assert '"task":"swapjobs.read"' in message[1]
    return str(json.loads(message[1])["headers"]["id"])


def test_a_question_is_put_under_the_limit_and_answered(store: Store) -> None:
    answers: list[Any] = []
    thread = asking(store, answers)
    id_ = asked_id(store)
    question = store.reads.claim(id_, 30)
    assert isinstance(question, Question)
    assert (question.tool, question.input) == (LIST, {"page_size": 3})
    assert in_flight(store) == 1
    store.reads.answer(id_, {"data": {"rows": [1]}}, call=f"{LIST} list succeeded", call_ms=12)
    thread.join(10)
    assert answers == [{"rows": [1]}]
    assert (in_flight(store), leases(store)) == (0, [])
    assert store.reads.claim(id_, 30) == "gone"


def test_what_went_wrong_is_told_to_who_asked(store: Store) -> None:
    answers: list[Any] = []
    thread = asking(store, answers)
    store.reads.answer(asked_id(store), {"error": "the vendor answered 401"})
    thread.join(10)
    assert answers == ["the vendor answered 401"]


def test_questions_are_a_tenth_of_the_calls_at_most(store: Store, settings: WorkerSettings) -> None:
    """Who asks again and again keeps nobody's jobs waiting."""
    store.dispatch.set_limits(settings.model_copy(update={"rate_limit": Rate("1/s")}))
    threads = [asking(store, [], 2) for _ in range(2)]
    first, second = asked_id(store), asked_id(store)
    assert isinstance(store.reads.claim(first, 30), Question)
    assert store.reads.claim(second, 30) == "busy"
    spacing_ms = 1000 / store.dispatch.status().rate
    left_ms: Any = store.redis.pttl(keys.read_pause())
    assert 5 * spacing_ms < left_ms <= 11 * spacing_ms
    for thread in threads:
        thread.join(10)


def test_without_a_worker_the_question_is_forgotten_in_time(store: Store) -> None:
    with pytest.raises(VendorUnavailable, match="no worker has asked"):
        store.reads.ask(LIST, {}, 0.2)
    assert list(store.redis.scan_iter(f"{keys.read('')}*")) == []


def test_while_dispatch_is_paused_nothing_is_asked(store: Store) -> None:
    store.dispatch.pause()
    thread = asking(store, [], 1)
    assert store.reads.claim(asked_id(store), 30) == "paused_manually"
    assert in_flight(store) == 0
    thread.join(10)


def test_a_worker_that_died_with_a_question_leaves_no_call_in_flight(store: Store) -> None:
    thread = asking(store, [], 1)
    assert isinstance(store.reads.claim(asked_id(store), 0), Question)
    assert in_flight(store) == 1
    store.dispatch.dispatch_due("w", 30)
    assert in_flight(store) == 0
    thread.join(10)


def polled(store: Store) -> str:
    """Return a job that the vendor works on; its next question is far away."""
    id_ = submit(store)
    patch: dict[str, str | int] = {"reason": "vendor_processing", "next_call": "query", "polls": 1}
    store.attempts.record_outcome(claim(store, id_), Event.WAIT, patch=patch, schedule="poll", delay_s=3600)
    return id_


def code_of(store: Store, id_: str) -> str:
    return store.callbacks.url_of("https://gw.example/", id_).rpartition("/")[2]


def test_a_callback_lets_the_task_be_asked_for_at_once(store: Store) -> None:
    id_ = polled(store)
    assert store.callbacks.url_of("https://gw.example/", id_).startswith(f"https://gw.example/vendor/callback/{id_}.")
    assert store.callbacks.take(code_of(store, id_))
    assert claim(store, id_).call == "query"
    assert store.redis.zscore(keys.schedule(), f"poll:{id_}") is None


def test_one_that_comes_before_the_reply_is_not_forgotten(store: Store) -> None:
    id_ = submit(store)
    first = claim(store, id_)
    assert store.callbacks.take(code_of(store, id_))
    assert store.jobs.get(id_).fields["state"] == JobState.RUNNING
    patch: dict[str, str | int] = {"reason": "vendor_processing", "next_call": "query", "polls": 1}
    store.attempts.record_outcome(first, Event.WAIT, patch=patch, schedule="poll", delay_s=3600)
    store.dispatch.dispatch_due("w", 30)
    assert claim(store, id_).call == "query"
    assert "called_back" not in store.jobs.get(id_).fields


def test_one_for_a_job_that_has_ended_or_is_gone_does_nothing(store: Store) -> None:
    id_ = submit(store)
    store.attempts.record_outcome(
        claim(store, id_), Event.SUCCEED, patch={}, entry='{"kind":"result","output_url":"x"}'
    )
    before = store.jobs.get(id_).fields
    assert store.callbacks.take(code_of(store, id_))
    assert store.callbacks.take(code_of(store, "no-such-job"))
    assert store.jobs.get(id_).fields == before


@pytest.mark.parametrize("code", ["", ".", "x", "{id}", "{id}.", "{id}.aaaa", "é.é", "{id}.{other}"])
def test_a_code_that_the_fleet_did_not_make_leads_nowhere(store: Store, code: str) -> None:
    id_ = polled(store)
    forged = code.replace("{id}", id_).replace("{other}", code_of(store, "b").partition(".")[2])
    assert not store.callbacks.take(forged)
    assert store.redis.zscore(keys.schedule(), f"poll:{id_}") is not None


def test_all_workers_and_gateways_make_the_same_codes(store: Store, settings: Any) -> None:
    from swapjobs.store.store import Store as AnotherStore  # noqa: PLC0415 - another process' view

    assert code_of(AnotherStore(store.redis, settings), "a") == code_of(store, "a")
