"""Stopping workers with real signals: what runs may end, the rest is handed back at once, nothing is called twice."""

from __future__ import annotations

import itertools
import signal
import time
from typing import TYPE_CHECKING

import pytest

from support.builders import make_request, wait_until
from swapjobs import JobState, SwapClient
from swapjobs.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from support.processes import Program, Sandbox
    from swapjobs.store.store import Store

WORKER = ("celery", "-A", "swapworker.app", "worker", "-l", "info", "-n")


def submit(client: SwapClient, count: int) -> list[str]:
    return [str(item.id) for item in client.submit_many(make_request().model_dump() for _ in range(count))]


def test_what_runs_may_end_within_the_grace(
    program: Callable[..., Program], client: SwapClient, vendor: Sandbox
) -> None:
    vendor.faults("latency:ms=1000")
    worker = program(*WORKER, "w@%h").wait_for("ready.")
    ids = submit(client, 4)
    wait_until(lambda: vendor.get("stats")["in_flight"] == 4)
    assert worker.end(signal.SIGTERM) == 0
    assert [client.get(id_).state for id_ in ids] == [JobState.SUCCEEDED] * 4
    assert vendor.get("stats")["calls"] == 4


@pytest.mark.parametrize(
    "signals", [[signal.SIGTERM], [signal.SIGTERM] * 2, [signal.SIGINT] * 2, [signal.SIGQUIT]], ids=str
)
def test_what_does_not_end_in_time_is_handed_back_at_once(
    program: Callable[..., Program], client: SwapClient, vendor: Sandbox, store: Store, signals: list[signal.Signals]
) -> None:
    """After the grace of one signal, or at once at the second one; the leases are not waited for."""
    vendor.faults("latency:ms=20000")
    patient = signals == [signal.SIGTERM]
    settings = {
        "SWAPJOBS_STOP_GRACE_S": "1" if patient else "60",
        "SWAPJOBS_CALL_TIMEOUT_S": "30",
        "SWAPJOBS_LEASE_S": "60",
    }
    worker = program(*WORKER, "w@%h", **settings).wait_for("ready.")
    ids = submit(client, 4)
    wait_until(lambda: vendor.get("stats")["in_flight"] == 4)
    began = time.monotonic()
    for number in signals[:-1]:
        worker.send(number)
        worker.wait_for("hutdown")
    assert worker.end(signals[-1], deadline_s=10) == 0
    assert time.monotonic() - began < 8
    assert "4 jobs handed back" in worker.output
    assert "Traceback" not in worker.output
    jobs = [client.get(id_) for id_ in ids]
    assert [(job.state, job.reason, job.failed_attempts) for job in jobs] == [(JobState.WAITING, "retry", 0)] * 4
    assert all(store.jobs.get(id_).fields["next_call"] == "query" for id_ in ids)
    assert not [member for member in store.redis.zrange(keys.schedule(), 0, -1) if str(member).startswith("lease:")]
    assert store.dispatch.status().in_flight == 0


def test_a_webhook_under_way_is_handed_back_too(
    program: Callable[..., Program], client: SwapClient, vendor: Sandbox, hooks: httpx.Client
) -> None:
    """The receiver sits on it; the next worker delivers at once, with the same id."""
    hooks.put("/_receiver/plan", json={"statuses": ["hang"]}).raise_for_status()
    vendor.faults("status_2:msg=no face")
    worker = program(*WORKER, "w@%h", SWAPJOBS_STOP_GRACE_S="0").wait_for("ready.")
    job = client.submit(make_request(callback_url=f"{hooks.base_url}/in"))
    wait_until(lambda: hooks.get("/_receiver/events").json())
    assert worker.end(signal.SIGTERM) == 0
    program(*WORKER, "next@%h").wait_for("ready.")
    wait_until(lambda: (hook := client.get(job.id).webhook) and hook.state == "delivered", deadline_s=8)
    (event,) = hooks.get("/_receiver/events").json()
    assert event["tries"] == 2


def test_two_workers_restarted_in_turn_under_load_lose_nothing_and_leave_no_gap(
    program: Callable[..., Program], client: SwapClient, vendor: Sandbox
) -> None:
    vendor.faults("latency:ms=200,jitter=100")
    limits = {"SWAPJOBS_RATE_LIMIT": "40/s", "SWAPJOBS_CONCURRENCY": "16"}
    workers = [program(*WORKER, f"{name}@%h", **limits).wait_for("ready.") for name in ("a", "b")]
    ids = submit(client, 600)
    wait_until(lambda: vendor.get("stats")["calls"] > 40)
    for number, old in enumerate(workers):
        assert old.end(signal.SIGTERM) == 0
        program(*WORKER, f"new{number}@%h", **limits).wait_for("ready.")
    wait_until(lambda: client.get(ids[-1]).state is JobState.SUCCEEDED, deadline_s=40)
    assert {client.wait(id_, 10).state for id_ in ids} == {JobState.SUCCEEDED}
    stats = vendor.get("stats")
    assert (stats["calls"], stats["billed"], stats["queries"]) == (600, 600, 0)
    times = sorted(call["at"] for call in vendor.get("calls"))
    assert max(later - sooner for sooner, later in itertools.pairwise(times)) < 1.0
