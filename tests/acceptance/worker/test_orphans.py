"""Nothing works on unseen: what `swapjobs worker`, `demo` and `sandbox` start ends with them, whatever ends those."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from support.builders import make_request, wait_until
from swapjobs import JobState, SwapClient
from swapjobs.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.processes import Program, Sandbox
    from swapjobs.store.store import Store

SETTINGS = {"SWAPJOBS_STOP_GRACE_S": "60", "SWAPJOBS_CALL_TIMEOUT_S": "30", "SWAPJOBS_LEASE_S": "60"}


@pytest.fixture(autouse=True)
def hangup_is_heard() -> Iterator[None]:
    """The tests themselves may run under nohup, which children would inherit."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def children_of(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def all_gone(processes: list[psutil.Process]) -> bool:
    return not [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_workers_whose_parent_is_killed_end_and_hand_back(
    program: Callable[..., Program], client: SwapClient, vendor: Sandbox, store: Store
) -> None:
    """Within ten seconds, though calls are under way that last longer; the next worker asks what became of them."""
    vendor.faults("latency:ms=20000")
    worker = program("swapjobs", "worker", **SETTINGS).wait_for("ready.", count=2)
    left_behind = children_of(worker.process.pid)
    assert len(left_behind) == 2
    ids = [str(client.submit(make_request()).id) for _ in range(3)]
    wait_until(lambda: vendor.get("stats")["in_flight"] == 3)
    worker.send(signal.SIGKILL)
    wait_until(lambda: all_gone(left_behind), deadline_s=10, what="both workers have ended")
    jobs = [client.get(id_) for id_ in ids]
    assert [(job.state, job.reason, job.failed_attempts) for job in jobs] == [(JobState.WAITING, "retry", 0)] * 3
    assert not [member for member in store.redis.zrange(keys.schedule(), 0, -1) if str(member).startswith("lease:")]


class Terminal:
    """`swapjobs` in a terminal of its own, as a person has it."""

    def __init__(self, *arguments: str, cwd: Path, env: dict[str, str]) -> None:
        pid, self.side = pty.fork()
        if pid == 0:  # the child, whose controlling terminal it is
            os.chdir(cwd)
            os.execve(sys.executable, [sys.executable, "-m", "swapjobs", *arguments], {**os.environ, **env})  # noqa: TID251 - for a child
        self.pid, self.output = pid, b""

    def wait_for(self, text: bytes, count: int = 1) -> None:
        while self.output.count(text) < count:
            self.output += os.read(self.side, 65_536)  # ends with OSError if the program does

    def close(self) -> None:
        os.close(self.side)

    def kill(self) -> None:
        """Leave nothing behind, whatever the test found."""
        for process in [*children_of(self.pid), psutil.Process(self.pid)]:
            process.kill()

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.mark.parametrize(("queues", "workers"), [("swaps,webhooks", 2), ("swaps", 1)])
def test_a_closed_terminal_ends_workers_like_sigterm(redis_url: str, tmp_path: Path, queues: str, workers: int) -> None:
    environment = {"SWAPJOBS_REDIS_URL": redis_url, **SETTINGS}
    terminal = Terminal("worker", "--queues", queues, cwd=tmp_path, env=environment)
    terminal.wait_for(b"ready.", workers)
    left_behind = [psutil.Process(terminal.pid), *children_of(terminal.pid)]
    terminal.close()
    try:
        wait_until(lambda: all_gone(left_behind), deadline_s=10, what="all have ended")
    except AssertionError:
        terminal.kill()
        raise
    assert terminal.wait() == 0


def test_under_nohup_a_closed_terminal_ends_nothing(program: Callable[..., Program]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the child has it from here, as from nohup
    try:
        worker = program("swapjobs", "worker", **SETTINGS).wait_for("ready.", count=2)
    finally:
        signal.signal(signal.SIGHUP, before)
    for process in (*children_of(worker.process.pid), psutil.Process(worker.process.pid)):
        process.send_signal(signal.SIGHUP)
    ignored = [int(line.split()[1], 16) for line in _status(worker.process.pid) if line.startswith("SigIgn")]
    assert ignored[0] & 1 << (signal.SIGHUP - 1)
    assert worker.end(signal.SIGTERM) == 0
    assert worker.output.count("warm shutdown") == 2


def _status(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_a_demo_that_is_killed_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    """Its Redis, vendor, receiver and workers, and their processes, were started by one another."""
    output = tmp_path / "output"
    with subprocess.Popen(
        [sys.executable, "-m", "swapjobs", "demo", "--output", str(output)], cwd=tmp_path, stdout=subprocess.DEVNULL
    ) as demo:
        try:
            wait_until(lambda: len(children_of(demo.pid)) >= 6, deadline_s=60, what="it has started its children")
            left_behind = children_of(demo.pid)
        finally:
            demo.send_signal(number)
        demo.wait(30)
        wait_until(lambda: all_gone(left_behind), deadline_s=10, what="its children have ended")


def test_a_child_that_knows_nothing_of_it_is_watched(tmp_path: Path) -> None:
    """Also where many files are open: shells know no descriptor past 9 by its number."""
    script = (
        "import os, subprocess; from swapjobs import tether\n"
        "files = [os.open(os.devnull, os.O_RDONLY) for _ in range(20)]\n"
        "child = subprocess.Popen(['sleep', '60']); watch = tether.watch(child.pid)\n"
        "print(child.pid, watch.pid, flush=True); input(); os._exit(0)"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child, watch = (psutil.Process(int(pid)) for pid in parent.stdout.readline().split())
        assert not all_gone([child])
        assert not all_gone([watch])
        parent.kill()
    wait_until(lambda: all_gone([child, watch]), deadline_s=10, what="both have ended")
