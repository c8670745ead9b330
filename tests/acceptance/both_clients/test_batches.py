"""Lists of jobs and batches, the same either way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from support.both_clients import fail, one
from support.builders import make_request, wait_until
from swapjobs import InvalidRequest, JobState
from swapjobs.contract.errors import BatchClosed, BatchNotFound

if TYPE_CHECKING:
    from support.processes import Sandbox
    from swapjobs.client.interface import JobClient
    from swapjobs.store.store import Store


# -- list


def test_pages_hold_what_fits_newest_first(client: JobClient, store: Store) -> None:
    ids = [client.submit(make_request(batch_id="b" if n % 2 else None)).id for n in range(7)]
    fail(store, ids[1])
    fail(store, ids[2])
    result, cursor = [], None
    while True:
        page = client.list(limit=3, cursor=cursor)
        result += [job.id for job in page.jobs]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert result == ids[::-1]

    def those(**filters: Any) -> list[str]:
        return [job.id for job in client.list(**filters).jobs]

    assert those(state=JobState.FAILED) == [ids[2], ids[1]]
    assert those(batch_id="b") == [ids[5], ids[3], ids[1]]
    assert those(batch_id="b", error_code="no_face") == [ids[1]]
    middle = client.get(ids[3]).created_at
    assert set(those(created_after=middle)) | set(those(created_before=middle)) >= set(ids) - {ids[3]}
    assert those(created_before=datetime(2020, 1, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize("wrong", [{"cursor": "nonsense"}, {"limit": 0}, {"error_code": "nonsense"}])
def test_a_wrong_filter_is_told(client: JobClient, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        client.list(**wrong)
    assert next(iter(wrong)) in str(caught.value)


# -- batches


def test_a_batch_counts_its_jobs_and_completes_when_closed(client: JobClient, store: Store) -> None:
    opened = client.batches.open("b", callback_url="https://hooks.example/b")
    assert (opened.id, opened.state, opened.total) == ("b", "open", 0)
    assert client.batches.open("b", callback_url="https://hooks.example/b").created_at == opened.created_at
    ids = [str(item.id) for item in client.submit_many(one(batch_id="b") for _ in range(3))]
    assert client.batches.get("b").counts[JobState.QUEUED] == 3
    fail(store, ids[0])
    closed = client.batches.close("b")
    assert (closed.state, closed.total, dict(closed.errors)) == ("closed", 3, {"no_face": 1})
    with pytest.raises(BatchClosed):
        client.submit(make_request(batch_id="b"))
    (late,) = client.submit_many([one(batch_id="b")])
    assert (late.outcome, late.id) == ("invalid", None)
    assert "closed" in str(late.error)
    for id_ in ids[1:]:
        client.cancel(id_)
    wait_until(lambda: client.batches.get("b").state == "completed")


def test_a_batch_without_a_name_gets_one_and_all_are_listed(client: JobClient) -> None:
    unnamed = client.batches.open()
    names = {unnamed.id, *(client.batches.open(f"b-{n}").id for n in range(3))}
    first, cursor = client.batches.list(limit=2)
    assert cursor is not None
    rest, end = client.batches.list(cursor=cursor, limit=10)
    assert ({batch.id for batch in (*first, *rest)}, end) == (names, None)


@pytest.mark.usefixtures("worker")
def test_a_batch_is_paused_resumed_cancelled_and_retried_as_one(client: JobClient, vendor: Sandbox) -> None:
    vendor.faults("status_2:msg=TARGET_NO_FACE: no face found")
    client.batches.open("b")
    assert client.batches.pause("b").paused is True
    ids = [str(item.id) for item in client.submit_many(one(batch_id="b") for _ in range(5))]
    assert client.batches.resume("b").paused is False
    assert {client.wait(id_, 30).state for id_ in ids} == {JobState.FAILED}
    vendor.faults()
    client.batches.retry("b", error_code="no_face")
    wait_until(lambda: client.batches.get("b").counts[JobState.SUCCEEDED] == 5)
    client.batches.pause("b")
    more = [str(item.id) for item in client.submit_many(one(batch_id="b") for _ in range(5))]
    client.batches.cancel("b")
    assert {client.wait(id_, 30).state for id_ in more} == {JobState.CANCELLED}


def test_an_unknown_batch_is_not_found(client: JobClient) -> None:
    batches = client.batches
    for call in (batches.get, batches.close, batches.pause, batches.resume, batches.cancel, batches.retry):
        with pytest.raises(BatchNotFound):
            call("unknown")
