"""Ties a child process to its parent: the child ends when the parent does, also when that is killed.

The child has the reading end of a pipe whose other end only the parent holds: at its end of file the parent is gone.
That works wherever there are pipes, holds through an exec, and for a child that any thread made, which Linux'
PR_SET_PDEATHSIG does not.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# In the child's environment: the number of its end of the pipe. No setting, so not of their prefix.
_NAME: Final = "_SWAPJOBS_TETHER"
_PATIENCE_S: Final = 4.0  # from "end in order" to "end now"
_LAST_S: Final = 5.0  # from there until it ends whatever it does


def start(command: Sequence[str], *, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
    """Start a child that calls `hold`, and that ends within ten seconds of this process.

    Args:
        command: The child's command line.
        env: Its environment; None: this process's.
        options: As `subprocess.Popen` takes them.
    """
    with _pipe() as (reading, tie):
        environment = {**(os.environ if env is None else env), _NAME: str(reading)}  # noqa: TID251 - for a child
        return tie(subprocess.Popen(command, env=environment, pass_fds=(reading,), **options))  # noqa: S603


def hold() -> None:
    """End this process when the one is gone that `start`ed it: as at SIGTERM, then SIGQUIT, then at once.

    Without effect in a process that was started otherwise.
    """
    number = os.environ.pop(_NAME, "")  # noqa: TID251 - no setting; children of its own are not tied by it
    if number.isdecimal():
        with contextlib.suppress(OSError):
            os.set_inheritable(int(number), False)
            threading.Thread(target=_wait, args=(int(number),), name="tether", daemon=True).start()


def _wait(reading: int) -> None:
    with contextlib.suppress(OSError):
        os.read(reading, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE_S)
    os.kill(os.getpid(), signal.SIGQUIT)
    time.sleep(_LAST_S)
    os._exit(1)


def watch(pid: int) -> subprocess.Popen[bytes]:
    """Start a small process that sends SIGTERM to a child that can't `hold`; kill it before the child is stopped."""
    with _pipe() as (reading, tie):
        script = f"read -r _; kill -TERM {pid} 2>/dev/null"
        return tie(subprocess.Popen(["/bin/sh", "-c", script], stdin=reading, start_new_session=True))  # noqa: S603


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[int, Callable[[subprocess.Popen[bytes]], subprocess.Popen[bytes]]]]:
    """Give the end for the child, and what keeps the other one open as long as the child is known."""
    reading, writing = os.pipe()
    tied = False

    def tie(child: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        nonlocal tied
        tied = True
        weakref.finalize(child, os.close, writing)
        return child

    try:
        yield reading, tie
    finally:
        os.close(reading)
        if not tied:
            os.close(writing)


def on_hangup(handler: Any) -> None:
    """Let a closed terminal (SIGHUP) end this process like SIGTERM, unless it was told to ignore that (nohup)."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, handler)
