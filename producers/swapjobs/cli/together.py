"""Runs the processes of one command side by side, as a supervisor would: they start, stop and are alive together."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from swapjobs import tether

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from types import FrameType

_FRESH_S: Final = 12.0  # each part is touched every 5 s


def run_together(commands: Sequence[Sequence[str]], *, alive_file: str = "", health_port: int = 0) -> int:
    """Run the commands until all end; when one ends the others are told to stop. Return the first failure, or 0.

    SIGTERM, SIGINT and a closed terminal are passed on as SIGTERM, SIGQUIT as itself; the children are in their own
    sessions, so that a terminal's Ctrl-C reaches each only once, and end with this process if that is killed. Each
    touches an alive file of its own, and `alive_file` is touched while all of these are fresh. The first listens on
    `health_port`, unless that is 0, the next one on the port after it.
    """
    running: dict[int, subprocess.Popen[bytes]] = {}
    ended: set[int] = set()
    stopping = False

    def tell(child: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
        ended.add(child.pid)
        child.send_signal(number)

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        for child in running.values():
            tell(child, signal.SIGQUIT if number == signal.SIGQUIT else signal.SIGTERM)

    # Before there is a child: a signal that came in between would leave it behind.
    for item in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(item, stop)
    tether.on_hangup(stop)
    tether.hold()
    for command, environment in zip(commands, _environments(alive_file, health_port, len(commands)), strict=True):
        child = tether.start(command, start_new_session=True, env=environment)
        running[child.pid] = child
        if stopping:
            tell(child)
    status = 0
    while running:
        pid, result = os.wait()
        if pid in running:
            child = running.pop(pid)
            child.returncode = os.waitstatus_to_exitcode(result)
            status = status or child.returncode
            # A second SIGTERM would cut running jobs off: each is told only once of another's end.
            for other in [other for other in running.values() if other.pid not in ended]:
                tell(other)
    return abs(status)


def _environments(alive_file: str, health_port: int, children: int) -> list[dict[str, str]]:
    """Return each child's environment, with file and port of its own where wanted, and begin to vouch for all."""
    result = [dict(os.environ) for _ in range(children)]  # noqa: TID251 - for children
    if health_port:
        for number, environment in enumerate(result):
            environment["SWAPJOBS_HEALTH_PORT"] = str(health_port + number)
    if alive_file:
        parts = [Path(f"{alive_file}.{number}") for number in range(children)]
        threading.Thread(target=_vouch, args=(Path(alive_file), parts), daemon=True).start()
        for environment, part in zip(result, parts, strict=True):
            environment["SWAPJOBS_ALIVE_FILE"] = str(part)
    return result


def _vouch(alive_file: Path, parts: Sequence[Path]) -> None:
    """Touch `alive_file` as long as every part has been touched of late: one frozen process is enough to let it age."""
    while True:
        with contextlib.suppress(OSError):
            if min(part.stat().st_mtime for part in parts) > time.time() - _FRESH_S:
                alive_file.touch()
        time.sleep(1)
