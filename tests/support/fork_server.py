"""Starts programs as `python -m` does, but from a process that has imported the libraries already.

Most of the time of a program that a test starts goes by until its libraries are there. Here one process imports them
and forks for each program, which then imports the project's own code itself, reads its own settings, and ends as the
interpreter ends any program, but that it leaves the libraries as they are. That it is the same as with `python -m` is
tested in tests/unit/support; whatever has to be seen of the interpreter itself, as with the console script, the wheel
and the demo, has a process of its own.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, Final

# None of ours: no test may find code of the project as another process has left it.
LIBRARIES: Final = (
    "celery.bin.celery",
    "celery.app.trace",
    "celery.concurrency.thread",
    "celery.worker.consumer",
    "celery.worker.worker",
    "celery.backends.redis",
    "kombu.transport.redis",
    "redis.cluster",
    "redis.sentinel",
    "httpx",
    "pydantic",
    "pydantic_settings",
    "fastapi.applications",
    "starlette.middleware.cors",
    "anyio.from_thread",
    "anyio._backends._asyncio",
    "pydantic.v1",
    "jinja2",
    "prometheus_client",
    "uvicorn.main",
    "uvicorn.lifespan.on",
    "uvicorn.loops.asyncio",
    "uvicorn.protocols.http.httptools_impl",
    "typer",
    "typer.rich_utils",
    "rich.markdown",
)
_INHERITED: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)  # ignored here, ignored there
_LARGEST: Final = 1 << 18  # bytes of a request: command, folder and environment


class ForkedProgram:
    """A program under way; what it offers is what `subprocess.Popen` offers under the same names."""

    def __init__(self, reply: socket.socket) -> None:
        self._reply = reply
        self.pid = int(reply.recv(32))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self._status(0)

    def wait(self, timeout: float | None = None) -> int:
        status = self._status(timeout)
        if status is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended just now
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _status(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._reply], [], [], timeout)[0]:
            self.returncode = int(self._reply.recv(32) or -signal.SIGKILL)
            self._reply.close()
        return self.returncode


class ForkServer:
    """The process that forks; it ends with this one."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # noqa: TID251 - for a child process
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-u", __file__, str(theirs.fileno())],
                env=environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def start(
        self,
        command: list[str],
        *,
        cwd: Path,
        env: dict[str, str],
        stdin: IO[Any] | int = -1,
        stdout: IO[Any] | int,
        stderr: IO[Any] | int,
    ) -> ForkedProgram:
        """Start `python -m command` in a session of its own.

        Args:
            command: The module's name, then its arguments.
            cwd: Where.
            env: All of its environment.
            stdin: What it reads; nothing by default.
            stdout: Where it writes.
            stderr: Where it writes what isn't its answer.
        """
        with ExitStack() as stack:
            if stdin == -1:
                stdin = stack.enter_context(Path(os.devnull).open("rb"))
            mine, reply = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            stack.callback(reply.close)
            streams = [stream if isinstance(stream, int) else stream.fileno() for stream in (stdin, stdout, stderr)]
            ignored = [number for number in _INHERITED if signal.getsignal(number) is signal.SIG_IGN]
            request = json.dumps([command, os.fspath(cwd), env, ignored]).encode()
            socket.send_fds(self._control, [request], [*streams, reply.fileno()])
        return ForkedProgram(mine)

    def close(self) -> None:
        self._control.close()
        self._process.wait(10)


@cache
def programs() -> ForkServer:
    """Give the one of this process; it is made when the first program is started."""
    server = ForkServer()
    atexit.register(server.close)
    return server


def run(command: list[str], *, cwd: Path, env: dict[str, str], stdin: bytes = b"") -> tuple[int, bytes, bytes]:
    """Run `python -m command` to its end; return exit status, standard output and standard error."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        given.write(stdin)
        given.seek(0)
        program = programs().start(command, cwd=cwd, env=env, stdin=given, stdout=output, stderr=errors)
        try:
            status = program.wait(60)
        finally:
            program.kill()
            program.wait()
        output.seek(0)
        errors.seek(0)
        return status, output.read(), errors.read()


def serve(control: socket.socket) -> list[str]:
    """Fork for each request until nobody asks any more; returns in each child, with its command."""
    running: dict[int, socket.socket] = {}
    ended, wake = socket.socketpair()
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready = select.select([control, ended], [], [])[0]
        if ended in ready:
            ended.recv(4096)
            _report_ends(running)
        if control not in ready:
            continue
        request, descriptors, _, _ = socket.recv_fds(control, _LARGEST, 4)
        if not request:
            sys.exit()
        *streams, number = descriptors
        reply = socket.socket(fileno=number)
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for own in (control, ended, wake, reply, *running.values()):
                own.close()
            return _become(request, streams)
        running[pid] = reply
        reply.send(str(pid).encode())
        for stream in streams:
            os.close(stream)


def _report_ends(running: dict[int, socket.socket]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with running.pop(pid) as reply, suppress(BrokenPipeError):  # whoever started it doesn't want to know
            reply.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(request: bytes, streams: list[int]) -> list[str]:
    """Make this process the one that was asked for; return its command."""
    command: list[str]
    command, cwd, env, ignored = json.loads(request)
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    unbuffered = bool(env.get("PYTHONUNBUFFERED"))
    sys.stdin = _stream("stdin", unbuffered=False)
    sys.stdout = _stream("stdout", unbuffered=unbuffered)
    sys.stderr = _stream("stderr", unbuffered=unbuffered)
    os.environ.clear()  # noqa: TID251 - it is another program's from here on
    os.environ.update(env)  # noqa: TID251 - see above
    os.chdir(cwd)
    sys.orig_argv[:] = [sys.executable, "-m", *command]
    sys.path[:1] = [cwd, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    return command


class _End:
    """The end of a program, without taking the libraries apart: for that each of their pages would be copied first.

    It comes after all that the interpreter does at an end for the program: its threads are waited for, its exit
    functions called. Then the program's garbage is collected and its own modules are emptied, as the interpreter does.
    Where a thread is left, or the program ended with a fault, the interpreter goes on by itself.
    """

    def __init__(self) -> None:
        self._status: int | None = None
        self._libraries: set[str] = set()
        atexit.register(self._leave)  # the first to be registered is the last to be called

    def run(self, command: list[str]) -> None:
        """Run the program, which may end by SystemExit."""
        self._libraries = set(sys.modules)
        sys.argv[:] = command
        try:
            runpy.run_module(command[0], run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            code = ended.code or 0
            self._status = code & 0xFF if isinstance(code, int) else 1
            raise
        self._status = 0

    def _leave(self) -> None:
        if self._status is None or threading.active_count() > 1:
            return
        gc.collect()
        for name in sys.modules.keys() - self._libraries:
            names = vars(sys.modules[name])
            names.update(dict.fromkeys(names.keys() - {"__builtins__"}))
        gc.collect()
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except (OSError, ValueError):
            return  # the interpreter says so
        os._exit(self._status)


def _stream(name: str, *, unbuffered: bool) -> io.TextIOWrapper:
    """Return a standard stream, as the interpreter opens it at its start; the one of before knew another file."""
    before = getattr(sys, name)
    mode = "rb" if name == "stdin" else "wb"
    stream = io.TextIOWrapper(
        open(before.fileno(), mode, buffering=0 if unbuffered else -1, closefd=False),  # noqa: SIM115 - for good
        before.encoding,
        before.errors,
        newline=None if name == "stdin" else "\n",
        line_buffering=name == "stderr",
        write_through=unbuffered,
    )
    setattr(sys, f"__{name}__", stream)
    return stream


if __name__ == "__main__":
    end = _End()
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()  # what all have in common is not copied because the collector looks at it
    end.run(serve(socket.socket(fileno=int(sys.argv[1]))))
