"""The kit's servers as child processes, for tests and the demo.

Example:
    >>> with sandbox("--no-swap", "--fault", "http_503:count=1") as server:
    ...     httpx.get(f"{server.url}/_sandbox/stats")
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import IO, Final

from swapjobs import tether
from swapsandbox.demo.interrupts import uninterrupted
from swapsandbox.processes.redis_server import free_port
from swapsandbox.processes.scoped import Scoped

_HOST: Final = "127.0.0.1"
_POLL_S: Final = 0.02
_SHOWN_OUTPUT: Final = 4000


class ServerFailed(RuntimeError):
    """A server ended or stayed silent instead of becoming healthy; the text ends with what it printed."""


class ServerProcess(Scoped):
    """One of the kit's servers in a process of its own on a loopback port; a context manager.

    Args:
        module: What `python -m` runs; it must take `--port` and answer `GET /healthz`.
        arguments: The rest of its command line.
        port: Where it listens; by default a free port is looked for. It stays the same over a restart.
        deadline_s: How long it may take to become healthy.
        grace_s: How long it may take to end after SIGTERM; then it is killed.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        port: int | None = None,
        deadline_s: float = 30.0,
        grace_s: float = 5.0,
    ) -> None:
        self.port = port or free_port()
        self._command = [sys.executable, "-m", module, "--port", str(self.port), *arguments]
        self._deadline_s = deadline_s
        self._grace_s = grace_s
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    @property
    def url(self) -> str:
        """The server's address without a slash at the end."""
        return f"http://{_HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the server and return when it is healthy.

        Raises:
            ServerFailed: it ended, or was not healthy before the deadline.
        """
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        # A file and not a pipe: nobody reads it while the server runs, and a full pipe would block it.
        with uninterrupted():
            self._process = tether.start(self._command, stdout=self._output, stderr=subprocess.STDOUT)
        until = time.monotonic() + self._deadline_s
        while not self._is_healthy():
            if self._process.poll() is not None:
                self._fail(f"ended with status {self._process.returncode}")
            if time.monotonic() > until:
                self._fail(f"was not healthy within {self._deadline_s:g} s")
            time.sleep(_POLL_S)

    def stop(self) -> int | None:
        """End the server and return its exit status; None if it was not running."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.terminate()
        try:
            process.wait(self._grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._output is not None:
            self._output.close()
        return process.returncode

    def output(self) -> str:
        """Return the end of what the server has printed so far, both streams together."""
        if self._output is None or self._output.closed:
            return ""
        # Not seek and read: the server writes through the same file position.
        size = os.fstat(self._output.fileno()).st_size
        start = max(0, size - _SHOWN_OUTPUT)
        return os.pread(self._output.fileno(), _SHOWN_OUTPUT, start).decode(errors="replace")

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection(_HOST, self.port, timeout=2)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/healthz")
                health = json.load(connection.getresponse())
            except (OSError, http.client.HTTPException, ValueError):
                return False
        # Something else may have taken the port since it was found free.
        return bool(health.get("pid") == self.pid)

    def _fail(self, what: str) -> None:
        printed = self.output()
        self.stop()
        raise ServerFailed(f"{' '.join(self._command[1:3])} {what}:\n{printed}")


def sandbox(*arguments: str, port: int | None = None) -> ServerProcess:
    """Return a sandbox vendor, not yet started; the arguments are those of `python -m swapsandbox.server`."""
    return ServerProcess("swapsandbox.server", *arguments, port=port)


def receiver(*arguments: str, port: int | None = None) -> ServerProcess:
    """Return a webhook receiver, not yet started; the arguments are those of `python -m swapsandbox.receiver`."""
    return ServerProcess("swapsandbox.receiver", *arguments, port=port)
