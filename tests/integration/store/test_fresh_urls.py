"""The same pictures signed anew: a job takes the fresh URLs as long as it has none; dead ones cost no call."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from support import records
from support.builders import claim, make_request
from swapjobs import IdempotencyConflict, JobState, SwapClient
from swapjobs.contract.errors import ErrorCode, InvalidRequest
from swapjobs.contract.lifecycle import Event
from swapjobs.store.claims import NotClaimed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swapjobs.contract.request import SwapRequest
    from swapjobs.settings import WorkerSettings
    from swapjobs.store.store import Store


@pytest.fixture
def client(settings: WorkerSettings) -> Iterator[SwapClient]:
    with SwapClient(settings) as client:
        yield client


def signed(name: str, until_s: float) -> str:
    return f"https://pictures.example/{name}.jpg?Signature=s{int(until_s)}&AWSAccessKeyId=A&Expires={int(until_s)}"


def asked(until_s: float, **fields: Any) -> SwapRequest:
    now = time.time()
    return make_request(
        source_url=signed("source", now + until_s),
        target_url=signed("target", now + until_s),
        business_task_id="order-7",
        **fields,
    )


@pytest.fixture
def store(client: SwapClient, settings: WorkerSettings) -> Store:
    result: Store = client._store  # noqa: SLF001 - the same connections
    result.dispatch.set_limits(settings)
    return result


def test_a_waiting_job_takes_fresh_urls_and_keeps_the_rest(client: SwapClient, store: Store) -> None:
    old = asked(60, metadata={"shelf": ["ä", []], "big": 12345678901234567890})
    job = client.submit(old)
    new = asked(3600, metadata={"shelf": "another"})
    again = client.submit(new)
    assert (again.id, again.source_url, again.target_url) == (job.id, new.source_url, new.target_url)
    assert again.metadata == old.metadata
    assert claim(store, job.id).job.request["source_url"] == new.source_url


def test_many_at_once_take_them_too(client: SwapClient) -> None:
    client.submit(asked(60))
    new = asked(3600)
    (result,) = client.submit_many([new])
    assert (result.outcome, client.get(str(result.id)).source_url) == ("existing", new.source_url)


def test_other_pictures_are_a_conflict_and_change_nothing(client: SwapClient) -> None:
    job = client.submit(asked(60))
    with pytest.raises(IdempotencyConflict):
        client.submit(make_request(business_task_id="order-7"))
    assert client.get(job.id) == job


def test_during_an_attempt_the_next_one_has_them(client: SwapClient, store: Store) -> None:
    job = client.submit(asked(60))
    taken = claim(store, job.id)
    new = asked(3600)
    client.submit(new)
    store.attempts.record_outcome(taken, Event.WAIT, patch={"next_call": "swap", "attempts": 1, "reason": "retry"})
    assert claim(store, job.id).job.request["target_url"] == new.target_url


def test_a_job_that_has_its_picture_keeps_its_urls(client: SwapClient, store: Store) -> None:
    old = asked(60)
    job = client.submit(old)
    store.attempts.record_outcome(claim(store, job.id), Event.SUCCEED, patch={})
    assert client.submit(asked(3600)).source_url == old.source_url


def test_a_dead_url_is_told_before_a_call_is_booked(client: SwapClient, store: Store) -> None:
    job = client.submit(asked(-60))
    arrival = store.dispatch.inspect().numbers["arrival"]
    assert store.attempts.claim(job.id, 30) == NotClaimed("failed")
    ended = client.get(job.id)
    assert ended.error is not None
    assert (ended.state, ended.error.code, ended.error.retryable) == (
        JobState.FAILED,
        ErrorCode.IMAGE_UNREACHABLE,
        True,
    )
    assert ended.error.message.startswith("signature expired at 20")
    assert ended.failed_attempts == 0
    line = store.dispatch.inspect()
    assert (line.numbers["arrival"], line.numbers["in_flight"]) == (arrival, 0)


def test_a_retry_with_fresh_urls_can_succeed(client: SwapClient, store: Store) -> None:
    job = client.submit(asked(-60))
    store.attempts.claim(job.id, 30)
    new = asked(3600)
    assert client.submit(new).state is JobState.FAILED  # it has them, for a retry
    assert client.retry(job.id).source_url == new.source_url
    assert claim(store, job.id).call == "swap"


def test_a_retry_may_bring_them_itself(client: SwapClient, store: Store) -> None:
    job = client.submit(asked(-60))
    store.attempts.claim(job.id, 30)
    new = asked(3600)
    with pytest.raises(IdempotencyConflict):
        client.retry(job.id, source_url="https://pictures.example/another.jpg")
    with pytest.raises(InvalidRequest):
        client.retry(job.id, source_url="no URL")
    assert client.get(job.id).state is JobState.FAILED
    job = client.retry(job.id, source_url=new.source_url, target_url=new.target_url)
    assert (job.state, job.source_url) == (JobState.QUEUED, new.source_url)
    assert claim(store, job.id).call == "swap"


def test_what_may_be_paid_for_is_asked_for_with_dead_urls_too(client: SwapClient, store: Store) -> None:
    """A query needs no picture: the outcome of a call that was not seen is not lost with the signature."""
    job = client.submit(asked(60))
    taken = claim(store, job.id)
    store.attempts.record_outcome(taken, Event.WAIT, patch={"next_call": "query", "reason": "retry"})
    records.set_fields(store.redis, job.id, urls_until="1000000000000/2001-09-09T01:46:40Z")
    assert claim(store, job.id).call == "query"


def test_one_that_waited_for_a_retry_ends_with_no_reason_to_wait(client: SwapClient, store: Store) -> None:
    job = client.submit(asked(60))
    store.attempts.record_outcome(
        claim(store, job.id), Event.WAIT, patch={"next_call": "swap", "attempts": 1, "reason": "retry"}
    )
    records.set_fields(store.redis, job.id, urls_until="1000000000000/2001-09-09T01:46:40Z")
    assert store.attempts.claim(job.id, 30) == NotClaimed("failed")
    ended = client.get(job.id)
    assert (ended.state, ended.reason, ended.next_attempt_at) == (JobState.FAILED, None, None)
