"""The vendor has a bad day: no job fails for it, few calls are made, and work goes on by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.builders import make_request, wait_until
from swapjobs import JobState, SwapClient, SwapRequest

if TYPE_CHECKING:
    import httpx

    from support.processes import Sandbox

pytestmark = pytest.mark.usefixtures("worker")
OUTAGES = ["http_503:on=all", "http_500:on=all", "reset_before:on=all", "html:on=all", "http_401:on=all"]


def submit(client: SwapClient, count: int, **fields: object) -> list[str]:
    return [str(item.id) for item in client.submit_many(make_request(**fields) for _ in range(count))]


def closed(client: SwapClient) -> bool:
    return client.operator.status().state == "paused"


@pytest.mark.parametrize("fault", OUTAGES)
def test_an_outage_costs_no_job_and_few_calls(client: SwapClient, vendor: Sandbox, fault: str) -> None:
    vendor.faults(fault)
    ids = submit(client, 200)
    wait_until(lambda: closed(client))
    wait_until(lambda: client.operator.status().in_flight == 0)
    before = vendor.get("stats")
    probe = client.operator.status().next_probe_at
    assert probe is not None
    wait_until(lambda: client.operator.status().next_probe_at != probe, what="a probe was made and the next one set")
    after = vendor.get("stats")
    made = after["calls"] + after["queries"] - before["calls"] - before["queries"]
    assert made <= 2
    assert not any(client.get(id_).state is JobState.FAILED for id_ in ids)
    vendor.faults()
    wait_until(lambda: not closed(client), deadline_s=15)
    jobs = [client.wait(id_, 30) for id_ in ids]
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    assert max(job.failed_attempts for job in jobs) == 0, "nothing is charged"
    assert vendor.get("stats")["duplicates"] == 0


def test_a_lone_job_outlives_an_outage(client: SwapClient, vendor: Sandbox) -> None:
    vendor.faults("http_503")
    job = client.submit(make_request())
    wait_until(lambda: client.get(job.id).reason == "vendor_outage")
    vendor.faults()
    job = client.wait(job.id, 20)
    assert (job.state, job.failed_attempts) == (JobState.SUCCEEDED, 0)


def test_webhooks_go_on_meanwhile(client: SwapClient, vendor: Sandbox, hooks: httpx.Client) -> None:
    done = client.submit(make_request(callback_url=f"{hooks.base_url}/in"))
    client.wait(done.id, 10)
    hooks.put("/_receiver/plan", json={"statuses": [503]}).raise_for_status()
    vendor.faults("http_503:on=all")
    waiting = submit(client, 20, callback_url=f"{hooks.base_url}/in")
    wait_until(lambda: closed(client))
    client.cancel(waiting[-1])
    wait_until(lambda: (hook := client.get(waiting[-1]).webhook) and hook.state == "delivered", deadline_s=20)
    assert closed(client)


def test_one_jobs_permanent_500_disturbs_nobody(client: SwapClient, vendor: Sandbox) -> None:
    """It is charged, and fails; the others come through meanwhile."""
    vendor.faults("http_500:id=bad")
    bad = client.submit(SwapRequest.model_validate({**make_request().model_dump(), "business_task_id": "bad"}))
    ids = submit(client, 100)
    assert {client.wait(id_, 20).state for id_ in ids} == {JobState.SUCCEEDED}
    wait_until(lambda: client.get(bad.id).failed_attempts >= 1)
    assert client.operator.status().state == "running"


def test_a_job_that_always_fails_is_given_up_and_says_why(client: SwapClient, vendor: Sandbox) -> None:
    """With others that come through, so that it is no outage."""
    vendor.faults("http_503:id=bad")
    bad = client.submit(SwapRequest.model_validate({**make_request().model_dump(), "business_task_id": "bad"}))
    ids = submit(client, 300, priority="bulk")
    job = client.wait(bad.id, 40)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.code == "attempts_exhausted"
    assert {client.wait(id_, 20).state for id_ in ids} == {JobState.SUCCEEDED}


def test_one_forbidden_picture_closes_no_line(client: SwapClient, vendor: Sandbox) -> None:
    vendor.faults("http_401:id=forbidden")
    forbidden = client.submit(
        SwapRequest.model_validate({**make_request().model_dump(), "business_task_id": "forbidden"})
    )
    ids = submit(client, 50)
    assert {client.wait(id_, 20).state for id_ in ids} == {JobState.SUCCEEDED}
    job = client.wait(forbidden.id, 45)
    assert job.error is not None
    assert job.error.code == "rejected_by_vendor"
