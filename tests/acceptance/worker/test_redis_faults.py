"""Redis dies, hangs, fills up, forgets: workers resume by themselves, nothing is lost, nothing is paid twice."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Final

import pytest

from support.builders import make_request, wait_until
from support.fleet import WORKER, all_is_well, all_succeeded, count, in_flight, submit
from support.killed_redis import kill_redis
from support.tcp_proxy import TcpProxy
from swapjobs.contract.errors import QueueFull
from swapjobs.settings import Rate, WorkerSettings
from swapsandbox.processes.redis_server import EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from support.processes import Program, Sandbox
    from swapjobs import SwapClient
    from swapjobs.store.store import Store

LEASE_S: Final = 3.0  # of `environment`
# After a restart so many jobs are looked up as can have been sent in two seconds: not too many at this rate.
FLOW: Final = {"SWAPJOBS_RATE_LIMIT": "20/s", "SWAPJOBS_CALL_TIMEOUT_S": "2"}


@pytest.fixture
def server(environment: dict[str, str], tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis that only this test breaks."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        environment.update(FLOW, SWAPJOBS_REDIS_URL=server.url)
        yield server


@pytest.fixture
def settings(server: EmbeddedRedis) -> WorkerSettings:
    return WorkerSettings(redis_url=server.url, rate_limit=Rate("1000/s"))


def kill(server: EmbeddedRedis, down_s: float) -> None:
    kill_redis(server)
    pause(down_s)
    server.start()


def freeze(server: EmbeddedRedis, seconds: float) -> None:
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    pause(seconds)
    server.process.send_signal(signal.SIGCONT)


def pause(seconds: float) -> None:
    """Let the fault last."""
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > until, deadline_s=seconds + 5)


def quiet(worker: Program) -> None:
    """An outage of Redis is to be expected: it is told in a few lines, not in tracebacks."""
    assert "Traceback" not in worker.output
    assert worker.process.poll() is None


@pytest.mark.parametrize(("fault", "seconds"), [(kill, 1), (freeze, 2 * LEASE_S)], ids=["killed", "frozen"])
def test_work_goes_on_by_itself_after_an_outage(
    server: EmbeddedRedis,
    program: Callable[..., Program],
    client: SwapClient,
    store: Store,
    vendor: Sandbox,
    fault: Callable[[EmbeddedRedis, float], None],
    seconds: float,
) -> None:
    """The results that came meanwhile are in hand: nothing that was called is asked for."""
    vendor.faults("latency:ms=400")
    worker = program(*WORKER, "w@%h").wait_for("ready.")
    ids = submit(client, 50)
    wait_until(lambda: vendor.get("stats")["billed"] >= 15)
    fault(server, seconds)
    calls = vendor.get("calls")
    wait_until(lambda: len(vendor.get("calls")) > len(calls), deadline_s=5, what="a new call")
    all_succeeded(client, ids)
    called = {call["business_id"] for call in calls}
    assert not [call for call in vendor.get("calls") if call["kind"] == "query" and call["business_id"] in called]
    all_is_well(store, vendor, ids)
    quiet(worker)


def test_leases_and_results_outlast_an_outage_longer_than_the_lease(
    server: EmbeddedRedis, program: Callable[..., Program], client: SwapClient, store: Store, vendor: Sandbox
) -> None:
    """Half of the calls end while Redis is down, half go on for longer; no worker takes another's job for lost."""
    vendor.faults("latency:ms=2000", "latency:ms=4000,share=0.5")
    workers = [program(*WORKER, f"{name}@%h", SWAPJOBS_CALL_TIMEOUT_S="20") for name in ("one", "two")]
    for worker in workers:
        worker.wait_for("ready.")
    ids = submit(client, 16)
    in_flight(vendor, 16)
    kill(server, LEASE_S + 1)
    assert 0 < vendor.get("stats")["billed"] < 16
    all_succeeded(client, ids)
    stats = vendor.get("stats")
    assert (stats["calls"], stats["queries"]) == (16, 0)
    assert (count(store, "fenced"), count(store, "rescued")) == (0, 0)
    all_is_well(store, vendor, ids)
    for worker in workers:
        quiet(worker)


@pytest.mark.usefixtures("server")
def test_connections_cut_again_and_again_cost_no_job(
    program: Callable[..., Program], client: SwapClient, store: Store, vendor: Sandbox
) -> None:
    vendor.faults("latency:ms=200")
    worker = program(*WORKER, "w@%h").wait_for("ready.")
    ids = submit(client, 60)
    wait_until(lambda: vendor.get("stats")["billed"] >= 10)
    for _ in range(10):
        for kind in ("normal", "pubsub"):
            store.redis.client_kill_filter(_type=kind, skipme=True)
        pause(0.25)
    all_succeeded(client, ids)
    all_is_well(store, vendor, ids)
    quiet(worker)


def test_a_half_dead_network_costs_no_job(
    server: EmbeddedRedis, program: Callable[..., Program], client: SwapClient, store: Store, vendor: Sandbox
) -> None:
    """First nothing comes through, though connections stay and new ones are taken; then new ones are refused."""
    vendor.faults("latency:ms=300")
    with TcpProxy(server.port) as network:
        worker = program(*WORKER, "w@%h", SWAPJOBS_REDIS_URL=f"redis://127.0.0.1:{network.port}/0").wait_for("ready.")
        ids = submit(client, 60)
        wait_until(lambda: vendor.get("stats")["billed"] >= 10)
        network.freeze()
        pause(LEASE_S + 2)
        network.thaw()
        calls = vendor.get("stats")["calls"]
        wait_until(lambda: vendor.get("stats")["calls"] > calls)
        network.refuse()
        store.redis.client_kill_filter(_type="normal", skipme=True)
        pause(2)
        network.accept()
        all_succeeded(client, ids)
        all_is_well(store, vendor, ids)
        quiet(worker)


def test_a_worker_whose_redis_does_not_come_back_ends_by_itself_or_when_told(
    server: EmbeddedRedis, program: Callable[..., Program], client: SwapClient, vendor: Sandbox
) -> None:
    vendor.faults("latency:ms=500")
    left, result = [program(*WORKER, f"{name}@%h", SWAPJOBS_STALL_EXIT_S="10") for name in ("left", "told")]
    for worker in (left, result):
        worker.wait_for("ready.")
    submit(client, 40)
    wait_until(lambda: vendor.get("stats")["billed"] >= 4)
    gone_at = time.monotonic()  # before the stop, which may take a second in which nobody is answered any more
    server.stop()
    left.wait_for("Connection to broker lost")
    result.send(signal.SIGTERM)
    result.wait_for("hutdown")
    assert result.end(signal.SIGTERM, deadline_s=8) == 0
    assert "nothing could be handed back" in result.output
    assert left.process.wait(15) == 1
    assert 9 < time.monotonic() - gone_at < 14
    left.wait_for("could not reach Redis (SWAPJOBS_STALL_EXIT_S); the worker ends, to be started again")
    assert "Traceback" not in left.output + result.output


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("share", [1.05, 0.9], ids=["nearly full", "full"])
def test_a_full_redis_takes_no_new_jobs_and_finishes_the_old_ones(
    program: Callable[..., Program],
    client: SwapClient,
    store: Store,
    vendor: Sandbox,
    hooks: httpx.Client,
    share: float,
) -> None:
    """Also by a worker that is started then."""
    vendor.faults("latency:ms=400")
    first = program(*WORKER, "first@%h").wait_for("ready.")
    requests = [make_request(callback_url=f"{hooks.base_url}/in") for _ in range(40)]
    ids = [str(item.id) for item in client.submit_many(requests)]
    wait_until(lambda: vendor.get("stats")["billed"] >= 8)
    store.redis.setrange("ballast", 10_000_000, "x")  # so that a few more jobs and connections don't matter
    store.redis.config_set("maxmemory", int(store.redis.info("memory")["used_memory"] * share))
    wait_until(lambda: refused(client, ids), deadline_s=3, what="submits are refused")
    if share > 1:
        assert [item.outcome for item in client.submit_many(requests[:2])] == ["existing"] * 2
    assert first.end() == 0
    second = program(*WORKER, "second@%h").wait_for("ready.")
    all_succeeded(client, ids)
    wait_until(lambda: len(hooks.get("/_receiver/events").json()) == len(requests), what="every webhook arrived")
    assert refused(client, ids)
    store.redis.config_set("maxmemory", 0)
    wait_until(lambda: not refused(client, ids), deadline_s=3, what="submits are accepted")
    all_succeeded(client, ids)
    all_is_well(store, vendor, ids)
    for worker in (first, second):
        assert "Traceback" not in worker.output


def refused(client: SwapClient, ids: list[str]) -> bool:
    """Submit one job and note it where it was accepted."""
    try:
        ids.append(client.submit(make_request()).id)
    except QueueFull:
        return True
    return False


def test_a_lost_second_of_redis_and_a_killed_worker_at_once_cost_no_job_and_no_second_bill(
    server: EmbeddedRedis, program: Callable[..., Program], client: SwapClient, store: Store, vendor: Sandbox
) -> None:
    """The machine that both ran on is gone, and with it what Redis had not yet written to its disk."""
    vendor.faults("latency:ms=1000")
    slots = {"SWAPJOBS_CONCURRENCY": "16", "SWAPJOBS_CALL_TIMEOUT_S": "3"}
    dying, staying = [program(*WORKER, f"{name}@%h", **slots) for name in ("dying", "staying")]
    for worker in (dying, staying):
        worker.wait_for("ready.")
    ids = submit(client, 70)
    wait_until(lambda: vendor.get("stats")["billed"] >= 10)
    on_disk = {path: path.stat().st_size for path in server.folder.glob("appendonlydir/*.aof")}
    pause(0.7)
    assert server.process is not None
    server.process.kill()
    dying.send(signal.SIGKILL)
    server.process.wait()
    for path, size in on_disk.items():
        os.truncate(path, size)
    server.start()
    program(*WORKER, "new@%h", **slots)
    all_succeeded(client, ids, deadline_s=40)
    all_is_well(store, vendor, ids)
    assert count(store, "maybe_paid_twice") == 0
    quiet(staying)
