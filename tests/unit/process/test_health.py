"""What probes are told, with a clock of our own; and the port on which they ask."""

from __future__ import annotations

import socket

import httpx
import pytest

from swapworker.process.health import Health
from swapworker.process.health_server import HealthServer
from swapworker.process.watchdog import Watchdog


class Worker:
    """A worker's parts as the probes see them; `run` lets them work for a while."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.draining = False
        self.watchdog = Watchdog(180, lambda: self.now)
        self.health = Health(self.watchdog, lambda: self.draining)
        self.watchdog.watch("consumer")
        self.watchdog.watch("dispatcher")

    def run(self, seconds: int, *working: str, failing: str = "") -> None:
        for _ in range(seconds):
            self.now += 1
            for what in working:
                self.watchdog.heartbeat(what)
            if failing:
                self.watchdog.report_failure(failing, ConnectionError())
            self.watchdog.stalled()

    def seen(self) -> tuple[str, str]:
        return self.health.not_live(), self.health.not_ready()


@pytest.fixture
def worker() -> Worker:
    return Worker()


def test_a_worker_that_starts_lives_and_is_ready_once_it_fetches(worker: Worker) -> None:
    assert worker.seen() == ("", "starting")
    worker.run(100, "dispatcher")
    assert worker.seen() == ("", "starting")
    worker.run(1, "consumer", "dispatcher")
    assert worker.seen() == ("", "")


def test_a_redis_that_is_away_restarts_nobody(worker: Worker) -> None:
    worker.run(60, "consumer", "dispatcher")
    worker.run(150, failing="dispatcher")
    assert worker.seen() == ("", "fetches nothing, for 150 s: Redis is away, or the loop hangs")
    worker.run(40, "dispatcher")  # it is back, but Celery waits with its next try to connect
    assert worker.seen()[0] == ""
    worker.run(1, "consumer", "dispatcher")
    assert worker.seen() == ("", "")


def test_a_loop_that_hangs_while_redis_answers_is_not_alive(worker: Worker) -> None:
    worker.run(60, "consumer", "dispatcher")
    worker.run(21, "dispatcher")
    assert worker.seen() == ("", "fetches nothing, for 21 s: Redis is away, or the loop hangs")
    worker.run(40, "dispatcher")
    assert worker.seen()[0] == "the consumer's loop hangs, for 61 s, while Redis answers"


def test_a_dispatcher_that_hangs_is_not_alive(worker: Worker) -> None:
    worker.run(60, "consumer", "dispatcher")
    worker.run(61, "consumer")
    assert worker.seen()[0] == "the dispatcher hangs, for 61 s"


def test_a_process_that_was_frozen_begins_anew(worker: Worker) -> None:
    worker.run(60, "consumer", "dispatcher")
    worker.now += 600
    worker.watchdog.stalled()
    assert worker.seen() == ("", "")


def test_on_its_way_out_it_lives_and_fetches_nothing(worker: Worker) -> None:
    worker.run(60, "consumer", "dispatcher")
    worker.draining = True
    worker.run(100, "dispatcher")
    assert worker.seen() == ("", "draining")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_port_answers_what_it_knows(worker: Worker, host: str) -> None:
    def fail() -> tuple[str, str]:
        raise ConnectionError

    if host == "::1" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    server = HealthServer(host, 0, worker.health, fail)
    url = f"http://[{host}]:{server.port}" if ":" in host else f"http://{host}:{server.port}"
    with httpx.Client(base_url=url, trust_env=False) as http:
        live, ready, metrics = http.get("/livez"), http.get("/readyz?verbose"), http.get("/metrics")
        head, other, post = http.head("/livez"), http.get("/elsewhere"), http.post("/livez")
    assert (live.status_code, live.text) == (200, "ok\n")
    assert (ready.status_code, ready.text) == (503, "starting\n")
    assert (metrics.status_code, metrics.text) == (503, "ConnectionError\n")
    assert (head.status_code, head.text, head.headers["content-length"]) == (200, "", "3")
    assert (other.status_code, other.text) == (404, "known are /livez, /readyz, /metrics\n")
    assert post.status_code == 501
    assert live.headers["server"] == "swapjobs"
    with pytest.raises(OSError, match="in use"):
        HealthServer(host, server.port, worker.health, fail)
