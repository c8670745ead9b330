"""Several workers are one fleet: one rate, one pause, one dispatcher."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

import swapjobs
from support.builders import make_request, wait_until
from swapjobs import JobState, SwapClient
from swapjobs.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.processes import Program, Sandbox
    from swapjobs.store.store import Store

COMMAND = ("celery", "-A", "swapworker.app", "worker", "-l", "info", "-n")


def test_two_workers_share_one_rate_and_use_it(
    program: Callable[..., Program], client: SwapClient, vendor: Sandbox
) -> None:
    """The vendor grants exactly the configured rate, and a slack of three intervals for the way there."""
    limited = {"SWAPJOBS_RATE_LIMIT": "20/s"}
    for worker in [program(*COMMAND, f"{name}@%h", **limited) for name in ("one", "two")]:
        worker.wait_for("ready.")
    httpx.put(f"{vendor.url}/_sandbox/rate", json={"rate": "20/s", "burst": 4}, trust_env=False).raise_for_status()
    try:
        began = time.monotonic()
        ids = [str(item.id) for item in client.submit_many(make_request().model_dump() for _ in range(100))]
        assert [client.wait(id_, 30).state for id_ in ids] == [JobState.SUCCEEDED] * 100
        took = time.monotonic() - began
    finally:
        httpx.put(f"{vendor.url}/_sandbox/rate", json={"rate": None}, trust_env=False).raise_for_status()
    stats = vendor.get("stats")
    assert (stats["over_limit"], stats["calls"]) == (0, 100)
    assert took > 99 / 20 - 0.1
    times = [call["at"] for call in vendor.get("calls") if call["kind"] == "swap"]
    assert max(times) - min(times) < 1.25 * 99 / 20


def test_one_retry_after_slows_every_worker(
    program: Callable[..., Program], client: SwapClient, vendor: Sandbox
) -> None:
    for worker in [program(*COMMAND, f"{name}@%h") for name in ("one", "two")]:
        worker.wait_for("ready.")
    vendor.faults("http_429:retry_after=2,count=1")
    first = client.submit(make_request())
    wait_until(lambda: client.get(first.id).reason == "rate_limit")
    ids = [str(item.id) for item in client.submit_many(make_request().model_dump() for _ in range(10))]
    assert all(client.wait(id_, 30).state is JobState.SUCCEEDED for id_ in [first.id, *ids])
    times = sorted(call["at"] for call in vendor.get("calls"))
    assert len(times) == 12
    assert times[1] - times[0] >= 1.95


def test_workers_of_two_versions_share_the_jobs_and_neither_loses_one(
    program: Callable[..., Program], client: SwapClient, store: Store, vendor: Sandbox, tmp_path: Path
) -> None:
    """As in a rolling upgrade: the other version's library has another text, and so other names for its functions."""
    other = tmp_path / "other-version"
    shutil.copytree(Path(swapjobs.__file__).parent, other / "swapjobs", ignore=shutil.ignore_patterns("__pycache__"))
    claim = other / "swapjobs" / "store" / "lua" / "functions" / "jobs" / "claim.lua"
    claim.write_text("-- of another version\n" + claim.read_text(encoding="utf-8"), encoding="utf-8")
    workers = [
        program(*COMMAND, "old@%h", PYTHONPATH=str(other), SWAPJOBS_CONCURRENCY="4"),
        program(*COMMAND, "new@%h", SWAPJOBS_CONCURRENCY="4"),
    ]
    for worker in workers:
        worker.wait_for("ready.")
    ids = [str(item.id) for item in client.submit_many(make_request().model_dump() for _ in range(60))]
    workers[0].process.terminate()  # the upgrade goes on
    assert [client.wait(id_, 30).state for id_ in ids] == [JobState.SUCCEEDED] * 60
    assert vendor.get("stats")["calls"] == 60
    wait_until(lambda: len(store.redis.hgetall(keys.libraries())) >= 2, what="both versions say that they are in use")
