"""The worker's port, as Kubernetes and Prometheus use it: real processes, real signals, a Redis that goes away."""

from __future__ import annotations

import signal
import socket
from collections import Counter
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.builders import make_request, wait_until
from support.fleet import WORKER, in_flight
from swapsandbox.processes.redis_server import EmbeddedRedis, free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.processes import Program, Sandbox
    from swapjobs import SwapClient


def ask(port: int, path: str) -> tuple[int, str]:
    """Return status and text; 0 where nothing answers within two seconds."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=2, trust_env=False)
    except httpx.TransportError:
        return 0, ""
    return answer.status_code, answer.text.strip()


def is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@pytest.fixture
def port() -> int:
    return free_port()


def test_a_worker_tells_that_it_lives_fetches_and_drains(
    program: Callable[..., Program], client: SwapClient, vendor: Sandbox, port: int
) -> None:
    worker = program(*WORKER, "w@%h", SWAPJOBS_HEALTH_PORT=str(port)).wait_for("ready.")
    wait_until(lambda: ask(port, "/readyz") == (200, "ok"))
    assert ask(port, "/livez") == (200, "ok")
    client.wait(client.submit(make_request()).id, 20)
    shown: Counter[str] = Counter()
    for family in text_string_to_metric_families(ask(port, "/metrics")[1]):
        for sample in family.samples:
            shown[sample.name] += int(sample.value)
    assert (shown["swapjobs_jobs_total"], shown["swapjobs_vendor_billed_total"], shown["swapjobs_slots"]) == (1, 1, 8)
    vendor.faults("latency:ms=1500")
    job = client.submit(make_request())
    in_flight(vendor, 1)
    worker.send(signal.SIGTERM)
    wait_until(lambda: ask(port, "/readyz") == (503, "draining"))
    assert ask(port, "/livez") == (200, "ok")
    assert worker.process.wait(30) == 0  # a second signal would end the grace
    assert client.get(job.id).state == "succeeded"
    assert ask(port, "/livez")[0] == 0


def test_a_frozen_worker_does_not_answer_and_one_without_redis_does(
    program: Callable[..., Program], environment: dict[str, str], tmp_path: Path, port: int
) -> None:
    with EmbeddedRedis(tmp_path / "redis") as server:
        environment["SWAPJOBS_REDIS_URL"] = server.url
        worker = program(*WORKER, "w@%h", SWAPJOBS_HEALTH_PORT=str(port)).wait_for("ready.")
        wait_until(lambda: ask(port, "/readyz")[0] == 200)
        worker.send(signal.SIGSTOP)
        assert ask(port, "/livez")[0] == 0
        worker.send(signal.SIGCONT)
        assert server.process is not None
        server.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: ask(port, "/readyz")[0] == 503, deadline_s=40)
        assert ask(port, "/livez") == (200, "ok")
        server.process.send_signal(signal.SIGCONT)
        wait_until(lambda: ask(port, "/readyz")[0] == 200, deadline_s=40)


def test_both_processes_of_one_command_have_a_port_and_a_taken_one_is_refused(
    program: Callable[..., Program], environment: dict[str, str]
) -> None:
    port = next(first for first in iter(free_port, None) if is_free(first + 1))
    environment["SWAPJOBS_HEALTH_PORT"] = str(port)
    both = program("swapjobs", "worker").wait_for("ready.", count=2)
    for number in (port, port + 1):
        wait_until(lambda number=number: ask(number, "/readyz")[0] == 200)  # type: ignore[misc]  # bound at once
    other = program("swapjobs", "worker", "--queues", "swaps")
    assert other.process.wait(30) == 1
    wait_until(lambda: "\n" in other.output)
    assert f"swapjobs: can't listen on 127.0.0.1 port {port}: Address already in use; another worker, " in other.output
    assert "; choose another SWAPJOBS_HEALTH_PORT\n" in other.output
    assert both.end(signal.SIGTERM) == 0
