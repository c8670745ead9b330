"""Two swapjobs stacked: the outer's vendor is the inner's door, and the sandbox is paid once for each job."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from support.builders import make_request, wait_until
from support.door import KEY_ID, KEY_SECRET, Door, door_side
from support.fleet import WORKER, all_succeeded
from swapjobs import JobState, SwapClient
from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.job import job_id
from swapjobs.contract.vendor_ids import vendor_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.processes import Program


@pytest.fixture
def inner(tmp_path: Path) -> Iterator[Door]:
    folder = tmp_path / "inner"
    folder.mkdir()
    with door_side(folder, SWAPJOBS_GATEWAY_VENDOR_WAIT_S="2") as door:
        yield door


@pytest.fixture
def start_outer(inner: Door, program: Callable[..., Program]) -> Callable[..., Program]:
    """Start a worker whose vendor is the inner swapjobs."""

    def start(name: str, **more: str) -> Program:
        settings = {
            "SWAPJOBS_API_URL": inner.url,
            "SWAPJOBS_API_KEY_ID": KEY_ID,
            "SWAPJOBS_API_KEY_SECRET": KEY_SECRET,
            "SWAPJOBS_VENDOR_ID_PREFIX": "front.",
        }
        return program(*WORKER, f"{name}@%h", **{**settings, **more}).wait_for("ready.")

    return start


def paid_once_each(inner: Door, count: int) -> None:
    """Check the sandbox's books: so many were billed, none twice."""
    stats = inner.vendor.get("stats")
    assert (stats["billed"], stats["duplicates"]) == (count, 0), stats


def inner_id(outer_id: str) -> str:
    """Return what the vendor gets for an id that the outer swapjobs sends to the inner one."""
    return job_id(KEY_ID, outer_id)


def test_bad_days_on_both_sides_leave_every_job_done_and_paid_once(
    inner: Door, start_outer: Callable[..., Program], client: SwapClient
) -> None:
    """The vendor loses replies, refuses, takes its time; both workers and the gateway are killed in the middle."""
    refusals = ("lost_reply:count=4", "http_503:count=3", "code_500:count=2,after_work=yes")
    inner.vendor.faults(*refusals, "pending:s=3,share=0.2", "latency:ms=300")
    outer = start_outer("one")
    requests = [make_request(tool=tool) for tool in ("roop", "v2/roop", "face/fusion") for _ in range(8)]
    # too long for an id of ours once the tenant stands before it
    requests += [make_request(tenant="a-tenant", business_task_id=f"{number}-{'x' * 60}") for number in range(10, 22)]
    ids = [client.submit(request).id for request in requests]
    wait_until(lambda: 5 <= inner.vendor.get("stats")["billed"] < len(ids), what="the middle")
    for program in (outer, inner.gateway, inner.worker):
        program.end(signal.SIGKILL)
    inner.start_gateway()
    inner.start_worker()
    start_outer("two")
    all_succeeded(client, ids, deadline_s=60)
    paid_once_each(inner, len(ids))
    sent = [
        "front." + vendor_id(id_, request.tenant, str(request.business_task_id))
        for id_, request in zip(ids, requests, strict=True)
    ]
    assert set(inner.vendor.get("tasks")) == {inner_id(item) for item in sent}


def test_a_retry_after_a_failure_is_a_new_job_inside_and_is_found_by_its_own_id(
    inner: Door, start_outer: Callable[..., Program], client: SwapClient
) -> None:
    """The failure told why; the retry's reply is lost on the way, so it is looked up by its second id."""
    failed_id, again_id = inner_id("front.order"), inner_id(f"front.{job_id('default', 'order')}-2")
    inner.vendor.faults(f"status_2:id={failed_id},msg=no face found", f"latency:ms=1500,id={again_id}")
    start_outer("one", SWAPJOBS_CALL_TIMEOUT_S="1")
    job = client.submit(make_request(business_task_id="order"))
    failed = client.wait(job.id, 30)
    assert failed.error is not None
    assert (failed.state, failed.error.code) == (JobState.FAILED, ErrorCode.NO_FACE)
    assert failed.error.message == "no face found"
    client.retry(job.id)
    assert client.wait(job.id, 30).state is JobState.SUCCEEDED
    paid_once_each(inner, 1)
    assert inner.vendor.get("tasks")[again_id]["calls"] == 1


def test_a_record_that_has_expired_inside_is_never_paid_again(
    inner: Door, start_outer: Callable[..., Program], client: SwapClient
) -> None:
    """The outer worker died before it saw the reply, and came back when the inner record was gone."""
    inner.vendor.faults("latency:ms=500")
    outer = start_outer("one")
    job = client.submit(make_request(business_task_id="order"))
    wait_until(lambda: inner.vendor.get("stats")["in_flight"] == 1, what="the call")
    outer.end(signal.SIGKILL)
    with inner.jobs() as jobs:
        inside = job_id(KEY_ID, "front.order")
        assert jobs.wait(inside, 30).state is JobState.SUCCEEDED
    inner.expire(inside)
    start_outer("two", SWAPJOBS_LOOKUP_GIVE_UP_S="1", SWAPJOBS_RETRY_CAP_S="0.3")
    done = client.wait(job.id, 60)
    assert done.error is not None
    assert (done.state, done.error.code) == (JobState.FAILED, ErrorCode.REJECTED_BY_VENDOR)
    assert "has expired" in done.error.message
    paid_once_each(inner, 1)
