"""Dispatch as a user sees and handles it: pause, resume, status without an id, doctor, metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.builders import claim, make_request, submit, wait_until
from support.killed_redis import kill_redis
from support.traffic_state import peek
from swapjobs import JobState, SwapClient
from swapjobs.contract.lifecycle import Event
from swapjobs.settings import WorkerSettings
from swapjobs.store import keys, worker_usage
from swapjobs.store.dispatch import COUNTS
from swapsandbox.processes.redis_server import EmbeddedRedis

if TYPE_CHECKING:
    from pathlib import Path

    from support.processes import Program, Sandbox
    from swapjobs.store.store import Store

Cli = Callable[..., tuple[int, str]]


@pytest.fixture
def seen(swapjobs_cli: Cli) -> Callable[[], Any]:
    """What `swapjobs status --json` says now."""

    def ask() -> Any:
        status, output = swapjobs_cli("status", "--json")
        assert (status, output.count("\n")) == (0, 1)
        return json.loads(output)

    return ask


def trip(store: Store, says: str) -> None:
    """Let the calls of five jobs fail."""
    claimed = [claim(store, submit(store)) for _ in range(5)]
    for item in claimed:
        store.attempts.record_outcome(
            item, Event.WAIT, patch={"attempts": 1, "next_call": "swap"}, schedule="retry", delay_s=20, signal=says
        )


def let_the_dispatcher_look(client: SwapClient) -> None:
    """Return when the worker has looked for work again and again, for a second."""
    redis = client._store.redis  # noqa: SLF001 - no user needs to know

    def last_look() -> int:
        return int(peek(redis, "dispatched_at"))

    first = wait_until(last_look)
    wait_until(lambda: last_look() > first + 1000)


def check(output: str, name: str) -> dict[str, Any]:
    """Return the first check of that name."""
    return next(check for check in json.loads(output)["checks"] if check["name"] == name)


def test_pause_and_resume_as_they_are_told(swapjobs_cli: Cli, seen: Callable[[], Any], store: Store) -> None:
    for _ in range(3):
        submit(store, priority="bulk")
    status, output = swapjobs_cli("status")
    rows = [
        "dispatch     running; no worker for swaps",
        "to do        start one: swapjobs worker; one that runs and is not seen hangs: restart it",
        "rate         1000/s",
        "calls        0 in flight",
        "interactive  0 queued",
        "bulk         3 queued",
    ]
    assert (status, output.splitlines()) == (0, [*rows, "webhooks     0 queued"])
    status, output = swapjobs_cli("pause", COLUMNS="20")
    assert status == 0
    first, remedy, *_ = output.splitlines()
    assert re.fullmatch(r"dispatch     paused since \d\d:\d\d:\d\d UTC \(\d+ s\): by an operator", first)
    assert remedy == "to do        swapjobs resume"
    paused = seen()
    assert (paused["state"], paused["reason"], paused["next_probe_at"]) == ("paused", "manual", None)
    assert datetime.fromisoformat(paused["since"]) <= datetime.fromisoformat(paused["as_of"])
    assert paused["since"].endswith("Z")
    assert paused["queued"] == {"interactive": 0, "bulk": 3, "webhooks": 0}
    status, output = swapjobs_cli("pause", "--json")
    assert (status, json.loads(output)["since"]) == (0, paused["since"])
    line = check(swapjobs_cli("doctor", "--json")[1], "dispatch")
    assert (line["state"], line["remedy"]) == ("warning", "swapjobs resume")
    assert swapjobs_cli("resume")[1].startswith("dispatch     running; no worker for swaps\n")
    assert seen()["state"] == "running"
    assert check(swapjobs_cli("doctor", "--json")[1], "dispatch")["state"] == "ok"


@pytest.mark.usefixtures("worker")
def test_while_the_line_is_paused_no_call_is_made_and_a_running_one_ends(
    client: SwapClient, vendor: Sandbox, swapjobs_cli: Cli
) -> None:
    vendor.faults("latency:ms=1000,count=1")
    running = client.submit(make_request())
    wait_until(lambda: vendor.get("stats")["in_flight"] == 1)
    assert swapjobs_cli("pause")[0] == 0
    waiting = [client.submit(make_request()) for _ in range(5)]
    assert client.wait(running.id, 20).state is JobState.SUCCEEDED
    let_the_dispatcher_look(client)
    assert vendor.get("stats")["calls"] == 1
    assert [client.get(job.id).state for job in waiting] == [JobState.QUEUED] * 5
    assert swapjobs_cli("resume")[0] == 0
    assert [client.wait(job.id, 20).state for job in waiting] == [JobState.SUCCEEDED] * 5
    assert vendor.get("stats")["calls"] == 6


def test_a_pause_outlives_a_killed_redis_and_a_new_worker(
    program: Callable[..., Program],
    environment: dict[str, str],
    swapjobs_cli: Cli,
    seen: Callable[[], Any],
    vendor: Sandbox,
    tmp_path: Path,
) -> None:
    with EmbeddedRedis(tmp_path / "own-redis") as server:
        environment["SWAPJOBS_REDIS_URL"] = server.url
        assert swapjobs_cli("pause")[0] == 0
        paused = seen()
        kill_redis(server)
        status, output = swapjobs_cli("pause")
        assert (status, output.count("\n")) == (4, 1)
        assert output.startswith("error (queue_unavailable) Redis cannot be reached: ")
        server.start()
        program("celery", "-A", "swapworker.app", "worker", "-l", "info").wait_for("ready.")
        now = seen()  # and the rate is the worker's
        assert now | {name: paused[name] for name in ("as_of", "rate", "rate_limit", "workers")} == paused
        with SwapClient(WorkerSettings(redis_url=server.url)) as client:
            job = client.submit(make_request())
            let_the_dispatcher_look(client)
            assert client.get(job.id).state is JobState.QUEUED
            assert vendor.get("stats")["calls"] == 0
            assert swapjobs_cli("resume")[0] == 0
            assert client.wait(job.id, 20).state is JobState.SUCCEEDED


@pytest.mark.usefixtures("worker")
def test_an_outage_shows_everywhere_and_passes(
    client: SwapClient, vendor: Sandbox, swapjobs_cli: Cli, seen: Callable[[], Any]
) -> None:
    vendor.faults("http_503")
    ids = [str(item.id) for item in client.submit_many(make_request().model_dump() for _ in range(20))]
    wait_until(lambda: client.operator.status().reason == "vendor_outage")
    line = seen()
    assert (line["state"], line["reason"]) == ("paused", "vendor_outage")
    assert line["since"] < line["next_probe_at"]
    output = swapjobs_cli("status")[1]
    assert re.match(r"dispatch     paused since \d\d:\d\d:\d\d UTC \(\d+ s\): vendor_outage; ", output)
    output = swapjobs_cli("doctor")[1]
    assert re.search(r"\nwarning  dispatch        paused since .+: vendor_outage; .+\n +-> nothing: jobs wait", output)
    assert "ok       so far          1 times dispatch was paused by failing calls\n" in output
    metrics = swapjobs_cli("metrics")[1]
    assert 'swapjobs_dispatch_paused{reason="vendor_outage"} 1.0\n' in metrics
    assert "swapjobs_outages_total 1.0\n" in metrics
    vendor.faults()
    assert swapjobs_cli("resume")[0] == 0
    wait_until(lambda: client.operator.status().state == "running")
    assert {client.wait(id_, 30).state for id_ in ids} == {JobState.SUCCEEDED}


@pytest.mark.parametrize(
    ("says", "remedy"),
    [
        ("credentials_rejected", "correct SWAPJOBS_API_KEY_*, restart workers, then swapjobs resume"),
        ("quota_exhausted", "get new quota from the vendor, then swapjobs resume"),
    ],
)
def test_the_doctor_says_what_to_do_about_a_refused_account(
    says: str, remedy: str, store: Store, swapjobs_cli: Cli, seen: Callable[[], Any]
) -> None:
    trip(store, says)
    worker_usage.report(store.redis, "w", worker_usage.Usage(slots=1, busy=0, calls=0, call_s=0))
    status, output = swapjobs_cli("doctor", "--json")
    line = check(output, "dispatch")
    assert (status, line["state"], line["remedy"]) == (0, "warning", remedy)
    assert re.search(rf": {says}; next probe in [456] s$", line["found"])
    assert swapjobs_cli("resume")[1].splitlines()[0].endswith(f": {says}; a probe is due")
    now = seen()
    assert (now["reason"], now["next_probe_at"] <= now["as_of"]) == (says, True)


def test_the_doctor_and_the_metrics_tell_every_count(store: Store, swapjobs_cli: Cli) -> None:
    for number, name in enumerate(COUNTS, 1):
        store.redis.hset(keys.counts(), name, number)
    status, output = swapjobs_cli("doctor", "--json")
    counts = [load["found"] for load in json.loads(output)["checks"] if load["name"] == "so far"]
    assert counts == [f"{number} {meaning}" for number, meaning in enumerate(COUNTS.values(), 1)]
    status, output = swapjobs_cli("metrics")
    assert status == 0
    values = {sample.name: sample.value for load in text_string_to_metric_families(output) for sample in load.samples}
    assert [values[f"swapjobs_{name}_total"] for name in COUNTS] == list(range(1, len(COUNTS) + 1))


@pytest.mark.parametrize("command", ["status", "pause", "resume", "metrics"])
def test_without_redis_it_is_told_in_one_line_and_nothing_is_printed(command: str, swapjobs_cli: Cli) -> None:
    """Nothing on standard output: `metrics` must not leave an empty file where the last good one was."""
    status, output = swapjobs_cli(command, SWAPJOBS_REDIS_URL="redis://127.0.0.1:1/0")
    assert (status, output.count("\n")) == (4, 1)
    assert output.startswith("error (queue_unavailable) Redis cannot be reached: ")
