"""One trace from the request to the webhook, whoever dies on the way; and none of it where nobody wants spans."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any, Final

from support.builders import make_request, wait_until
from support.processes import ACME_KEY, finished

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from support.processes import GatewayProcess, Program, Sandbox
    from swapjobs import SwapClient

TRACE_ID, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADERS: Final = {"traceparent": f"00-{TRACE_ID}-{CALLER}-01"}
# A program with an SDK as a product would set one up, whose spans are lines of a file.
TRACED: Final = """
import runpy, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

out = open("spans", "a")
exporter = ConsoleSpanExporter(out=out, formatter=lambda span: span.to_json(indent=None) + chr(10))
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
WORKER: Final = ("traced", "celery", "-A", "swapworker.app", "worker", "-l", "info", "-n")


def spans(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the spans so far, by name."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for line in (folder / "spans").read_text().splitlines():
        span = json.loads(line)
        by_name.setdefault(span["name"], []).append(span)
    return by_name


def id_of(span: dict[str, Any]) -> str:
    return str(span["context"]["span_id"].removeprefix("0x"))


def parent_of(span: dict[str, Any]) -> str:
    return str(span["parent_id"].removeprefix("0x"))


def ancestors(span: str, parents: dict[str, str]) -> list[str]:
    """Return the ids of the spans above this one, the nearest first."""
    above = []
    while span := parents.get(span, ""):
        above.append(span)
    return above


def test_one_trace_leads_from_the_request_over_a_dead_worker_to_the_webhook(
    program: Callable[..., Program], client: SwapClient, vendor: Sandbox, hooks: httpx.Client, tmp_path: Path
) -> None:
    (tmp_path / "traced.py").write_text(TRACED)
    settings = {"SWAPJOBS_GATEWAY_KEYS": f"acme:{ACME_KEY}"}
    gateway = program("traced", "swapjobs", "gateway", "--port", "0", **settings).wait_for("gateway ready on ")
    url = gateway.output.split("gateway ready on ")[1].split()[0]
    first = program(*WORKER, "first@%h").wait_for("ready.")
    vendor.faults("latency:ms=1500")
    body = make_request(callback_url=f"{hooks.base_url}/in").model_dump(mode="json", exclude_defaults=True)
    with hooks.__class__(base_url=url, trust_env=False, headers={"Authorization": f"Bearer {ACME_KEY}"}) as http:
        job = http.post("/v1/jobs", json=body, headers=HEADERS).json()
    wait_until(lambda: vendor.get("stats")["calls"] == 1)
    first.end(signal.SIGKILL)
    program(*WORKER, "second@%h").wait_for("ready.")
    finished(client, job["id"], hook=True)
    wait_until(lambda: "delivery" in spans(tmp_path))
    made = spans(tmp_path)
    assert {span["context"]["trace_id"] for named in made.values() for span in named} == {f"0x{TRACE_ID}"}
    (request,), (submit,), (delivery,) = made["POST /v1/jobs"], made["submit"], made["delivery"]
    assert parent_of(request) == CALLER
    parents = {id_of(span): parent_of(span) for named in made.values() for span in named}
    assert id_of(request) in ancestors(id_of(submit), parents)
    assert {parent_of(span) for span in [*made["attempt"], delivery]} == {id_of(submit)}
    attempts = {id_of(span): span["attributes"] for span in made["attempt"]}
    assert {attributes["swapjobs.job"] for attributes in attempts.values()} == {job["id"]}
    assert {parent_of(span) for span in made["vendor call"]} <= set(attempts)
    assert made["vendor call"][-1]["attributes"]["swapjobs.call"] == "query", "the dead worker's call was looked up"
    (event,) = hooks.get("/_receiver/events").json()
    assert event["traceparent"] == f"00-{TRACE_ID}-{id_of(delivery)}-01"


def test_without_an_sdk_the_webhook_has_what_the_request_brought(
    gateway: GatewayProcess, worker: Program, client: SwapClient, hooks: httpx.Client
) -> None:
    sent = {**HEADERS, "broken": "00-nonsense"}
    seen = {}
    for name, traceparent in sent.items():
        fields = make_request(callback_url=f"{hooks.base_url}/{name}").model_dump(mode="json", exclude_defaults=True)
        headers = {"traceparent": traceparent}
        job = gateway.http.post("/v1/jobs", json={**fields, "business_task_id": name}, headers=headers)
        assert job.status_code == 202, job.text
        finished(client, job.json()["id"], hook=True)
    for event in hooks.get("/_receiver/events").json():
        seen[event["path"]] = event["traceparent"]
    assert seen == {"/traceparent": HEADERS["traceparent"], "/broken": None}
    assert worker.process.poll() is None


def test_fresh_urls_leave_a_job_its_trace(
    gateway: GatewayProcess, client: SwapClient, vendor: Sandbox, worker: Program
) -> None:
    vendor.faults("status_2:msg=no face found,count=1")
    fields = make_request().model_dump(mode="json", exclude_defaults=True)
    fields["target_url"] += "?X-Amz-Signature=one"
    job = gateway.http.post("/v1/jobs", json=fields, headers=HEADERS).json()
    finished(client, job["id"])
    retried = gateway.http.post(
        f"/v1/jobs/{job['id']}/retry", json={"target_url": fields["target_url"].replace("one", "two")}
    )
    assert retried.status_code == 200, retried.text
    finished(client, job["id"])
    wait_until(lambda: worker.output.count(TRACE_ID) == 2)
