"""Deadlines and cancelling with real workers: in time wherever the job stands, no call after it, no picture lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.builders import make_request, wait_until
from support.killed_redis import kill_redis
from support.processes import finished
from swapjobs import Job, JobState, Reason, SwapClient
from swapjobs.settings import WorkerSettings
from swapjobs.store import keys
from swapsandbox.processes.redis_server import EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from support.processes import Program, Sandbox

WORKER = ("celery", "-A", "swapworker.app", "worker", "-l", "info")


def in_s(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def wait_for(time: datetime) -> None:
    wait_until(lambda: datetime.now(UTC) > time, what=f"{time} has passed")


def expired_on_time(client: SwapClient, id_: str) -> Job:
    """Return the job, which must expire at its deadline and not much later."""
    job: Job = finished(client, id_)
    assert job.state is JobState.EXPIRED
    assert job.expires_at
    assert job.finished_at
    assert timedelta() <= job.finished_at - job.expires_at < timedelta(seconds=2)
    assert job.error
    assert job.error.code == "expired"
    return job


def late_successes(client: SwapClient) -> int:
    redis: Any = client._store.redis  # noqa: SLF001 - doctor reads it there too
    return int(redis.hget(keys.counts(), "late_success") or 0)


def calls_of(vendor: Sandbox, business_id: str) -> list[str]:
    return [call["kind"] for call in vendor.get("calls") if call["business_id"] == business_id]


def is_running(client: SwapClient, id_: str) -> bool:
    return client.get(id_).state is JobState.RUNNING


# -- deadlines


def test_a_job_that_no_worker_took_in_time_is_never_sent(
    program: Callable[..., Program], client: SwapClient, vendor: Sandbox, hooks: httpx.Client
) -> None:
    late = client.submit(make_request(expires_at=in_s(0.3), callback_url=f"{hooks.base_url}/in"))
    in_time = client.submit(make_request(expires_at=in_s(60)))
    assert late.expires_at
    wait_for(late.expires_at)
    program(*WORKER).wait_for("ready.")
    assert finished(client, late.id, hook=True).state is JobState.EXPIRED
    assert finished(client, in_time.id).state is JobState.SUCCEEDED
    assert calls_of(vendor, late.business_task_id) == []
    (event,) = hooks.get("/_receiver/events").json()
    assert (event["type"], event["job_id"]) == ("swap.expired", late.id)


def test_a_job_far_behind_in_the_line_expires_on_time(
    program: Callable[..., Program], client: SwapClient, vendor: Sandbox
) -> None:
    program(*WORKER, SWAPJOBS_RATE_LIMIT="1/s").wait_for("ready.")
    ahead = list(client.submit_many(make_request().model_dump(mode="json") for _ in range(100)))
    last = client.submit(make_request(priority="bulk", expires_at=in_s(2)))
    wait_until(lambda: vendor.get("stats")["calls"] > 0)
    assert expired_on_time(client, last.id).started_at is None
    assert calls_of(vendor, last.business_task_id) == []
    assert client.get(str(ahead[-1].id)).state is JobState.QUEUED


@pytest.mark.parametrize(
    ("fault", "reasons"),
    [
        ("pending:s=60", {Reason.VENDOR_PROCESSING}),
        ("http_503:retry_after=60", {Reason.RATE_LIMIT}),
        ("http_503", {Reason.RETRY, Reason.VENDOR_OUTAGE}),
    ],
)
def test_a_waiting_job_expires_on_time_and_the_vendor_hears_no_more_of_it(
    program: Callable[..., Program], client: SwapClient, vendor: Sandbox, fault: str, reasons: set[Reason]
) -> None:
    vendor.faults(fault)
    program(*WORKER, SWAPJOBS_POLL_CAP_S="0.5", SWAPJOBS_MAX_ATTEMPTS="100").wait_for("ready.")
    job = client.submit(make_request(expires_at=in_s(3)))
    wait_until(lambda: client.get(job.id).reason in reasons)
    done = expired_on_time(client, job.id)
    assert done.finished_at
    assert (done.reason, done.next_attempt_at) == (None, None)
    seen = calls_of(vendor, job.business_task_id)
    wait_for(done.finished_at + timedelta(seconds=1.5))
    assert calls_of(vendor, job.business_task_id) == seen


@pytest.mark.usefixtures("worker")
def test_a_running_job_expires_on_time_and_its_late_picture_is_kept(
    client: SwapClient, vendor: Sandbox, hooks: httpx.Client
) -> None:
    """It is paid for: the state stays, the picture is there all the same, and the count tells of it."""
    vendor.faults("latency:ms=2500")
    job = client.submit(make_request(expires_at=in_s(1.5), callback_url=f"{hooks.base_url}/in"))
    wait_until(lambda: is_running(client, job.id))
    done = expired_on_time(client, job.id)
    assert done.output_url is None
    wait_until(lambda: client.get(job.id).output_url)
    stored = finished(client, job.id, hook=True)
    assert (stored.state, stored.finished_at, stored.error) == (JobState.EXPIRED, done.finished_at, done.error)
    assert late_successes(client) == 1
    books = vendor.get("stats")
    assert (books["calls"], books["queries"], books["billed"]) == (1, 0, 1)
    assert [event["type"] for event in hooks.get("/_receiver/events").json()] == ["swap.expired"]


@pytest.mark.usefixtures("worker")
def test_a_call_that_hangs_past_the_deadline_is_neither_waited_for_nor_looked_up(
    client: SwapClient, vendor: Sandbox
) -> None:
    vendor.faults("hang:s=60")
    job = client.submit(make_request(expires_at=in_s(2)))
    wait_until(lambda: is_running(client, job.id))
    expired_on_time(client, job.id)
    wait_until(lambda: vendor.get("stats")["in_flight"] == 0, what="the worker gave the call up")
    wait_for(in_s(1.5))
    assert calls_of(vendor, job.business_task_id) == ["swap"]
    done = client.get(job.id)
    assert (done.state, done.output_url) == (JobState.EXPIRED, None)
    assert late_successes(client) == 0


@pytest.mark.usefixtures("worker")
def test_a_deadline_that_was_met_means_nothing_any_more(client: SwapClient) -> None:
    job = client.submit(make_request(expires_at=in_s(3)))
    done = finished(client, job.id)
    assert done.state is JobState.SUCCEEDED
    assert job.expires_at
    wait_for(job.expires_at + timedelta(seconds=0.5))
    assert client.get(job.id) == done


# -- cancelling


def test_cancelling_in_line_and_while_waiting_outlives_a_killed_redis(
    program: Callable[..., Program],
    environment: dict[str, str],
    vendor: Sandbox,
    hooks: httpx.Client,
    tmp_path: Path,
) -> None:
    vendor.faults("pending:s=60,id=waiting")
    asked = {"callback_url": f"{hooks.base_url}/in"}
    with EmbeddedRedis(tmp_path / "own-redis") as server:
        environment["SWAPJOBS_REDIS_URL"] = server.url
        with SwapClient(WorkerSettings(redis_url=server.url)) as client:
            first = program(*WORKER, "-n", "first@%h").wait_for("ready.")
            waiting = client.submit(make_request(business_task_id="waiting", **asked))
            wait_until(lambda: client.get(waiting.id).reason is Reason.VENDOR_PROCESSING)
            assert first.end() == 0
            asked_for = calls_of(vendor, "waiting")
            queued = client.submit(make_request(business_task_id="queued", **asked))
            assert [client.cancel(job.id).state for job in (waiting, queued)] == [JobState.CANCELLED] * 2
            kill_redis(server)
            server.start()
            assert [client.get(job.id).state for job in (waiting, queued)] == [JobState.CANCELLED] * 2
            program(*WORKER, "-n", "second@%h").wait_for("ready.")
            assert finished(client, client.submit(make_request()).id).state is JobState.SUCCEEDED
            for job in (waiting, queued):
                assert finished(client, job.id, hook=True).state is JobState.CANCELLED
        assert calls_of(vendor, "queued") == []
        assert calls_of(vendor, "waiting") == asked_for
    events = hooks.get("/_receiver/events").json()
    assert sorted((event["type"], event["job_id"]) for event in events) == sorted(
        ("swap.cancelled", job.id) for job in (waiting, queued)
    )


@pytest.mark.usefixtures("worker")
def test_running_jobs_that_are_cancelled_make_no_further_call(client: SwapClient, vendor: Sandbox) -> None:
    """Neither the retry, nor the look-up, nor the next question that their replies would lead to."""
    replies = {"a": "http_503:", "b": "http_500:after_work=yes,", "c": "lost_reply:", "d": "pending:s=0.1,"}
    vendor.faults("latency:ms=1000", *(f"{fault}id={name}" for name, fault in replies.items()))
    jobs = [client.submit(make_request(business_task_id=name)) for name in replies]
    wait_until(lambda: vendor.get("stats")["in_flight"] == len(jobs))
    assert [client.cancel(job.id).state for job in jobs] == [JobState.CANCELLED] * len(jobs)
    wait_until(lambda: vendor.get("stats")["in_flight"] == 0)
    wait_for(in_s(1.5))
    assert [calls_of(vendor, name) for name in replies] == [["swap"]] * len(jobs)
    assert [client.get(job.id).state for job in jobs] == [JobState.CANCELLED] * len(jobs)


def test_a_job_cancelled_while_it_waits_for_its_slot_is_not_sent(
    program: Callable[..., Program], client: SwapClient, vendor: Sandbox
) -> None:
    program(*WORKER, SWAPJOBS_RATE_LIMIT="30/m").wait_for("ready.")
    assert finished(client, client.submit(make_request()).id).state is JobState.SUCCEEDED
    waits = client.submit(make_request())
    wait_until(lambda: is_running(client, waits.id), what="it holds the next slot")
    assert client.cancel(waits.id).state is JobState.CANCELLED
    assert finished(client, client.submit(make_request()).id).state is JobState.SUCCEEDED
    assert calls_of(vendor, waits.business_task_id) == []
    assert vendor.get("stats")["calls"] == 2


@pytest.mark.usefixtures("worker")
def test_a_picture_that_comes_after_the_cancel_is_kept_and_counted(
    client: SwapClient, vendor: Sandbox, hooks: httpx.Client
) -> None:
    vendor.faults("latency:ms=1000")
    job = client.submit(make_request(callback_url=f"{hooks.base_url}/in"))
    wait_until(lambda: vendor.get("stats")["in_flight"] == 1)
    cancelled = client.cancel(job.id)
    assert (cancelled.state, cancelled.output_url) == (JobState.CANCELLED, None)
    wait_until(lambda: client.get(job.id).output_url)
    stored = finished(client, job.id, hook=True)
    assert (stored.state, stored.finished_at) == (JobState.CANCELLED, cancelled.finished_at)
    assert late_successes(client) == 1
    assert vendor.get("stats")["billed"] == 1
    assert [event["type"] for event in hooks.get("/_receiver/events").json()] == ["swap.cancelled"]
