"""What operators read: one line for each attempt and each delivery, in JSON or text, and no chatter beside."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from support.builders import make_request, wait_until
from support.processes import ACME_KEY, finished

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from support.processes import GatewayProcess, Program, Sandbox
    from swapjobs import SwapClient

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"
MOST_BYTES = 300


def told(program: Program, event: str) -> list[dict[str, Any]]:
    """Return the lines of an event so far; every line of the log must be JSON."""
    lines = [json.loads(line) for line in program.lines]
    return [line for line in lines if line.get("event") == event]


def has_line_of_jobs(gateway: GatewayProcess) -> bool:
    return any(line["path"] == "/v1/jobs" for line in gateway.logged())


@pytest.mark.usefixtures("vendor")
def test_a_job_with_its_webhook_takes_two_short_lines(worker: Program, client: SwapClient, hooks: httpx.Client) -> None:
    wait_until(lambda: told(worker, "starting"))
    before = len(worker.lines)
    job = client.submit(make_request(business_task_id="order-404", callback_url=f"{hooks.base_url}/in"))
    finished(client, job.id, hook=True)
    wait_until(lambda: told(worker, "delivery"))
    assert len("".join(worker.lines[before:])) < MOST_BYTES
    (attempt,), (delivery,) = told(worker, "attempt"), told(worker, "delivery")
    assert attempt["time"].endswith("Z")
    assert {name: attempt[name] for name in ("level", "job", "own_id", "outcome")} == {
        "level": "info",
        "job": job.id,
        "own_id": "order-404",
        "outcome": "succeeded",
    }
    assert min(attempt["queue_ms"], attempt["call_ms"]) >= 0
    assert delivery["job"] == job.id
    assert not {"outcome", "status", "attempt"} & set(delivery), "it was delivered, with 200, at the first try"
    said = [line["message"] for line in map(json.loads, worker.lines) if "message" in line]
    assert said == [f"{told(worker, 'starting')[0]['worker']} ready."], "nothing else of Celery itself"


def test_lines_of_the_gateway_and_the_worker_can_be_joined(
    gateway: GatewayProcess, worker: Program, client: SwapClient, vendor: Sandbox
) -> None:
    vendor.faults("http_503:count=1")
    body = make_request().model_dump(mode="json", include={"source_url", "target_url"})
    headers = {"X-Request-Id": "checkout-7", "traceparent": TRACEPARENT}
    job = gateway.http.post("/v1/jobs", json={**body, "business_task_id": "order-1"}, headers=headers).json()
    finished(client, job["id"])
    wait_until(lambda: len(told(worker, "attempt")) == 2)
    (request,) = [line for line in gateway.logged() if line["method"] == "POST"]
    assert (request["job"], request["request_id"], request["trace_id"]) == (job["id"], "checkout-7", TRACE_ID)
    failed, done = told(worker, "attempt")
    for line in (failed, done):
        names = ("job", "own_id", "tenant", "request_id", "trace_id")
        assert tuple(line[name] for name in names) == (job["id"], "order-1", "acme", "checkout-7", TRACE_ID)
    assert (failed["outcome"], failed["code"], "attempt" in failed) == ("retry", "vendor_error", False)
    assert failed["again_ms"] >= 0
    assert (done["outcome"], done["attempt"]) == ("succeeded", 2)
    assert done["vendor_id"] == job["id"], "another tenant's ids are no others' at the vendor"


def test_probes_are_told_of_at_debug_only(start_gateway: Callable[..., GatewayProcess]) -> None:
    keys = {"SWAPJOBS_GATEWAY_KEYS": f"acme:{ACME_KEY}"}
    quiet, loud = start_gateway(**keys), start_gateway("--loglevel", "debug", **keys)
    for gateway in (quiet, loud):
        for path in ("/healthz", "/readyz", "/metrics", "/v1/jobs"):
            assert gateway.http.get(path).status_code == 200
        wait_until(partial(has_line_of_jobs, gateway))
    assert [line["path"] for line in quiet.logged()] == ["/v1/jobs"]
    assert len(loud.logged()) == 4


@pytest.mark.usefixtures("vendor")
def test_people_read_text(program: Callable[..., Program], client: SwapClient) -> None:
    worker = program("swapjobs", "worker", "--queues", "swaps", SWAPJOBS_LOG_FORMAT="text").wait_for("ready.")
    job = client.submit(make_request(business_task_id="order 1"))
    worker.wait_for(" INFO attempt ")
    (line,) = [line for line in worker.lines if " INFO attempt " in line]
    assert f' INFO attempt job={job.id} own_id="order 1" outcome=succeeded queue_ms=' in line
    assert not any(line.startswith((" ", "[", "-")) for line in worker.lines), worker.output
