"""Redis behind Sentinel: what Celery, Flower and the command line make of it, and a master that is killed."""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import redis

from support.builders import make_request, wait_until
from swapjobs import JobState, QueueUnavailable, SwapClient, SwapRequest
from swapjobs.settings import WorkerSettings
from swapsandbox.processes.redis_sentinel import SERVICE, SentinelRedis
from swapsandbox.processes.redis_server import EmbeddedRedis, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.processes import Program, Sandbox

JOBS = 150
WORKER = ("celery", "-A", "swapworker.app", "worker", "-l", "info", "-E")
PASSWORD, WATCHWORD = "p@ss/word,of;redis", "p+ss&word of the sentinels"
URL_PARTS = ("p%40ss%2Fword%2Cof%3Bredis", "p%2Bss%26word%20of%20the%20sentinels")


def test_a_failover_loses_no_job_and_pays_none_twice(
    program: Callable[..., Program], environment: dict[str, str], vendor: Sandbox, tmp_path: Path
) -> None:
    """The master is killed while jobs run and others are submitted; nobody starts anything again."""
    with SentinelRedis(tmp_path / "redis") as servers:
        worker = program(*WORKER, SWAPJOBS_REDIS_URL=servers.url).wait_for("ready.")
        vendor.faults("latency:ms=200")
        requests = [make_request() for _ in range(JOBS)]
        refused: list[str] = []
        with SwapClient(WorkerSettings(redis_url=servers.url)) as client:
            ids = [client.submit(request).id for request in requests[: JOBS // 2]]
            wait_until(lambda: vendor.get("stats")["billed"] >= 20)
            # The replica gets each write before its client gets the answer: this kill forgets nothing that was told.
            servers.kill_master()
            ids += [
                wait_until(partial(accepted, client, request, refused), what="a new master takes jobs")
                for request in requests[JOBS // 2 :]
            ]
            assert [client.wait(id_, 30).state for id_ in ids] == [JobState.SUCCEEDED] * JOBS
        assert any("is down, and the sentinels have not elected a new one yet" in text for text in refused)
        stats = vendor.get("stats")
        assert (stats["billed"], stats["duplicates"]) == (JOBS, 0)
        assert worker.process.poll() is None
        assert environment["SWAPJOBS_API_KEY_SECRET"] not in worker.output


def accepted(client: SwapClient, request: SwapRequest, refused: list[str]) -> str:
    """Submit, and return the job's id; while there is no master note what is told, and return an empty text."""
    try:
        return client.submit(request).id
    except QueueUnavailable as error:
        refused.append(str(error))
        return ""


def test_a_worker_outlives_a_master_that_is_made_a_replica(
    program: Callable[..., Program], vendor: Sandbox, tmp_path: Path
) -> None:
    """As in a planned failover: what waits for work there is told UNBLOCKED, and later READONLY."""
    with EmbeddedRedis(tmp_path / "redis") as server, redis.Redis(port=server.port) as admin:
        worker = program(*WORKER, SWAPJOBS_REDIS_URL=server.url).wait_for("ready.")
        admin.replicaof("127.0.0.1", str(free_port()))
        worker.wait_for("Connection to broker lost").wait_for("Redis can't be used now, tried again every second")
        admin.replicaof("NO", "ONE")
        with SwapClient(WorkerSettings(redis_url=server.url)) as client:
            assert client.wait(client.submit(make_request()).id, 20).state is JobState.SUCCEEDED
        assert vendor.get("stats")["billed"] == 1
        assert worker.process.poll() is None
        assert "Traceback" not in worker.output


def test_a_master_that_falls_silent_is_left_too(program: Callable[..., Program], tmp_path: Path) -> None:
    """As with a machine that loses its power: no connection breaks, there is just no answer any more."""
    with SentinelRedis(tmp_path / "redis") as servers:
        worker = program(*WORKER, "-l", "debug", SWAPJOBS_REDIS_URL=servers.url).wait_for("ready.")
        silent = servers.master()
        assert silent.process is not None
        silent.process.send_signal(signal.SIGSTOP)
        try:
            wait_until(lambda: servers.master() is not silent, what="another master")
            with SwapClient(WorkerSettings(redis_url=servers.url)) as client:
                job = client.submit(make_request())
            worker.wait_for(f"{job.id}] received", deadline_s=20)
        finally:
            silent.process.kill()


@pytest.fixture
def guarded(environment: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """The URL of a Redis and a sentinel that ask for different passwords; the programs of the test have it."""
    with SentinelRedis(tmp_path / "guarded", replicas=0, sentinels=1) as servers:
        (server,), (sentinel,) = servers.servers, servers.sentinels
        with redis.Redis(port=sentinel.port) as admin:
            admin.execute_command("SENTINEL", "SET", SERVICE, "auth-pass", PASSWORD)
            admin.acl_setuser("default", enabled=True, reset_passwords=True, passwords=f"+{WATCHWORD}")
        with redis.Redis(port=server.port) as admin:
            admin.config_set("requirepass", PASSWORD)
        password, watchword = URL_PARTS
        # Flower asks the first sentinel only for the lengths of the queues, so that one is there.
        place = f"127.0.0.1:{sentinel.port},127.0.0.1:{free_port()}"
        url = f"redis+sentinel://:{password}@{place}/{SERVICE}/0?sentinel_password={watchword}"
        environment["SWAPJOBS_REDIS_URL"] = url
        yield url


def test_celery_flower_and_the_doctor_come_through_and_show_no_password(
    guarded: str, program: Callable[..., Program], swapjobs_cli: Callable[..., tuple[int, str]], vendor: Sandbox
) -> None:
    worker = program(*WORKER).wait_for("ready.")
    port = str(free_port())
    flower = program("swapjobs", "flower", "--port", port, FLOWER_BASIC_AUTH="on-call:of-tests")
    flower.wait_for("Connected to sentinel://")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", auth=("on-call", "of-tests"), trust_env=False) as board:
        wait_until(lambda: board.get("/workers", params={"json": "true"}).json()["data"], what="a heartbeat was heard")
        with SwapClient(WorkerSettings(redis_url=guarded, submit_durability="fsync")) as client:
            job = client.wait(client.submit(make_request()).id, 20)
        assert job.state is JobState.SUCCEEDED
        wait_until(lambda: task_state(board, job.id) == "SUCCESS", what="Flower shows the job's end")
        queues = board.get("/api/queues/length").raise_for_status().json()["active_queues"]
        assert {queue["name"] for queue in queues} == {"swaps: interactive", "swaps: bulk", "webhooks"}
        shown = [board.get(path, params={"refresh": "true"}).text for path in ("/api/workers", "/workers", "/broker")]
        shown += [board.get(f"/worker/{name}").text for name in board.get("/api/workers").json()]
    assert '"master_name": "swaps"' in shown[0]
    status, output = swapjobs_cli("doctor")
    assert status == 0, output
    assert vendor.get("stats")["billed"] == 1
    for text in (*shown, output, worker.output, flower.output):
        assert [secret for secret in (PASSWORD, WATCHWORD, *URL_PARTS) if secret in text] == []


def task_state(board: httpx.Client, job_id: str) -> Any:
    return board.get("/api/tasks").raise_for_status().json().get(job_id, {}).get("state")
