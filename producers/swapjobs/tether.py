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
    from collections.abc import Iterator, Sequence

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
    with _pipe() as (reading, writing):
        environment = {**(os.environ if env is None else env), _NAME: str(reading)}  # noqa: TID251 - for a child
        child = subprocess.Popen(command, env=environment, pass_fds=(reading,), **options)  # noqa: S603 - our own
        weakref.finalize(child, os.close, writing)
        return child


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
    with _pipe() as (reading, writing):
        script = f"read -r _; kill -TERM {pid} 2>/dev/null"
        child = subprocess.Popen(["/bin/sh", "-c", script], stdin=reading, start_new_session=True)  # noqa: S603 - our own
        weakref.finalize(child, os.close, writing)
        return child


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """Give both ends: the child's is closed here at the end of the block, ours only if no child came of it."""
    reading, writing = os.pipe()
    try:
        yield reading, writing
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)


def on_hangup(handler: Any) -> None:
    """Let a closed terminal (SIGHUP) end this process like SIGTERM, unless it was told to ignore that (nohup)."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, handler)
