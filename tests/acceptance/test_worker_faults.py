"""Workers that are killed, frozen or stuck: their jobs run again in time, once, and late results do no harm."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Final

import pytest

from factories import make_request, wait_until
from fleet import WORKER, all_is_well, all_succeeded, count, in_flight, submit
from swapjobs import JobState, SwapClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest_acceptance import Program, Sandbox
    from swapjobs.store import JobStore

LEASE_S: Final = 3.0  # of `environment`


def test_the_jobs_of_one_killed_worker_of_two_run_again_in_time(
    program: Callable[..., Program], client: SwapClient, store: JobStore, vendor: Sandbox
) -> None:
    """Those that it had claimed, and those whose hints died with it."""
    vendor.faults("latency:ms=1500")
    dying = program(*WORKER, "dying@%h").wait_for("ready.")
    ids = submit(client, 12)
    in_flight(vendor, 8)
    program(*WORKER, "other@%h").wait_for("ready.")
    in_flight(vendor, 12)
    dying.end(signal.SIGKILL)
    killed_at = time.monotonic()
    all_succeeded(client, ids, deadline_s=LEASE_S + 5)
    print(f"FIGURE two: {time.monotonic() - killed_at:.2f}")
    assert vendor.get("stats")["calls"] == 12
    all_is_well(store, vendor, ids)


def test_the_jobs_of_a_lone_killed_worker_run_again_when_it_is_started_again(
    program: Callable[..., Program], client: SwapClient, store: JobStore, vendor: Sandbox
) -> None:
    vendor.faults("latency:ms=1500")
    dying = program(*WORKER, "w@%h").wait_for("ready.")
    ids = submit(client, 12)
    in_flight(vendor, 8)
    dying.end(signal.SIGKILL)
    killed_at = time.monotonic()
    program(*WORKER, "w@%h")
    all_succeeded(client, ids, deadline_s=LEASE_S + 5)
    print(f"FIGURE lone: {time.monotonic() - killed_at:.2f}")
    assert vendor.get("stats")["calls"] == 12
    all_is_well(store, vendor, ids)


@pytest.mark.parametrize("fault", ["latency:ms=12000", "pending:s=12"])
def test_a_job_of_many_leases_is_called_once(
    program: Callable[..., Program], client: SwapClient, store: JobStore, vendor: Sandbox, fault: str
) -> None:
    """Whether the vendor takes its time with the reply, or says at once that it works on it."""
    vendor.faults(fault)
    for name in ("one", "two"):
        program(*WORKER, f"{name}@%h", SWAPJOBS_CALL_TIMEOUT_S="20").wait_for("ready.")
    ids = submit(client, 1)
    all_succeeded(client, ids)
    stats = vendor.get("stats")
    assert stats["calls"] == 1
    assert (count(store, "rescued"), count(store, "fenced")) == (0, 0)
    all_is_well(store, vendor, ids)


def test_a_worker_frozen_beyond_its_lease_writes_nothing_where_another_has_claimed(
    program: Callable[..., Program], client: SwapClient, store: JobStore, vendor: Sandbox
) -> None:
    vendor.faults("latency:ms=1500")
    frozen = program(*WORKER, "frozen@%h").wait_for("ready.")
    job = client.submit(make_request())
    in_flight(vendor, 1)
    frozen.send(signal.SIGSTOP)
    try:
        program(*WORKER, "other@%h").wait_for("ready.")
        done = client.wait(job.id, LEASE_S + 5)
    finally:
        frozen.send(signal.SIGCONT)
    wait_until(lambda: count(store, "fenced"), what="the late result was counted")
    frozen.wait_for("the result came late: fenced")
    assert done.state is JobState.SUCCEEDED
    assert client.get(job.id) == done
    assert (count(store, "fenced"), count(store, "rescued")) == (1, 1)
    assert vendor.get("stats")["calls"] == 1
    all_is_well(store, vendor, [job.id])
    # it works on as before
    ids = submit(client, 16)
    all_succeeded(client, ids)
    all_is_well(store, vendor, [job.id, *ids])


def test_a_late_result_counts_where_nobody_else_has_claimed(
    program: Callable[..., Program], client: SwapClient, store: JobStore, vendor: Sandbox
) -> None:
    vendor.faults("latency:ms=1000")
    lone = program(*WORKER, "lone@%h").wait_for("ready.")
    ids = submit(client, 8)
    in_flight(vendor, 8)
    lone.send(signal.SIGSTOP)
    frozen_at = time.monotonic()
    wait_until(lambda: time.monotonic() - frozen_at > 2 * LEASE_S)
    lone.send(signal.SIGCONT)
    all_succeeded(client, ids, deadline_s=5)
    stats = vendor.get("stats")
    assert (stats["calls"], stats["queries"]) == (8, 0)
    assert (count(store, "fenced"), count(store, "rescued")) == (0, 0)
    all_is_well(store, vendor, ids)
