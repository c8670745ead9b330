"""Workers that are killed, frozen or stuck: their jobs run again in time, once, and late results do no harm."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Final

import pytest

from support.builders import make_request, wait_until
from support.fleet import WORKER, all_is_well, all_succeeded, count, in_flight, submit
from swapjobs import JobState, SwapClient

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.processes import Program, Sandbox
    from swapjobs.store.store import Store

LEASE_S: Final = 3.0  # of `environment`


def test_the_jobs_of_killed_workers_run_again_in_time(
    program: Callable[..., Program], client: SwapClient, store: Store, vendor: Sandbox
) -> None:
    """Killed is first one of two workers, then the one that is left, and a new one is started."""
    vendor.faults("latency:ms=1500")
    one, two = [program(*WORKER, f"{name}@%h") for name in ("one", "two")]
    for worker in (one, two):
        worker.wait_for("ready.")
    ids = submit(client, 20)
    in_flight(vendor, 16)
    one.end(signal.SIGKILL)
    all_succeeded(client, ids, deadline_s=LEASE_S + 5)
    ids += submit(client, 12)
    in_flight(vendor, 8)
    two.end(signal.SIGKILL)
    program(*WORKER, "three@%h")
    all_succeeded(client, ids, deadline_s=LEASE_S + 5)
    assert vendor.get("stats")["calls"] == len(ids)
    all_is_well(store, vendor, ids)


def test_a_job_of_many_leases_is_called_once(
    program: Callable[..., Program], client: SwapClient, store: Store, vendor: Sandbox
) -> None:
    """Whether the vendor takes its time with the reply, or says at once that it works on it."""
    vendor.faults("latency:ms=8000,prefix=slow", "pending:s=7,prefix=pending")
    workers = [program(*WORKER, f"{name}@%h", SWAPJOBS_CALL_TIMEOUT_S="20", SWAPJOBS_LEASE_S="2") for name in "ab"]
    for worker in workers:
        worker.wait_for("ready.")
    ids = [client.submit(make_request(business_task_id=id_)).id for id_ in ("slow", "pending")]
    all_succeeded(client, ids)
    assert vendor.get("stats")["calls"] == 2
    assert (count(store, "rescued"), count(store, "fenced")) == (0, 0)
    all_is_well(store, vendor, ids)


def test_a_worker_frozen_beyond_its_lease_writes_nothing_where_another_has_claimed(
    program: Callable[..., Program], client: SwapClient, store: Store, vendor: Sandbox
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
    frozen.wait_for('"outcome":"fenced"')
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
    program: Callable[..., Program], client: SwapClient, store: Store, vendor: Sandbox
) -> None:
    vendor.faults("latency:ms=1000")
    lone = program(*WORKER, "lone@%h").wait_for("ready.")
    ids = submit(client, 8)
    in_flight(vendor, 8)
    lone.send(signal.SIGSTOP)
    frozen_at = time.monotonic()
    wait_until(lambda: time.monotonic() - frozen_at > LEASE_S + 1.5)
    lone.send(signal.SIGCONT)
    all_succeeded(client, ids, deadline_s=5)
    stats = vendor.get("stats")
    assert (stats["calls"], stats["queries"]) == (8, 0)
    assert (count(store, "fenced"), count(store, "rescued")) == (0, 0)
    all_is_well(store, vendor, ids)


@pytest.fixture
def hanging(program: Callable[..., Program], tmp_path: Path) -> Callable[[int], Program]:
    """Start a worker of four slots whose first so many vendor calls hang for ever, whatever their timeout."""
    (tmp_path / "hanging.py").write_text(HANGING)

    def start(calls: int) -> Program:
        # its files as flags: the program that takes its place does not hang again
        settings = {"PYTHONPATH": str(tmp_path), "HANGING_CALLS": str(calls), "SWAPJOBS_STOP_GRACE_S": "0"}
        slots = {"SWAPJOBS_CONCURRENCY": "4", "SWAPJOBS_CALL_TIMEOUT_S": "1"}
        return program(*WORKER, "hanging@%h", "-I", "hanging", **settings, **slots).wait_for("ready.")

    return start


HANGING: Final = """
import os, threading
from pathlib import Path
from swapworker.attempt import lease_keeper as leases
from swapworker.vendor_client.client import VendorClient

def make(self, call, make=VendorClient.make):
    for number in range(int(os.environ["HANGING_CALLS"])):
        try:
            Path(f"hung-{number}").touch(exist_ok=False)
        except FileExistsError:
            continue
        threading.Event().wait()
    return make(self, call)

VendorClient.make = make
leases._MARGIN_S = 2.0  # 10 s are for slow machines, not for tests
"""


def test_a_worker_most_of_whose_slots_are_stuck_starts_itself_anew(
    hanging: Callable[[int], Program], client: SwapClient, store: Store, vendor: Sandbox
) -> None:
    """In place, as the same process, so that whoever supervises it notices nothing."""
    worker = hanging(4)
    ids = submit(client, 12)
    worker.wait_for("most slots hang past their deadline: the worker starts itself anew")
    assert vendor.get("stats")["calls"] == 0
    worker.wait_for("ready.", count=2)
    all_succeeded(client, ids, deadline_s=15)
    assert vendor.get("stats")["calls"] == len(ids)
    all_is_well(store, vendor, ids)
    assert worker.output.count("starts itself anew") == 1
    assert worker.end() == 0


def test_a_worker_with_some_stuck_slots_goes_on_and_their_jobs_run_again(
    hanging: Callable[[int], Program], client: SwapClient, store: Store, vendor: Sandbox
) -> None:
    worker = hanging(2)
    ids = submit(client, 12)
    all_succeeded(client, ids)
    assert count(store, "rescued") == 2
    assert vendor.get("stats")["calls"] == len(ids)
    all_is_well(store, vendor, ids)
    judged_at = time.monotonic() + 5
    wait_until(lambda: time.monotonic() > judged_at)
    assert "starts itself anew" not in worker.output
    ids += submit(client, 4)
    all_succeeded(client, ids)
    assert worker.end() == 0
