"""SwapClient does the same against Redis and through the gateway: each test here runs against both.

Real processes all the way: Redis, a gateway, a worker and the sandbox where a job is to end.
"""

from __future__ import annotations

import itertools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.both_clients import TENANT, fail, one
from support.builders import claim, make_request
from swapjobs import (
    IdempotencyConflict,
    InvalidRequest,
    JobGone,
    JobNotFound,
    JobState,
    NotRetryable,
    QueueFull,
    SwapRequest,
    WaitTimeout,
)
from swapjobs.contract.job import job_id
from swapjobs.contract.lifecycle import Event
from swapjobs.store import keys, record
from swapjobs.tools import InstantId

if TYPE_CHECKING:
    from support.processes import Sandbox
    from swapjobs.client.interface import JobClient
    from swapjobs.store.store import Store

# -- submit


def test_a_mapping_is_submitted_as_a_request_is_and_what_is_none_is_told(client: JobClient) -> None:
    request = make_request(business_task_id="order-1")
    job = client.submit(request.model_dump(mode="json", exclude_unset=True))
    assert client.submit(request).id == job.id
    assert job.priority == "interactive"
    portrait = InstantId(image="https://a.example/1.jpg", prompt="a doll")
    wrongs: list[tuple[Any, str]] = [
        ({"source_url": "x"}, "source_url"),
        ("https://a.example/1.jpg", ""),
        (portrait, ""),
    ]
    for wrong, field in wrongs:
        with pytest.raises(InvalidRequest) as caught:
            client.submit(wrong)
        assert field in str(caught.value)


def test_a_job_is_told_with_all_its_fields(client: JobClient) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    request = make_request(
        tool="v2/roop",
        fidelity_weight=0.7,
        callback_url="https://hooks.example/in?a=1",
        expires_at=until,
        metadata={"cart": [1, {"ü": None}], "n": 1.5},
        priority="bulk",
    )
    job = client.submit(request)
    assert job == client.get(job.id)
    assert job.id == job_id(TENANT, str(request.business_task_id))
    assert (job.state, job.tool, job.tenant, job.priority) == (JobState.QUEUED, "v2/roop", TENANT, "bulk")
    assert (job.source_url, job.target_url) == (request.source_url, request.target_url)
    assert (job.expires_at, job.metadata) == (until, request.metadata)
    assert job.webhook is not None
    assert (job.webhook.url, job.attempts, job.error) == ("https://hooks.example/in?a=1", 0, None)


def test_the_same_id_is_the_same_job_and_other_content_is_refused(client: JobClient) -> None:
    request = make_request()
    job = client.submit(request)
    assert client.submit(request) == job
    with pytest.raises(IdempotencyConflict, match="different request"):
        client.submit(request.model_copy(update={"target_url": "https://pictures.example/other.jpg"}))


def test_a_job_without_an_id_gets_one(client: JobClient) -> None:
    first, second = (client.submit(make_request(business_task_id=None)) for _ in range(2))
    assert first.id != second.id
    assert first.id == job_id(TENANT, first.business_task_id)


def test_threads_share_a_client(client: JobClient) -> None:
    requests = [make_request() for _ in range(60)]
    with ThreadPoolExecutor(12) as pool:
        jobs = list(pool.map(client.submit, requests))
    assert [job.business_task_id for job in jobs] == [request.business_task_id for request in requests]


OWN_IDS = ["order-4711", "a/b", "..", "50% & more?#", "aaaaaaaaaaaaaaaaaaaaaaaa"]


@pytest.mark.parametrize("own_id", OWN_IDS)
def test_the_products_own_id_is_taken_wherever_a_job_id_is(client: JobClient, store: Store, own_id: str) -> None:
    job = client.submit(make_request(business_task_id=own_id))
    assert client.get(own_id) == client.get(own_id, tenant=TENANT) == job
    assert client.list(business_task_id=own_id).jobs == [job]
    assert client.list(business_task_id=own_id, state="failed").jobs == []
    assert client.attempts(own_id) == []
    with pytest.raises(WaitTimeout):
        client.wait(own_id, 0.1)
    assert client.cancel(own_id).id == job.id
    assert client.wait(own_id, 1).state is JobState.CANCELLED
    assert client.retry(own_id).id == job.id
    fail(store, job.id)
    assert client.retry(own_id).state is JobState.QUEUED


def test_an_id_is_nobodys(client: JobClient) -> None:
    assert client.list(business_task_id="nobodys").jobs == []
    for ask in (client.get, client.attempts, client.cancel, client.retry):
        with pytest.raises(JobNotFound, match="nobodys, and none of"):
            ask("nobodys")
    with pytest.raises(JobNotFound):
        client.wait("nobodys", 1)


def test_attempts(client: JobClient, store: Store) -> None:
    """What came of each call, of all rounds, and once only what a look-up found later."""
    job = client.submit(make_request())
    facts: dict[str, Any] = {"duration_ms": 1500, "worker": "swaps@here"}
    lost = record.entry("attempt", code="vendor_timeout", message="no answer", at=1_700_000_000_000, **facts)
    busy = record.entry("attempt", code="vendor_error", message="busy", at=1_700_000_060_000, status=503, **facts)
    done = record.entry("result", output_url="https://out.example/1.png", at=1_700_000_120_000, status=200, **facts)
    none = record.entry("error", code="no_face", message="none", at=1_700_000_060_000, status=200, **facts)
    waits: dict[str, Any] = {"patch": {"attempts": 1, "next_call": "swap", "reason": "retry"}}
    store.attempts.record_outcome(claim(store, job.id), Event.WAIT, entry=lost, **waits)
    store.attempts.record_outcome(claim(store, job.id), Event.WAIT, entry=busy, **waits)
    store.attempts.record_outcome(claim(store, job.id), Event.FAIL, entry=none, patch={"next_call": "swap"})
    assert (client.get(job.id).attempts, client.get(job.id).failed_attempts) == (2, 2)
    client.retry(job.id)
    assert (client.get(job.id).attempts, client.get(job.id).failed_attempts) == (0, 0)
    taken = claim(store, job.id)
    assert client.get(job.id).attempts == 1
    store.attempts.record_outcome(taken, Event.SUCCEED, entry=done, patch={})
    assert (client.get(job.id).attempts, client.get(job.id).failed_attempts) == (1, 0)
    first, second, third = client.attempts(job.id)
    assert (first.round, first.number, first.outcome, first.code) == (1, 1, "failed", "vendor_timeout")
    assert (first.began_at, first.ended_at) == (
        datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        datetime(2023, 11, 14, 22, 13, 21, 500_000, tzinfo=UTC),
    )
    assert (second.number, second.code, second.message, second.http_status) == (2, "no_face", "none", 200)
    assert (third.round, third.number, third.outcome, third.worker) == (2, 1, "succeeded", "swaps@here")


# -- submit_many


def test_each_request_of_many_has_its_outcome_in_order(client: JobClient) -> None:
    known = client.submit(make_request(business_task_id="known", source_url="https://a.example/1.jpg"))
    same = {"source_url": "https://a.example/1.jpg", "target_url": known.target_url, "business_task_id": "known"}
    requests: list[SwapRequest | dict[str, Any]] = [
        one(business_task_id="new"),
        same,
        {**same, "source_url": "https://a.example/2.jpg"},
        {"source_url": "nonsense", "target_url": "https://a.example/t.jpg"},
        make_request(business_task_id=None),
        {**same, "business_task_id": "twice"},
        {**same, "business_task_id": "twice"},
        {**same, "business_task_id": "twice", "source_url": "https://a.example/2.jpg"},
    ]
    answer = list(client.submit_many(requests))
    outcomes = ["created", "existing", "conflict", "invalid", "created", "created", "existing", "conflict"]
    assert [item.outcome for item in answer] == outcomes
    assert [item.id for item in answer[:4]] == [job_id(TENANT, "new"), known.id, known.id, None]
    assert "source_url" in str(answer[3].error)
    assert {item.id for item in answer[5:]} == {job_id(TENANT, "twice")}
    assert all(client.get(str(item.id)) for item in answer if item.outcome == "created")


def test_the_first_of_two_with_one_id_is_the_job(client: JobClient) -> None:
    """Also where requests are under way side by side."""
    rows = [one(business_task_id=f"pair-{n // 2}", target_url=f"https://a.example/{n}.jpg") for n in range(80)]
    result = list(client.submit_many(rows))
    assert [item.outcome for item in result] == ["created", "conflict"] * 40
    assert [client.get(str(item.id)).target_url for item in result[::2]] == [row["target_url"] for row in rows[::2]]


def test_many_are_bulk_unless_they_say_otherwise(client: JobClient) -> None:
    requests: list[SwapRequest | dict[str, Any]] = [
        one(),
        make_request(),
        make_request(priority="interactive"),
        one(priority="interactive"),
    ]
    priorities = [client.get(str(item.id)).priority for item in client.submit_many(requests)]
    assert priorities == ["bulk", "bulk", "interactive", "interactive"]


def test_many_are_taken_lazily_and_all_of_them(client: JobClient) -> None:
    taken = itertools.count()
    answers = client.submit_many(one(metadata={"n": next(taken)}) for _ in range(1050))
    assert next(answers).outcome == "created"
    ahead = next(taken)
    assert ahead <= 200
    assert Counter(answer.outcome for answer in answers) == {"created": 1049}


def test_many_may_be_left_in_the_middle(client: JobClient) -> None:
    answers = client.submit_many(one() for _ in range(500))
    first = next(answers)
    answers.close()  # type: ignore[attr-defined]  # a generator
    assert client.get(str(first.id)).state is JobState.QUEUED


# -- get, wait


@pytest.mark.parametrize("id_", ["unknown", "", ".", "..", "a/b", "a b", "é", "x" * 500, "%2e%2e", "a?b=c", "\x00"])
def test_what_is_no_jobs_id_is_not_found(client: JobClient, id_: str) -> None:
    with pytest.raises(JobNotFound) as caught:
        client.get(id_)
    assert type(caught.value) is JobNotFound
    with pytest.raises(JobNotFound):
        client.cancel(id_)


def test_a_job_whose_record_has_expired_is_gone(client: JobClient, store: Store) -> None:
    job = client.submit(make_request())
    fail(store, job.id)
    store.redis.delete(keys.job(job.id))
    for call in (client.get, client.cancel, client.retry, lambda id_: client.wait(id_, 1)):
        with pytest.raises(JobGone):
            call(job.id)


@pytest.mark.usefixtures("worker")
def test_wait_returns_the_finished_job(client: JobClient, vendor: Sandbox) -> None:
    vendor.faults("latency:ms=400")
    job = client.submit(make_request())
    done = client.wait(job.id, 30)
    assert done.state is JobState.SUCCEEDED
    assert done == client.get(job.id)
    assert client.wait(job.id, 0) == done


@pytest.mark.usefixtures("worker")
def test_a_failure_is_data_and_no_exception(client: JobClient, vendor: Sandbox) -> None:
    vendor.faults("status_2:msg=TARGET_NO_FACE: no face found")
    done = client.wait(client.submit(make_request()).id, 30)
    assert done.error is not None
    assert (done.state, done.error.code, done.error.retryable) == (JobState.FAILED, "no_face", False)


@pytest.mark.parametrize("timeout_s", [-1, 0, 0.2, 1.1])
def test_wait_gives_up_and_the_job_goes_on(client: JobClient, timeout_s: float) -> None:
    job = client.submit(make_request())
    with pytest.raises(WaitTimeout, match=f"job {job.id} is queued after {timeout_s:g} s"):
        client.wait(job.id, timeout_s)
    assert client.get(job.id).state is JobState.QUEUED


def test_wait_knows_no_unknown_job(client: JobClient) -> None:
    with pytest.raises(JobNotFound):
        client.wait("unknown", 5)


# -- cancel, retry


def test_cancel_is_final_and_may_be_said_twice(client: JobClient) -> None:
    job = client.submit(make_request())
    cancelled = client.cancel(job.id)
    assert cancelled.state is JobState.CANCELLED
    assert client.cancel(job.id) == cancelled == client.get(job.id)


def test_only_what_ended_without_a_picture_can_be_retried(client: JobClient, store: Store) -> None:
    job = client.submit(make_request())
    with pytest.raises(NotRetryable, match="queued"):
        client.retry(job.id)
    fail(store, job.id)
    assert client.get(job.id).error is not None
    again = client.retry(job.id)
    assert (again.id, again.state, again.error) == (job.id, JobState.QUEUED, None)
    with pytest.raises(JobNotFound):
        client.retry("unknown")


def test_chosen_failures_are_retried_lazily(client: JobClient, store: Store) -> None:
    ids = [client.submit(make_request(batch_id="b" if n < 6 else "other")).id for n in range(8)]
    for id_ in ids:
        fail(store, id_, "swap_failed" if id_ == ids[0] else "no_face")
    assert set(client.retry_many(batch_id="b", error_code="no_face")) == set(ids[1:6])
    assert {client.get(id_).state for id_ in ids[1:6]} == {JobState.QUEUED}
    assert {client.get(id_).state for id_ in (ids[0], *ids[6:])} == {JobState.FAILED}
    client.cancel(ids[1])
    assert list(client.retry_many(batch_id="b", states=[JobState.CANCELLED])) == [ids[1]]
    assert list(client.retry_many(batch_id="none")) == []


@pytest.mark.parametrize("wrong", [{}, {"error_code": "nonsense"}, {"batch_id": "b", "states": ["queued"]}])
def test_a_choice_that_cannot_be_meant_is_refused_at_once(client: JobClient, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        client.retry_many(**wrong)


# -- when Redis cannot


def test_a_full_redis_is_told(client: JobClient, store: Store) -> None:
    store.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(QueueFull):
            client.submit(make_request())
        with pytest.raises(QueueFull):
            list(client.submit_many([one()]))
    finally:
        store.redis.config_set("maxmemory", 0)
    assert client.submit(make_request()).state is JobState.QUEUED
