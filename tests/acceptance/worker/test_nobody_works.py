"""Jobs wait and nobody works: killed, or frozen. Whoever looks is told, and what to do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from support.builders import make_request, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.processes import Program
    from swapjobs import SwapClient
    from swapjobs.store.store import Store


@pytest.fixture
def run(redis_url: str, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SWAPJOBS_")}  # noqa: TID251 - for a child

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "swapjobs", *arguments],
            env={**inherited, "SWAPJOBS_REDIS_URL": redis_url, "COLUMNS": "200"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def forget_signs_of_life(store: Store) -> None:
    """Let 21 s pass, as far as the fleet's last words are concerned."""
    for name, text in store.redis.hgetall("swapjobs:workers").items():
        output = json.loads(text)
        store.redis.hset("swapjobs:workers", name, json.dumps({**output, "at": output["at"] - 21_000}))


def seen(run: Callable[..., subprocess.CompletedProcess[str]]) -> str:
    return run("metrics").stdout


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_is_gone_or_frozen_is_missed(
    program: Callable[..., Program],
    client: SwapClient,
    store: Store,
    run: Callable[..., subprocess.CompletedProcess[str]],
    number: signal.Signals,
) -> None:
    worker = program("swapjobs", "worker").wait_for("ready.", count=2)
    swaps = next(item for item in psutil.Process(worker.process.pid).children() if "swaps" in item.cmdline())
    wait_until(lambda: client.operator.status().workers == {"swaps": 1, "webhooks": 1}, what="both have told")
    assert 'swapjobs_workers{kind="swaps"} 1.0' in seen(run)
    if number == signal.SIGSTOP:
        swaps.send_signal(number)
    else:
        worker.send(number)
        wait_until(lambda: not swaps.is_running() or swaps.status() == psutil.STATUS_ZOMBIE, what="it has ended")
    try:
        forget_signs_of_life(store)
        for _ in range(3):
            client.submit(make_request())
        assert client.operator.status().workers["swaps"] == 0
        assert client.operator.status().unattended == ["swaps"]
        assert 'swapjobs_workers{kind="swaps"} 0.0' in seen(run)
        doctor = run("doctor")
        assert doctor.returncode == 1
        assert "no worker for swaps" in doctor.stdout
        assert "swapjobs worker" in doctor.stdout
        assert "no worker for swaps" in run("status").stdout
        client.operator.pause()
        assert "no worker" not in run("status").stdout
        client.operator.resume()
    finally:
        if number == signal.SIGSTOP:
            swaps.send_signal(signal.SIGCONT)


def test_a_waiting_command_says_that_nobody_works(
    client: SwapClient, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    job = client.submit(make_request())
    waited = run("wait", str(job.id), "--timeout", "6")
    assert waited.returncode == 5
    assert waited.stderr.count("no worker has been seen for 20 s") == 1
    assert "after 6 s" in waited.stderr


def test_a_fresh_webhook_process_does_not_vouch_for_a_frozen_swap_process(
    program: Callable[..., Program], tmp_path: Path
) -> None:
    """In one container with one health check: the file that it looks at grows old."""
    file = tmp_path / "alive"
    worker = program("swapjobs", "worker", SWAPJOBS_ALIVE_FILE=str(file)).wait_for("ready.", count=2)
    wait_until(file.exists, what="the file is there")
    swaps = next(item for item in psutil.Process(worker.process.pid).children() if "swaps" in item.cmdline())
    swaps.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: time.time() - file.stat().st_mtime > 6, deadline_s=30, what="the file grows old")
        parts = [tmp_path / f"alive.{number}" for number in (0, 1)]
        assert max(part.stat().st_mtime for part in parts) > time.time() - 6
    finally:
        swaps.send_signal(signal.SIGCONT)
    wait_until(lambda: time.time() - file.stat().st_mtime < 3, what="it is touched again")
    assert worker.end() == 0
