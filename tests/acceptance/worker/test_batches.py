"""Batches with real workers: complete exactly once in each round, whoever is killed on the way; and swapjobs list."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

from support.announced import LISTENER, announced
from support.builders import make_request, wait_until
from support.fleet import WORKER, all_is_well, in_flight
from swapjobs import JobState, SwapClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.processes import Program, Sandbox
    from swapjobs.store.store import Store


def test_a_batch_is_completed_once_in_each_round_whichever_worker_is_killed(
    program: Callable[..., Program], client: SwapClient, store: Store, vendor: Sandbox
) -> None:
    """Killed are one worker, and the other while jobs are rescued; then the failed ones are retried."""
    vendor.faults("latency:ms=3000", "status_2:prefix=bad,msg=TARGET_NO_FACE: no face found")
    names = [f"bad-{number}" for number in range(3)] + [f"good-{number}" for number in range(37)]
    requests = [make_request(business_task_id=name, batch_id="b") for name in names]
    client.batches.open("b", callback_url=LISTENER)
    ids = [str(item.id) for item in client.submit_many(requests)]
    assert client.batches.close("b").state == "closed"
    one, two = [program(*WORKER, f"{name}@%h").wait_for("ready.") for name in ("one", "two")]
    in_flight(vendor, 16)
    one.end(signal.SIGKILL)
    wait_until(lambda: client.batches.get("b").counts[JobState.SUCCEEDED] >= 15, what="half of them")
    two.end(signal.SIGKILL)
    program(*WORKER, "three@%h")
    wait_until(lambda: client.batches.get("b").state == "completed", deadline_s=60)
    batch = client.batches.get("b")
    assert (batch.counts[JobState.SUCCEEDED], batch.counts[JobState.FAILED], batch.total) == (37, 3, 40)
    assert sum(batch.errors.values()) == 3
    (code,) = batch.errors
    vendor.faults()
    assert client.batches.retry("b", error_code=code).round == 2
    wait_until(lambda: client.batches.get("b").state == "completed", what="the second round")
    assert client.batches.get("b").counts[JobState.SUCCEEDED] == 40
    result = [(event["round"], event["succeeded"]) for event in announced(store.redis, "b")]
    assert result == [("1", "37"), ("2", "40")]
    all_is_well(store, vendor, ids)


def test_a_paused_batch_waits_while_others_are_served_and_then_goes_on(
    worker: Program, client: SwapClient, vendor: Sandbox
) -> None:
    client.batches.open("b")
    client.batches.pause("b")
    waiting = [str(item.id) for item in client.submit_many(make_request(batch_id="b") for _ in range(300))]
    other = client.submit(make_request(priority="bulk"))
    assert client.wait(other.id, 30).state is JobState.SUCCEEDED
    assert client.batches.get("b").counts[JobState.QUEUED] == 300
    assert vendor.get("stats")["calls"] == 1
    client.cancel(waiting[0])
    client.batches.close("b")
    client.batches.resume("b")
    wait_until(lambda: client.batches.get("b").state == "completed", deadline_s=60)
    assert client.batches.get("b").counts[JobState.SUCCEEDED] == 299
    assert worker.process.poll() is None


def test_a_cancel_that_its_caller_left_is_ended_by_the_workers(
    worker: Program, client: SwapClient, vendor: Sandbox
) -> None:
    vendor.faults("latency:ms=2000")
    ids = [str(item.id) for item in client.submit_many(make_request(batch_id="b") for _ in range(1000))]
    in_flight(vendor, 8)
    client.batches.close("b")
    client.batches.cancel("b", patience_s=0)
    wait_until(lambda: client.batches.get("b").state == "completed")
    assert (
        client.batches.get("b").counts[JobState.CANCELLED] + client.batches.get("b").counts[JobState.SUCCEEDED] == 1000
    )
    assert {job.state for job in client.list(batch_id="b", limit=500).jobs} <= {JobState.CANCELLED, JobState.SUCCEEDED}
    assert client.wait(ids[-1], 5).state is JobState.CANCELLED
    assert worker.process.poll() is None


def test_the_command_list_shows_what_is_asked_for(
    swapjobs_cli: Callable[..., tuple[int, str]], client: SwapClient
) -> None:
    ids = [client.submit(make_request(batch_id="b" if number else None)).id for number in range(4)]
    client.cancel(ids[3])
    status, output = swapjobs_cli("list", "--json", "--batch", "b")
    assert (status, [json.loads(line)["id"] for line in output.splitlines()]) == (0, [ids[3], ids[2], ids[1]])
    status, output = swapjobs_cli("list", "--state", "cancelled", "--since", "1h")
    assert (status, ids[3] in output, len(output.splitlines())) == (0, True, 1)
    status, output = swapjobs_cli("list", "--limit", "2")
    assert (status, "more than 2" in output, len(output.splitlines())) == (0, True, 3)
    status, output = swapjobs_cli("list", "--all")
    assert (status, len(output.splitlines())) == (0, 4)
    assert swapjobs_cli("list", "--tenant", "nobody") == (0, "no job of tenant nobody fits\n")
    for wrong in (["--since", "soon"], ["--state", "done"], ["--batch", "a:b"], ["--limit", "0"]):
        status, output = swapjobs_cli("list", *wrong)
        assert (status, output.count("\n")) == (2, 1), output
