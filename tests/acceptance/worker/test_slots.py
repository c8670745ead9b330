"""A worker takes what it has slots for and nothing more, and tells how busy they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from support.builders import make_request, wait_until
from swapjobs.store import keys, worker_usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.processes import Program, Sandbox
    from swapjobs import SwapClient
    from swapjobs.store.store import Store

WORKER = ("celery", "-A", "swapworker.app", "worker", "-Q", "swaps", "-l", "info")
SLOTS = 4


def submit_bulk(client: SwapClient, count: int) -> None:
    outcomes = {one.outcome for one in client.submit_many(make_request(priority="bulk") for _ in range(count))}
    assert outcomes == {"created"}


def test_a_worker_holds_no_more_than_it_has_slots(
    program: Callable[..., Program], client: SwapClient, store: Store, vendor: Sandbox
) -> None:
    """Held is what was sent out and lies on the ready queue no more, and what is claimed."""
    vendor.faults("latency:ms=60000")
    submit_bulk(client, 1000)
    held: list[int] = []

    def look() -> int:
        with store.redis.pipeline(transaction=True) as pipe:
            pipe.zcard(keys.published(keys.BULK))
            pipe.llen(keys.READY[keys.BULK])
            pipe.zrange(keys.schedule(), 0, -1)
            out, on_ready_queue, wake = pipe.execute()
        held.append(out - on_ready_queue + sum(member.startswith("lease:") for member in wake))
        return int(on_ready_queue)

    settings = {"SWAPJOBS_CONCURRENCY": str(SLOTS), "SWAPJOBS_CALL_TIMEOUT_S": "90", "SWAPJOBS_STOP_GRACE_S": "0"}
    program(*WORKER, **settings).wait_for("ready.")
    wait_until(lambda: look() and held[-1] >= SLOTS, what="all slots are taken, and there is more to take")
    full = len(held)
    wait_until(lambda: look() and len(held) > full + 50, what="a second in which it could take more")
    assert max(held) == SLOTS


def test_the_doctor_says_how_many_slots_would_do(
    program: Callable[..., Program],
    swapjobs_cli: Callable[..., tuple[int, str]],
    client: SwapClient,
    store: Store,
    vendor: Sandbox,
) -> None:
    """By what the workers have seen: a process for webhooks alone has no slots for calls."""
    vendor.faults("latency:ms=400")
    submit_bulk(client, 500)
    settings = {"SWAPJOBS_CONCURRENCY": str(SLOTS), "SWAPJOBS_RATE_LIMIT": "50/s"}
    worker = program(*WORKER, "-n", "swaps@%h", **settings)
    program(*(word.replace("swaps", "webhooks") for word in WORKER), "-n", "webhooks@%h", **settings).wait_for("ready.")
    wait_until(lambda: (seen := worker_usage.read(store.redis)).call_s and seen.busy > 0.95 * SLOTS, deadline_s=40)
    checks = {check["name"]: check for check in json.loads(swapjobs_cli("doctor", "--json", **settings)[1])["checks"]}
    slots = checks["slots"]
    assert slots["state"] == "warning"
    assert slots["found"].startswith("4 slots in 1 process, 4 busy on average, calls take 0.4")
    assert ": too few for the rate 50/s, 2" in slots["found"]
    assert slots["remedy"].startswith("raise SWAPJOBS_CONCURRENCY or start ")
    assert worker.end() == 0
    assert worker_usage.read(store.redis).processes == 0
