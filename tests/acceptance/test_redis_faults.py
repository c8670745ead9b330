"""Redis dies, hangs, fills up, forgets: workers resume by themselves, nothing is lost, nothing is paid twice."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Final

import pytest

from factories import make_request, wait_until
from fleet import WORKER, all_is_well, all_succeeded, count, in_flight, submit
from swapjobs import SwapClient
from swapjobs.errors import QueueFull
from swapjobs.settings import Rate, WorkerSettings
from swapsandbox.redis_server import EmbeddedRedis
from tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from conftest_acceptance import Program, Sandbox
    from swapjobs.store import JobStore

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
    assert server.process is not None
    server.process.kill()
    server.process.wait()
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
    store: JobStore,
    vendor: Sandbox,
    fault: Callable[[EmbeddedRedis, float], None],
    seconds: float,
) -> None:
    """The results that came meanwhile are in hand: nothing that was called is asked for."""
    vendor.faults("latency:ms=400")
    worker = program(*WORKER, "w@%h").wait_for("ready.")
    ids = submit(client, 80)
    wait_until(lambda: vendor.get("stats")["billed"] >= 20)
    fault(server, seconds)
    back_at = time.monotonic()
    calls = vendor.get("calls")
    wait_until(lambda: len(vendor.get("calls")) > len(calls), deadline_s=5, what="a new call")
    print(f"FIGURE {fault.__name__} {seconds}: next call after {time.monotonic() - back_at:.2f}")
    all_succeeded(client, ids)
    print(f"FIGURE {fault.__name__} {seconds}: all after {time.monotonic() - back_at:.2f}", vendor.get("stats"))
    called = {call["business_id"] for call in calls}
    assert not [call for call in vendor.get("calls") if call["kind"] == "query" and call["business_id"] in called]
    all_is_well(store, vendor, ids)
    quiet(worker)


def test_leases_and_results_outlast_an_outage_longer_than_the_lease(
    server: EmbeddedRedis, program: Callable[..., Program], client: SwapClient, store: JobStore, vendor: Sandbox
) -> None:
    """Half of the calls end while Redis is down, half go on for longer; no worker takes another's job for lost."""
    vendor.faults("latency:ms=2000,share=0.5", "latency:ms=3000", "latency:ms=4000,share=0.5")
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


def test_connections_cut_again_and_again_cost_no_job(
    server: EmbeddedRedis, program: Callable[..., Program], client: SwapClient, store: JobStore, vendor: Sandbox
) -> None:
    vendor.faults("latency:ms=200")
    worker = program(*WORKER, "w@%h").wait_for("ready.")
    ids = submit(client, 80)
    wait_until(lambda: vendor.get("stats")["billed"] >= 10)
    for _ in range(10):
        for kind in ("normal", "pubsub"):
            store.redis.client_kill_filter(_type=kind, skipme=True)
        pause(0.25)
    cut_at = time.monotonic()
    all_succeeded(client, ids)
    print(f"FIGURE cut: all after {time.monotonic() - cut_at:.2f}", vendor.get("stats"), count(store, "rescued"))
    all_is_well(store, vendor, ids)
    quiet(worker)


def test_a_half_dead_network_costs_no_job(
    server: EmbeddedRedis, program: Callable[..., Program], client: SwapClient, store: JobStore, vendor: Sandbox
) -> None:
    """First nothing comes through, though connections stay and new ones are taken; then new ones are refused."""
    vendor.faults("latency:ms=300")
    with TcpProxy(server.port) as network:
        worker = program(*WORKER, "w@%h", SWAPJOBS_REDIS_URL=f"redis://127.0.0.1:{network.port}/0").wait_for("ready.")
        ids = submit(client, 60)
        wait_until(lambda: vendor.get("stats")["billed"] >= 10)
        network.freeze()
        pause(2 * LEASE_S)
        network.thaw()
        back_at = time.monotonic()
        calls = vendor.get("stats")["calls"]
        wait_until(lambda: vendor.get("stats")["calls"] > calls)
        print(f"FIGURE proxy: next call after {time.monotonic() - back_at:.2f}")
        network.refuse()
        store.redis.client_kill_filter(_type="normal", skipme=True)
        pause(LEASE_S)
        network.accept()
        back_at = time.monotonic()
        all_succeeded(client, ids)
        print(f"FIGURE proxy: all after {time.monotonic() - back_at:.2f}", vendor.get("stats"), count(store, "rescued"))
        all_is_well(store, vendor, ids)
        quiet(worker)


def test_a_worker_whose_redis_does_not_come_back_ends_by_itself_or_when_told(
    server: EmbeddedRedis, program: Callable[..., Program], client: SwapClient, vendor: Sandbox
) -> None:
    vendor.faults("latency:ms=500")
    left, told = [program(*WORKER, f"{name}@%h", SWAPJOBS_STALL_EXIT_S="10") for name in ("left", "told")]
    for worker in (left, told):
        worker.wait_for("ready.")
    submit(client, 40)
    wait_until(lambda: vendor.get("stats")["billed"] >= 4)
    server.stop()
    gone_at = time.monotonic()
    left.wait_for("Connection to broker lost")
    told.send(signal.SIGTERM)
    told.send(signal.SIGTERM)
    assert told.process.wait(8) == 0
    told.wait_for("could be handed back")
    print(f"FIGURE told: exit after {time.monotonic() - gone_at:.2f}")
    assert left.process.wait(15) == 1
    assert 9 < time.monotonic() - gone_at < 14
    print(f"FIGURE left: exit after {time.monotonic() - gone_at:.2f}")
    left.wait_for("could not reach Redis (SWAPJOBS_STALL_EXIT_S); the worker ends, to be started again")
    assert "Traceback" not in left.output + told.output


@pytest.mark.parametrize("share", [1.05, 0.9], ids=["nearly full", "full"])
def test_a_full_redis_takes_no_new_jobs_and_finishes_the_old_ones(
    server: EmbeddedRedis,
    program: Callable[..., Program],
    client: SwapClient,
    store: JobStore,
    vendor: Sandbox,
    hooks: httpx.Client,
    share: float,
) -> None:
    """Also by a worker that is started then."""
    vendor.faults("latency:ms=400")
    first = program(*WORKER, "first@%h").wait_for("ready.")
    requests = [make_request(callback_url=f"{hooks.base_url}/in") for _ in range(40)]
    ids = [str(each.id) for each in client.submit_many(requests)]
    wait_until(lambda: vendor.get("stats")["billed"] >= 8)
    store.redis.config_set("maxmemory", int(store.redis.info("memory")["used_memory"] * share))
    wait_until(lambda: refused(client), deadline_s=3, what="submits are refused")
    if share > 1:
        assert [each.outcome for each in client.submit_many(requests[:2])] == ["existing"] * 2
    assert first.end() == 0
    second = program(*WORKER, "second@%h").wait_for("ready.")
    all_succeeded(client, ids)
    wait_until(lambda: all(client.get(id_).webhook.state == "delivered" for id_ in ids))  # type: ignore[union-attr]  # all have one
    assert refused(client)
    failed = client.submit_many([])
    assert not list(failed)
    store.redis.config_set("maxmemory", 0)
    wait_until(lambda: not refused(client), deadline_s=3, what="submits are accepted")
    wait_until(lambda: vendor.get("stats")["billed"] == 41)
    wait_until(lambda: not store.line().in_flight)
    all_is_well(store, vendor, [*ids, "the one that was accepted"])
    for worker in (first, second):
        assert "Traceback" not in worker.output


def refused(client: SwapClient) -> bool:
    try:
        client.submit(make_request())
    except QueueFull:
        return True
    return False


def test_a_lost_second_of_redis_and_a_killed_worker_at_once_cost_no_job_and_no_second_bill(
    server: EmbeddedRedis, program: Callable[..., Program], client: SwapClient, store: JobStore, vendor: Sandbox
) -> None:
    """The machine that both ran on is gone, and with it what Redis had not yet written to its disk."""
    vendor.faults("latency:ms=1000")
    slots = {"SWAPJOBS_CONCURRENCY": "16", "SWAPJOBS_CALL_TIMEOUT_S": "3"}
    dying, staying = [program(*WORKER, f"{name}@%h", **slots) for name in ("dying", "staying")]
    for worker in (dying, staying):
        worker.wait_for("ready.")
    ids = submit(client, 80)
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
    back_at = time.monotonic()
    program(*WORKER, "new@%h", **slots)
    all_succeeded(client, ids, deadline_s=40)
    print(f"FIGURE rollback: all after {time.monotonic() - back_at:.2f}", vendor.get("stats"), count(store, "fenced"))
    all_is_well(store, vendor, ids)
    assert count(store, "maybe_paid_twice") == 0
    quiet(staying)
