"""Each alert fires by a fault of the sandbox, in a real Prometheus, and none in a clean run.

Prometheus reads the rules as they stand, but all times are short: 1m is 0.15 s, nothing more than 3 s.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
import redis
import yaml

from support.builders import make_request, wait_until
from support.missing import missing
from support.paths import ROOT
from support.processes import finished
from swapjobs import SwapClient
from swapjobs.contract.errors import QueueFull
from swapjobs.settings import WorkerSettings
from swapsandbox.processes.redis_server import EmbeddedRedis, free_port
from swapsandbox.vendor.faults import FaultName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.processes import Program, Sandbox

MONITORING: Final = ROOT / "ops" / "monitoring"
RULES: Final[list[dict[str, Any]]] = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
FASTER: Final = 400
LONGEST_MS: Final = 3000
EVERY: Final = "250ms"
QUICK: Final = {
    "SWAPJOBS_RATE_LIMIT": "200/s",
    "SWAPJOBS_BREAKER_PROBE_S": "0.3",
    "SWAPJOBS_BREAKER_RAMP_S": "0",
    "SWAPJOBS_LOOKUP_GIVE_UP_S": "1",
    "SWAPJOBS_POLL_BASE_S": "0.1",
    "SWAPJOBS_RETRY_BASE_S": "0.1",
    "SWAPJOBS_CALL_TIMEOUT_S": "2",
    "SWAPJOBS_PRICES": "roop=0.05",
}


def faster(rules: str) -> str:
    """Return the rules with all times shortened, and the age of JobsWaitLong, which is a number of seconds."""
    seconds = {"m": 60, "h": 3600}

    def shorter(match: re.Match[str]) -> str:
        return f"{min(int(match[1]) * seconds[match[2]] * 1000 // FASTER, LONGEST_MS)}ms"

    short = re.sub(r"\b([0-9]+)([mh])\b", shorter, rules)
    assert "> 600)" in short
    return short.replace("> 600)", "> 1)")


def need(program: str) -> None:
    """Skip the test where a program is not installed."""
    if shutil.which(program) is None:
        missing(program)


class Monitor:
    """A Prometheus that asks one worker, and what fires in it."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=10)

    def alerts(self) -> set[str]:
        alerts = self.http.get("/api/v1/alerts").json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def query(self, text: str) -> list[dict[str, Any]]:
        answer = self.http.get("/api/v1/query", params={"query": text}).json()
        assert answer["status"] == "success", (text, answer)
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis whose memory may be limited."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def port(environment: dict[str, str], server: EmbeddedRedis) -> int:
    """The port of the worker that Prometheus asks; all of this test use `server`, and are quick."""
    environment |= {"SWAPJOBS_REDIS_URL": server.url, **QUICK}
    return free_port()


@pytest.fixture
def monitor(port: int, tmp_path: Path) -> Iterator[Monitor]:
    need("prometheus")
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY}
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    del config["alerting"]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    (tmp_path / "alerts.yml").write_text(faster((MONITORING / "alerts.yml").read_text()))
    own = free_port()
    command = ["prometheus", f"--web.listen-address=127.0.0.1:{own}", "--config.file=prometheus.yml"]
    with (tmp_path / "prometheus.log").open("w") as log:
        process = subprocess.Popen([*command, "--storage.tsdb.path=data"], cwd=tmp_path, stdout=log, stderr=log)
    monitor = Monitor(f"http://127.0.0.1:{own}")
    try:
        wait_until(lambda: _answers(monitor), what=(tmp_path / "prometheus.log").read_text())
        yield monitor
    finally:
        monitor.http.close()
        process.kill()
        process.wait(10)


def _answers(monitor: Monitor) -> bool:
    try:
        return monitor.http.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


class Stage:
    """The fleet that is monitored, and what it is made to suffer."""

    def __init__(self, monitor: Monitor, client: SwapClient, vendor: Sandbox, start: Callable[[str], Program]) -> None:
        self.monitor, self.client, self.vendor, self._start = monitor, client, vendor, start
        self.hooks, self.swaps = start("webhooks"), start("swaps")
        self.took: dict[str, float] = {}

    def submit(self, number: int, **fields: Any) -> list[str]:
        given = {"priority": "interactive", **fields}
        return [str(item.id) for item in self.client.submit_many(make_request(**given) for _ in range(number))]

    def accepts(self) -> bool:
        """Say whether a job is taken: while Redis is known to be full, none is."""
        try:
            return bool(self.submit(1))
        except QueueFull:
            return False

    def fires(self, name: str) -> None:
        """Wait until this alert fires, and tell after how many seconds."""
        began = time.monotonic()
        wait_until(lambda: name in self.monitor.alerts(), deadline_s=40, what=name)
        self.took[name] = round(time.monotonic() - began, 1)

    def heals(self) -> None:
        """End all faults and pauses, let the vendor be found well, and wait until nothing fires."""
        self.vendor.faults()
        self.client.operator.forget_rate()

        def quiet() -> bool:
            if self.client.operator.status().state == "paused":
                self.client.operator.resume()
                self.submit(1)
            return not self.monitor.alerts()

        wait_until(quiet, deadline_s=40, what=f"quiet, not {self.monitor.alerts()}")

    def restart(self) -> None:
        self.swaps = self._start("swaps")


@pytest.fixture
def stage(
    monitor: Monitor, program: Callable[..., Program], vendor: Sandbox, server: EmbeddedRedis, port: int
) -> Iterator[Stage]:
    worker = ("celery", "-A", "swapworker.app", "worker", "-l", "info")

    def start(queue: str) -> Program:
        asked = {"SWAPJOBS_HEALTH_PORT": str(port)} if queue == "webhooks" else {}
        name = f"{queue}-{time.monotonic_ns()}@%h"
        return program(*worker, "-Q", queue, "-c", "8", "-n", name, **asked).wait_for("ready.")

    with SwapClient(WorkerSettings(redis_url=server.url)) as client:
        yield Stage(monitor, client, vendor, start)


def run_cleanly(stage: Stage, hooks: httpx.Client) -> None:
    """Let jobs succeed, with a failure, a lost reply and a refused webhook as there always are some."""
    vendor, client = stage.vendor, stage.client
    wait_until(lambda: stage.monitor.query("up == 1"))  # five seconds after its start
    stage.heals()
    vendor.faults("status_2:msg=no face found,count=1")
    for id_ in stage.submit(30, callback_url=f"{hooks.base_url}/in"):
        finished(client, id_, hook=True)
    vendor.faults("lost_reply:count=1")
    finished(client, stage.submit(1)[0])
    hooks.put("/_receiver/plan", json={"statuses": [404] * 20}).raise_for_status()
    stage.submit(1, callback_url=f"{hooks.base_url}/in")
    wait_until(lambda: stage.monitor.query('swapjobs_webhook_tries_total{result="failed"} > 0'))
    check_dashboards(stage.monitor)
    until = time.monotonic() + 3
    wait_until(lambda: stage.monitor.alerts() or time.monotonic() > until)
    assert stage.monitor.alerts() == set()


def check_dashboards(monitor: Monitor) -> None:
    """Run the queries of every panel, as Grafana does: each has data, but for Redis' limit, as there is none."""
    known = {series["metric"]["__name__"] for series in monitor.query('{__name__=~"swapjobs_.*"}')}
    for path in sorted((MONITORING / "grafana" / "dashboards").glob("*.json")):
        board = json.loads(path.read_text())
        assert len(board["panels"]) <= 12
        for query in (target["expr"] for panel in board["panels"] for target in panel["targets"]):
            assert set(re.findall(r"swapjobs_\w+", query)) <= known, query
            if "swapjobs_redis_memory_limit_bytes > 0" in query:
                assert monitor.query(query) == []
            else:
                wait_until(partial(monitor.query, query.replace("$__rate_interval", "20s")), what=query)


def suffer_others(stage: Stage, hooks: httpx.Client) -> None:
    """Let receivers and the vendor fail."""
    stage.submit(60, callback_url=f"{hooks.base_url}/in")
    stage.fires("WebhooksFail")
    hooks.post("/_receiver/reset").raise_for_status()
    stage.heals()
    for faults, jobs, alert in (
        (["status_2:msg=no face found"], 40, "JobsFail"),
        (["lost_reply:count=1", "query_down"], 1, "MaybePaidTwice"),
        (["unusable_url:count=1"], 1, "PaidForNothing"),
        (["http_401"], 60, "AccountRefused"),
        (["http_503"], 60, "VendorOutage"),
        (["http_429"], 60, "RateLow"),
        (["latency:ms=1500"], 60, "SlotsShort"),
    ):
        stage.vendor.faults(*faults)
        stage.submit(jobs)
        stage.fires(alert)
        stage.heals()


def suffer_here(stage: Stage, admin: redis.Redis) -> None:
    """Pause, fill Redis, kill the workers."""
    stage.client.operator.pause()
    stage.submit(1)
    stage.fires("PausedByHand")
    stage.client.operator.resume()
    stage.heals()

    admin.config_set("maxmemory", int(admin.info("memory")["used_memory"] * 1.02))
    stage.fires("RedisFull")
    admin.config_set("maxmemory", 0)
    stage.heals()

    stage.swaps.end(signal.SIGKILL)
    wait_until(stage.accepts)
    stage.fires("NobodyWorks")
    stage.fires("JobsWaitLong")
    stage.restart()
    stage.heals()

    stage.hooks.end(signal.SIGKILL)
    stage.fires("MetricsMissing")


def test_each_alert_fires_by_its_fault_and_none_in_a_clean_run(
    stage: Stage, server: EmbeddedRedis, hooks: httpx.Client
) -> None:
    run_cleanly(stage, hooks)
    suffer_others(stage, hooks)
    with redis.Redis.from_url(server.url) as admin:
        suffer_here(stage, admin)
    print(json.dumps(stage.took))  # noqa: T201 - seconds, to be read with -s
    assert set(stage.took) == {rule["alert"] for rule in RULES}


def test_prometheus_and_alertmanager_take_their_files() -> None:
    for command in (
        ["promtool", "check", "config", "prometheus.yml"],
        ["amtool", "check-config", "alertmanager.yml"],
    ):
        need(command[0])
        done = subprocess.run(command, cwd=MONITORING, capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_each_alert_has_a_paragraph_in_the_runbook(rule: dict[str, Any]) -> None:
    path, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    assert rule["alert"] in headings
    assert anchor == rule["alert"].lower()
    assert set(rule["labels"]) == {"severity"}


def test_the_runbook_knows_every_line_of_doctor_and_every_fault_of_the_sandbox() -> None:
    text = (ROOT / "docs/operations/runbook.md").read_text(encoding="utf-8")
    files = [ROOT / "producers/swapjobs" / name for name in ("cli/doctor.py", "monitoring/health.py")]
    lines = {name for path in files for name in re.findall(r'Check\("([a-z ]+)"', path.read_text(encoding="utf-8"))}
    assert len(lines) > 8
    assert {name for name in (*lines, *FaultName) if f"`{name}`" not in text} == set()
