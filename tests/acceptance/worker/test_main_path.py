"""The main job with real processes: submit, swap, result, signed webhook; and the vendor's bad moments."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from celery.exceptions import TaskRevokedError
from redis import Redis

from support.builders import make_request, wait_until
from support.killed_redis import kill_redis
from support.processes import finished
from swapjobs import JobState, SwapClient
from swapjobs.celery import SwapFailed
from swapjobs.settings import WorkerSettings
from swapsandbox.processes.redis_server import EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from support.processes import Program, Sandbox


@pytest.fixture
def celery_app(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Celery:
    """The worker's own app, as a Django or Flask product would import it."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    from swapworker import app as module  # noqa: PLC0415 - it reads the settings when imported

    client = SwapClient(WorkerSettings())
    monkeypatch.setattr(module.app, "swap_client", lambda: client)
    module.app.conf.broker_url = environment["SWAPJOBS_REDIS_URL"]
    return module.app


def test_a_job_ends_with_its_picture_and_a_signed_webhook(
    worker: Program, client: SwapClient, vendor: Sandbox, hooks: httpx.Client
) -> None:
    job = client.submit(make_request(callback_url=f"{hooks.base_url}/in?token=x", metadata={"cart": 7}))
    done = finished(client, job.id, hook=True)
    assert done.state is JobState.SUCCEEDED
    assert done.output_url.startswith(vendor.url)
    assert done.webhook.state == "delivered"
    (event,) = hooks.get("/_receiver/events").json()
    assert event["verified"] is True
    assert (event["type"], event["job_id"], event["tries"]) == ("swap.succeeded", job.id, 1)
    assert vendor.get("stats")["billed"] == 1
    assert worker.process.poll() is None


def test_async_result_agrees_with_the_client(worker: Program, client: SwapClient, celery_app: Celery) -> None:
    job = client.submit(make_request())
    result = celery_app.AsyncResult(job.id)
    assert result.get(timeout=20) == client.get(job.id).model_dump(mode="json")
    assert (result.state, result.successful()) == ("SUCCESS", True)
    assert celery_app.AsyncResult("no-such-id").state == "PENDING"
    assert worker.process.poll() is None


@pytest.mark.usefixtures("worker")
def test_async_result_raises_for_failures_as_celery_does(
    client: SwapClient, celery_app: Celery, vendor: Sandbox
) -> None:
    vendor.faults("status_2:msg=TARGET_NO_FACE: no face found")
    with pytest.raises(SwapFailed, match="no_face"):
        celery_app.AsyncResult(client.submit(make_request()).id).get(timeout=20)
    cancelled = client.submit(make_request(expires_at="2030-01-01T00:00:00Z"))
    if client.cancel(cancelled.id).state is JobState.CANCELLED:
        with pytest.raises(TaskRevokedError):
            celery_app.AsyncResult(cancelled.id).get(timeout=5)


@pytest.mark.usefixtures("worker")
def test_a_producer_that_only_speaks_celery_is_served(client: SwapClient, redis_url: str, celery_app: Celery) -> None:
    """It sends the task with the request as keyword arguments, and finds the result under its own task id."""
    with Celery(broker=redis_url) as plain:
        plain.conf.task_default_queue = "swaps"
        request = make_request()
        sent = plain.send_task("swapjobs.swap", kwargs=request.model_dump(mode="json", exclude_defaults=True))
    result = celery_app.AsyncResult(sent.id).get(timeout=20)
    assert result["state"] == "succeeded"
    assert client.get(sent.id).business_task_id == request.business_task_id


@pytest.mark.usefixtures("worker")
def test_a_revoked_task_is_a_cancelled_job(
    client: SwapClient, celery_app: Celery, vendor: Sandbox, hooks: httpx.Client
) -> None:
    """In line, running, and by a plain Celery producer's id; its webhook arrives all the same."""
    vendor.faults("http_503:retry_after=1,count=1", "latency:ms=1000")
    first = client.submit(make_request())
    wait_until(lambda: client.get(first.id).state is JobState.WAITING)
    queued = client.submit(make_request(callback_url=f"{hooks.base_url}/in"))
    celery_app.control.revoke(queued.id)
    assert finished(client, queued.id, hook=True).state is JobState.CANCELLED
    wait_until(lambda: client.get(first.id).state is JobState.RUNNING)
    celery_app.control.revoke(first.id, terminate=True)
    assert finished(client, first.id).state is JobState.CANCELLED
    (event,) = hooks.get("/_receiver/events").json()
    assert event["type"] == "swap.cancelled"
    wait_until(lambda: client.get(first.id).output_url)  # the call was not cut off: what it brought is kept
    assert client.get(first.id).state is JobState.CANCELLED


def test_a_result_in_hand_survives_a_restart_of_redis(
    program: Callable[..., Program], environment: dict[str, str], vendor: Sandbox, tmp_path: Path
) -> None:
    """Redis is killed while the vendor works: the answer is written when it is back, nothing is asked again."""
    with EmbeddedRedis(tmp_path / "own-redis") as server:
        environment["SWAPJOBS_REDIS_URL"] = server.url
        program("celery", "-A", "swapworker.app", "worker", "-l", "info", SWAPJOBS_LEASE_S="20").wait_for("ready.")
        vendor.faults("latency:ms=1500")
        with SwapClient(WorkerSettings(redis_url=server.url)) as client:
            job = client.submit(make_request())
            wait_until(lambda: vendor.get("stats")["in_flight"] == 1)
            kill_redis(server)
            wait_until(lambda: vendor.get("stats")["billed"] == 1)
            server.start()
            assert finished(client, job.id).state is JobState.SUCCEEDED
    stats = vendor.get("stats")
    assert (stats["calls"], stats["queries"], stats["billed"]) == (1, 0, 1)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("fault", "attempts", "calls", "queries"),
    [
        ("http_503:count=1", 1, 2, 0),
        ("http_429:retry_after=1,count=1", 0, 2, 0),
        ("http_429_bare:count=1", 0, 2, 0),
        ("code_429:count=1", 0, 2, 0),
        ("pending:s=0.5,count=1", 0, 1, None),
        ("lost_reply:count=1", 1, 1, 1),
        ("hang:s=60,count=1,after_work=yes", 1, 1, 1),
        ("html:count=1,after_work=yes", 1, 1, 1),
        ("bad_json:count=1,after_work=yes", 1, 1, 1),
        ("http_500:count=1,after_work=yes", 1, 1, 1),
        ("reset_before:count=1", 1, 2, None),
        ("code_500:count=1", 1, None, None),
    ],
)
def test_a_bad_moment_of_the_vendor_costs_no_job_and_no_second_bill(
    client: SwapClient, vendor: Sandbox, fault: str, attempts: int, calls: int | None, queries: int | None
) -> None:
    vendor.faults(fault)
    job = finished(client, client.submit(make_request()).id)
    assert (job.state, job.failed_attempts) == (JobState.SUCCEEDED, attempts)
    history = client.attempts(job.id)
    assert (len(history), history[-1].outcome) == (job.attempts, "succeeded")
    stats = vendor.get("stats")
    assert stats["billed"] == 1
    assert stats["duplicates"] == 0
    assert calls is None or stats["calls"] == calls
    assert queries is None or stats["queries"] == queries


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("status_2:msg=SOURCE_NO_FACE: no face found in the source picture", "no_face"),
        ("status_2:msg=FETCH_FAILED: the picture could not be fetched", "image_unreachable"),
        ("status_2:msg=something else", "swap_failed"),
    ],
)
def test_a_failure_has_its_code(client: SwapClient, vendor: Sandbox, fault: str, code: str) -> None:
    vendor.faults(fault)
    job = finished(client, client.submit(make_request()).id)
    assert job.state is JobState.FAILED
    assert job.error.code == code
    assert vendor.get("stats")["billed"] == 0


@pytest.mark.usefixtures("worker")
def test_wrong_credentials_stop_the_line_and_not_the_jobs(client: SwapClient, vendor: Sandbox) -> None:
    vendor.faults("http_401")
    ids = [str(item.id) for item in client.submit_many(make_request().model_dump() for _ in range(20))]

    def line_is_closed() -> bool:
        return any(client.get(id_).reason == "vendor_outage" for id_ in ids)

    wait_until(line_is_closed)
    seen = vendor.get("stats")["calls"]
    assert seen <= 20
    assert not any(client.get(id_).state is JobState.FAILED for id_ in ids)


@pytest.mark.usefixtures("worker")
def test_a_receiver_that_fails_first_gets_the_same_event_again(
    client: SwapClient, hooks: httpx.Client, vendor: Sandbox
) -> None:
    hooks.put("/_receiver/plan", json={"statuses": [503]}).raise_for_status()
    vendor.faults("status_2:msg=no face")
    job = finished(client, client.submit(make_request(callback_url=f"{hooks.base_url}/in")).id)
    wait_until(lambda: (hook := client.get(job.id).webhook) and hook.state == "delivered", deadline_s=25)
    (event,) = hooks.get("/_receiver/events").json()
    assert (event["type"], event["tries"], event["verified"]) == ("swap.failed", 2, True)


def test_a_killed_workers_job_runs_again_and_is_paid_once(
    program: Callable[..., Program], client: SwapClient, vendor: Sandbox
) -> None:
    vendor.faults("latency:ms=2500,count=1")
    command = ("celery", "-A", "swapworker.app", "worker", "-l", "info", "-n")
    first = program(*command, "first@%h").wait_for("ready.")
    job = client.submit(make_request())
    wait_until(lambda: vendor.get("stats")["in_flight"] == 1)
    first.end(signal.SIGKILL)
    program(*command, "second@%h").wait_for("ready.")
    done = finished(client, job.id)
    assert done.state is JobState.SUCCEEDED
    stats = vendor.get("stats")
    assert (stats["calls"], stats["billed"], stats["duplicates"]) == (1, 1, 0)
    assert stats["queries"] >= 1


def test_sigterm_finishes_what_runs_and_exits_cleanly(worker: Program, client: SwapClient, vendor: Sandbox) -> None:
    vendor.faults("latency:ms=1000")
    jobs = [client.submit(make_request()) for _ in range(4)]
    wait_until(lambda: vendor.get("stats")["in_flight"] == 4)
    assert worker.end() == 0
    assert [client.get(job.id).state for job in jobs] == [JobState.SUCCEEDED] * 4


def test_both_processes_of_swapjobs_worker_stop_together(
    program: Callable[..., Program], client: SwapClient, hooks: httpx.Client
) -> None:
    both = program("swapjobs", "worker").wait_for("ready.", count=2)
    done: Any = finished(client, client.submit(make_request(callback_url=f"{hooks.base_url}/in")).id, hook=True)
    assert done.webhook.state == "delivered"
    assert both.end() == 0


@pytest.mark.parametrize("pool", ["processes", "eventlet"])
def test_pools_that_cannot_keep_leases_are_refused(program: Callable[..., Program], pool: str) -> None:
    refused = program("celery", "-A", "swapworker.app", "worker", "-P", pool)
    assert refused.process.wait(30) != 0


def test_a_wrong_setting_is_told_in_one_line(program: Callable[..., Program]) -> None:
    refused = program("celery", "-A", "swapworker.app", "worker", SWAPJOBS_RATE_LIMIT="fast")
    assert refused.process.wait(30) == 1
    refused.__exit__()
    assert "SWAPJOBS_RATE_LIMIT: must be a rate like 5/s" in refused.output
    assert "Traceback" not in refused.output


def test_an_unfit_redis_is_refused_with_the_remedy(program: Callable[..., Program], client: SwapClient) -> None:
    redis = client._store.redis  # noqa: SLF001 - to make it unfit
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        refused = program("celery", "-A", "swapworker.app", "worker")
        assert refused.process.wait(30) != 0
        refused.__exit__()
        assert "CONFIG SET maxmemory-policy noeviction" in refused.output
    finally:
        redis.config_set("maxmemory-policy", "noeviction")


def test_no_secret_and_no_signed_query_is_in_the_log_or_in_redis(
    worker: Program, client: SwapClient, vendor: Sandbox, environment: dict[str, str]
) -> None:
    vendor.faults("http_503:count=1", "status_2:share=0.3,msg=see https://x.example/p.jpg?X-Amz-Signature=abcdef")
    signed = "https://pictures.example/a.jpg?X-Amz-Signature=abcdef"
    for _ in range(8):
        finished(client, client.submit(make_request(source_url=signed)).id)
    for name in ("SWAPJOBS_API_KEY_ID", "SWAPJOBS_API_KEY_SECRET", "SWAPJOBS_WEBHOOK_SECRETS"):
        assert environment[name] not in worker.output
    assert "X-Amz-Signature" not in worker.output
    redis: Any = Redis.from_url(environment["SWAPJOBS_REDIS_URL"])  # bytes: the traffic state is no text
    for key in redis.scan_iter():
        raw = str(_content(redis, key))
        assert environment["SWAPJOBS_API_KEY_SECRET"] not in raw
        assert environment["SWAPJOBS_WEBHOOK_SECRETS"] not in raw


def _content(redis: Any, key: bytes) -> Any:
    read = {
        "hash": redis.hgetall,
        "string": redis.get,
        "zset": lambda name: redis.zrange(name, 0, -1),
        "list": lambda name: redis.lrange(name, 0, -1),
        "stream": redis.xrange,
        "set": redis.smembers,
    }
    return read[redis.type(key).decode()](key)
