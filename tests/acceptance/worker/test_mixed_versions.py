"""Workers of this version and of the one before share one Redis, under load: while one replaces the other, and back."""

from __future__ import annotations

import subprocess
import tarfile
from typing import TYPE_CHECKING, Final

import pytest

from support.builders import make_request, wait_until
from support.paths import ROOT
from swapjobs.store import keys
from swapjobs.store.library import library

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from support.processes import Program, Sandbox
    from swapjobs import SwapClient
    from swapjobs.store.store import Store

# The last state that others may run beside this one; moves on with each release, and with each change of what lies in
# Redis (CHANGELOG: all workers are replaced at once then). Its library of functions is another one.
BEFORE: Final = "424491e"
JOBS: Final = 240


@pytest.fixture
def old_code(tmp_path: Path) -> dict[str, str]:
    """The environment in which the programs are those of the version before."""
    archive = tmp_path / "before.tar"
    command = ["git", "archive", f"--output={archive}", BEFORE, "producers", "worker"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("no history here: the version before can't be had")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "before", filter="data")
    return {"PYTHONPATH": f"{tmp_path}/before/producers:{tmp_path}/before/worker"}


def test_rolling_up_and_back_under_load_loses_and_repeats_nothing(
    program: Callable[..., Program],
    client: SwapClient,
    store: Store,
    vendor: Sandbox,
    hooks: httpx.Client,
    old_code: dict[str, str],
) -> None:
    vendor.faults("latency:ms=150", "lost_reply:share=0.05", "http_503:share=0.03")
    worker = ("celery", "-A", "swapworker.app", "worker", "-l", "info", "-n")
    settings = {"SWAPJOBS_RATE_LIMIT": "40/s"}

    def start(name: str, **more: str) -> Program:
        return program(*worker, f"{name}@%h", **settings, **more).wait_for("ready.")

    def done() -> int:
        page = client.list(limit=500, state="succeeded")
        return len(page.jobs)

    old = start("old-1", **old_code)
    wait_until(
        lambda: {str(name) for name in store.redis.hkeys(keys.libraries())} - {library().name},
        what="the version before says which library is its own",
    )
    requests = [make_request(callback_url=f"{hooks.base_url}/in") for _ in range(JOBS)]
    ids = [str(item.id) for item in client.submit_many(requests)]
    wait_until(lambda: done() >= JOBS // 6)
    new = start("new-1")
    wait_until(lambda: done() >= 2 * JOBS // 6)
    assert old.end() == 0
    client.operations.start("retry")  # what the version before does not know stands in its schedule
    wait_until(lambda: done() >= 3 * JOBS // 6)
    old = start("old-2", **old_code)
    wait_until(lambda: done() >= 4 * JOBS // 6)
    assert new.end() == 0
    wait_until(lambda: done() == JOBS, deadline_s=60)
    assert vendor.get("stats")["billed"] == JOBS
    wait_until(lambda: store.dispatch.inspect().numbers["deliveries_pending"] == 0, deadline_s=60)
    events = hooks.get("/_receiver/events").json()
    assert {event["job_id"] for event in events} == set(ids)
    assert all(event["verified"] for event in events)
    assert store.dispatch.inspect().counts["maybe_paid_twice"] == 0
    assert old.end() == 0
