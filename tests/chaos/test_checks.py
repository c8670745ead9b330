"""The checks of the harness can fail: each wrong is done once, on purpose, and found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chaos.checks import Findings, check
from chaos.feeder import Answers
from chaos.jobs import business_id, id_of, request
from chaos.look import Leftovers, Look
from support.builders import claim
from swapjobs.contract.lifecycle import Event
from swapjobs.store import keys, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from chaos.child import Child
    from swapjobs import SwapClient
    from swapjobs.store.store import Store

PHASE = "worker-kill"
ID = id_of(PHASE, 0)
NAME = business_id(PHASE, 0)
CALLBACK = "http://127.0.0.1:9/hooks"


class FakeBooks:
    """The books of a run with one job that went well, until a test changes them."""

    def __init__(self) -> None:
        self.children: list[Child] = []
        self.tasks: dict[str, Any] = {NAME: {"billed": 1}}
        self.came: list[dict[str, Any]] = [
            {"id": "msg_1", "job_id": ID, "type": "swap.succeeded", "verified": True, "tries": 1}
        ]

    def vendor(self, path: str, **query: str | float) -> Any:
        assert isinstance(query, dict)
        return {"tasks": self.tasks, "stats": {}, "calls": []}[path]

    def events(self) -> Any:
        return self.came


class Run:
    """One job from its submission to its webhook, and the check of it."""

    def __init__(self, client: SwapClient, store: Store) -> None:
        self.books = FakeBooks()
        self.answers = Answers()
        self.store = store
        self.look = Look(store.redis)
        self.answers.note(PHASE, 0, [item.outcome for item in client.submit_many([request(PHASE, 0, CALLBACK)])])

    def finish(self) -> None:
        entry = record.entry("result", output_url="https://pictures.example/out.jpg")
        self.store.attempts.record_outcome(claim(self.store, ID), Event.SUCCEED, patch={}, entry=entry)
        delivery = self.store.deliveries.claim(ID, 30)
        assert delivery is not None
        self.store.deliveries.settle(delivery, "delivered", status=200, entry=record.entry("webhook", number=1))

    def check(self) -> Findings:
        leftovers = self.look.leftovers()
        # no worker pops the messages of this test
        return check(
            self.books, self.look, self.answers, Leftovers(scheduled=leftovers.scheduled, in_flight=leftovers.in_flight)
        )


@pytest.fixture
def run(client: SwapClient, store: Store) -> Run:
    return Run(client, store)


def test_a_job_that_went_well_is_no_problem(run: Run) -> None:
    run.finish()
    findings = run.check()
    assert findings.problems == []
    assert (findings.accounts[PHASE].accepted, findings.accounts[PHASE].lost) == (1, 0)


def test_a_job_that_is_not_final_is_lost(run: Run) -> None:
    assert run.check().accounts[PHASE].lost == 1


def test_a_job_without_a_record_is_lost(run: Run) -> None:
    run.finish()
    run.store.redis.flushall()
    findings = run.check()
    assert findings.accounts[PHASE].lost == 1
    assert findings.problems[0].startswith(f"phase {PHASE}: lost: 1 jobs")


def test_a_job_that_was_new_when_it_was_submitted_again_is_lost(run: Run) -> None:
    run.finish()
    run.answers.note(PHASE, 0, ["created"])
    assert run.check().accounts[PHASE].lost == 1


def test_a_lease_that_nobody_ended_is_left_over(run: Run) -> None:
    claim(run.store, ID)
    assert any(f"lease:{ID}" in problem for problem in run.check().problems)


def bill_twice(run: Run) -> None:
    run.books.tasks[f"{ID}-2"] = {"billed": 1}  # under the vendor id of a later try


def bill_never(run: Run) -> None:
    run.books.tasks.clear()


def bill_a_stranger(run: Run) -> None:
    run.books.tasks["somebody"] = {"billed": 1}


def lose_the_webhook(run: Run) -> None:
    run.books.came.clear()


def send_two_webhooks(run: Run) -> None:
    run.books.came.append({**run.books.came[0], "id": "msg_2"})


def tell_another_end(run: Run) -> None:
    run.books.came[0]["type"] = "swap.failed"


def miscount(run: Run) -> None:
    run.store.redis.hincrby(keys.metrics(), "jobs roop succeeded -", 1)


def sign_wrongly(run: Run) -> None:
    run.books.came[0]["verified"] = False


def keep_a_record_for_ever(run: Run) -> None:
    run.store.redis.persist(f"swapjobs:job:{ID}")


@pytest.mark.parametrize(
    ("wrong", "result"),
    [
        (bill_twice, "paid more than once: 1 jobs"),
        (bill_never, "succeeded without a billing: 1 jobs"),
        (bill_a_stranger, "the vendor was asked for what nobody submitted"),
        (lose_the_webhook, "final, but no webhook came: 1 jobs"),
        (send_two_webhooks, "more than one webhook id: 1 jobs"),
        (tell_another_end, "the webhook tells another end: 1 jobs"),
        (sign_wrongly, "webhooks whose signature is wrong"),
        (miscount, "the metrics don't add up: ended {'succeeded': 2}, by the records {'succeeded': 1}"),
        (keep_a_record_for_ever, "1 keys without a time to live"),
    ],
)
def test_each_wrong_is_found(run: Run, wrong: Callable[[Run], None], result: str) -> None:
    run.finish()
    wrong(run)
    assert [problem.startswith(result) for problem in run.check().problems] == [True]


def test_a_failure_that_the_vendor_did_not_name_is_found(run: Run) -> None:
    entry = record.entry("error", code="attempts_exhausted", message="6 attempts failed", retryable=True)
    run.store.attempts.record_outcome(claim(run.store, ID), Event.FAIL, patch={}, entry=entry)
    run.books.tasks.clear()
    assert any("did not say so: 1 jobs" in problem for problem in run.check().problems)
