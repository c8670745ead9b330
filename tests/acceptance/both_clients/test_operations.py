"""One action on all jobs that fit a filter: what it means, what it leaves alone, and what it says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.both_clients import TENANT
from support.builders import claim, make_request
from swapjobs import JobState
from swapjobs.contract.errors import InvalidRequest, OperationNotFound
from swapjobs.contract.lifecycle import Event

if TYPE_CHECKING:
    from swapjobs.client.interface import JobClient
    from swapjobs.store.store import Store


@pytest.fixture
def mine() -> dict[str, Any]:
    """Whose jobs: a gateway's key knows its tenant, and takes the same name."""
    return {"tenant": TENANT}


def failed(client: JobClient, store: Store, code: str, **fields: Any) -> str:
    job = client.submit(make_request(**fields))
    patch = {"next_call": "swap", "code": code}
    assert store.attempts.record_outcome(claim(store, job.id), Event.FAIL, patch=patch, entry="{}") == "ok"
    return job.id


def test_what_failed_with_a_code_is_retried_and_nothing_else(
    client: JobClient, store: Store, mine: dict[str, Any]
) -> None:
    wanted = {failed(client, store, "image_unreachable", **mine) for _ in range(3)}
    others = [failed(client, store, "no_face", **mine), client.submit(make_request(**mine)).id]
    foreign = store.jobs.submit([make_request(tenant="foreign")])[0].id
    dry = client.operations.start("retry", error_code="image_unreachable", dry_run=True, **mine)
    assert (dry.changed, dry.status) == (3, "done")
    assert {client.get(id_).state for id_ in wanted} == {JobState.FAILED}
    done = client.operations.start("retry", error_code="image_unreachable", **mine)
    assert (done.kind, done.status, done.total, done.looked_at, done.changed, done.left) == (
        "retry",
        "done",
        5,
        5,
        3,
        0,
    )
    assert {client.get(id_).state for id_ in wanted} == {JobState.QUEUED}
    assert [client.get(id_).state for id_ in others] == [JobState.FAILED, JobState.QUEUED]
    assert store.jobs.get(str(foreign)).fields["state"] == JobState.QUEUED
    assert [item.id for item in client.operations.list(**mine)] == [done.id], "a dry run is not in the list"
    assert client.operations.get(done.id) == done


def test_a_batch_is_cancelled_or_forgotten_by_its_state(client: JobClient, store: Store, mine: dict[str, Any]) -> None:
    ended = failed(client, store, "no_face", batch_id="b", **mine)
    queued, elsewhere = [client.submit(make_request(batch_id=name, **mine)).id for name in ("b", "c")]
    running = client.submit(make_request(batch_id="b", **mine)).id
    claimed = claim(store, running)
    forgotten = client.operations.start("forget", batch_id="b", **mine)
    assert (forgotten.changed, forgotten.left) == (1, 2), "what is not finished is told of"
    done = client.operations.start("cancel", batch_id="b", state="queued", **mine)
    assert (done.changed, client.get(queued).state) == (1, JobState.CANCELLED)
    assert (client.get(running).state, client.get(elsewhere).state) == (JobState.RUNNING, JobState.QUEUED)
    store.attempts.record_outcome(claimed, Event.SUCCEED, patch={}, entry="{}")
    assert ended not in {job.id for job in client.list(batch_id="b", **mine).jobs}


@pytest.mark.parametrize(
    ("kind", "filters", "text"),
    [
        ("explode", {}, "kind"),
        ("retry", {"state": "queued"}, "to retry it must be one of cancelled, expired, failed"),
        ("cancel", {"error_code": "no_face"}, "to cancel it must be one of queued, running, waiting"),
        ("forget", {"error_code": "no_face", "state": "queued"}, "only failed and expired jobs have one"),
        ("cancel", {"colour": "red"}, "colour"),
        ("cancel", {"created_after": 12}, "created_after: must be a time like"),
    ],
)
def test_what_can_fit_no_job_is_refused(client: JobClient, kind: str, filters: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidRequest, match=text):
        client.operations.start(kind, **filters)
    assert client.operations.list() == []


def test_what_is_over_can_be_stopped_too_and_an_unknown_one_not(client: JobClient, mine: dict[str, Any]) -> None:
    done = client.operations.start("cancel", **mine)
    assert client.operations.stop(done.id).status == "done"
    for call in (client.operations.get, client.operations.stop):
        with pytest.raises(OperationNotFound):
            call("op-unknown")
