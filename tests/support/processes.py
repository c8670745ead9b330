"""Real worker processes, the sandbox over HTTP, a webhook receiver: what a user would have."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest

from support.builders import wait_until
from support.fork_server import programs
from swapsandbox.processes.server_process import ServerProcess, receiver, sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from swapjobs import SwapClient
    from swapsandbox.processes.redis_server import EmbeddedRedis

SECRET = "whsec_" + base64.b64encode(b"a secret of the tests, 32 bytes!").decode()

ACME_KEY, ZETA_KEY = "the-key-of-acme-in-tests", "the-key-of-zeta-in-tests"


class Program:
    """A child process of a test: its output is read all the time, and it is gone at the end of the block."""

    def __init__(self, *command: str, cwd: Path, env: dict[str, str]) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SWAPJOBS_")}  # noqa: TID251 - for a child process
        reading, writing = os.pipe()
        self._stream = os.fdopen(reading, encoding="utf-8", errors="replace")
        self.process = programs().start(
            [*command], cwd=cwd, env={**inherited, "PYTHONUNBUFFERED": "1", **env}, stdout=writing, stderr=writing
        )
        os.close(writing)
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with self._stream as stream:
            for line in stream:
                self._lines.append(line)

    @property
    def lines(self) -> list[str]:
        """What it has said until now; of a program that has ended all of it, also what still lay in the pipe."""
        if self.process.poll() is not None:
            self._reader.join(5)
        return self._lines

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def wait_for(self, text: str, *, count: int = 1, deadline_s: float = 30) -> Self:
        """Return when the output holds `text`."""

        def output() -> bool:
            assert self.process.poll() is None or self.output.count(text) >= count, self.output[-4000:]
            return self.output.count(text) >= count

        wait_until(output, deadline_s=deadline_s, what=f"{text!r} in the output")
        return self

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM, *, deadline_s: float = 30) -> int:
        """Send a signal, wait, and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(deadline_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self._reader.join(5)


class Sandbox:
    """The vendor of a test, and what it saw."""

    def __init__(self, server: ServerProcess) -> None:
        self.url = server.url
        self._http = httpx.Client(base_url=server.url, trust_env=False, timeout=10)

    def faults(self, *faults: str) -> None:
        self._http.put("/_sandbox/faults", json=list(faults)).raise_for_status()

    def get(self, path: str) -> Any:
        return self._http.get(f"/_sandbox/{path}").raise_for_status().json()

    def reset(self) -> None:
        self._http.post("/_sandbox/reset").raise_for_status()
        self.faults()

    def close(self) -> None:
        self._http.close()


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[ServerProcess]:
    with sandbox("--no-swap") as server:
        yield server


@pytest.fixture
def vendor(sandbox_server: ServerProcess) -> Iterator[Sandbox]:
    """The sandbox without faults and with empty books; it swaps nothing, so it answers at once."""
    vendor = Sandbox(sandbox_server)
    vendor.reset()
    yield vendor
    vendor.close()


@pytest.fixture(scope="session")
def receiver_server() -> Iterator[ServerProcess]:
    with receiver("--secret", SECRET) as server:
        yield server


@pytest.fixture
def hooks(receiver_server: ServerProcess) -> Iterator[httpx.Client]:
    """The webhook receiver; it has seen nothing yet."""
    with httpx.Client(base_url=receiver_server.url, trust_env=False, timeout=10) as client:
        client.post("/_receiver/reset").raise_for_status()
        yield client


@pytest.fixture
def environment(redis_url: str, vendor: Sandbox) -> dict[str, str]:
    """The settings of every program of the test."""
    return {
        "SWAPJOBS_REDIS_URL": redis_url,
        "SWAPJOBS_API_URL": vendor.url,
        "SWAPJOBS_API_KEY_ID": "the-key-id-of-the-tests",
        "SWAPJOBS_API_KEY_SECRET": "the-key-secret-of-the-tests",
        "SWAPJOBS_RATE_LIMIT": "200/s",
        "SWAPJOBS_CONCURRENCY": "8",
        "SWAPJOBS_CALL_TIMEOUT_S": "3",
        "SWAPJOBS_RETRY_BASE_S": "0.2",
        "SWAPJOBS_RETRY_CAP_S": "1",
        "SWAPJOBS_POLL_BASE_S": "0.3",
        "SWAPJOBS_LEASE_S": "3",
        "SWAPJOBS_BREAKER_PROBE_S": "1",
        "SWAPJOBS_BREAKER_RAMP_S": "1",
        "SWAPJOBS_LOG_FORMAT": "json",
        "SWAPJOBS_WEBHOOK_SECRETS": SECRET,
        "SWAPJOBS_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
    }


@pytest.fixture
def program(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Start `python -m ...` with the settings of the test, and end it with the test."""
    started: list[Program] = []

    def start(*command: str, **settings: str) -> Program:
        program = Program(*command, cwd=tmp_path, env={**environment, **settings})
        started.append(program.__enter__())
        return program

    yield start
    for item in started:  # all at once: it takes a second or so
        if item.process.poll() is None:
            item.process.terminate()
    for item in reversed(started):
        item.__exit__()


@pytest.fixture
def worker(program: Callable[..., Program]) -> Program:
    """One Celery worker for both queues."""
    return program("celery", "-A", "swapworker.app", "worker", "-l", "info").wait_for("ready.")


class GatewayProcess:
    """A gateway of a test, and a client for it."""

    def __init__(self, program: Program, url: str, key: str) -> None:
        self.program, self.url, self.key = program, url, key
        self.http = httpx.Client(base_url=url, headers=self.headers(), trust_env=False, timeout=70)

    def headers(self, key: str | None = None) -> dict[str, str]:
        key = self.key if key is None else key
        return {"Authorization": f"Bearer {key}"} if key else {}

    def logged(self) -> list[dict[str, Any]]:
        """What the access log has so far."""
        return [json.loads(line) for line in self.program.lines if '"event":"request"' in line]


def _gateway_of(program: Program, settings: Mapping[str, str]) -> GatewayProcess:
    url = program.wait_for("gateway ready on ").output.split("gateway ready on ")[1].split()[0]
    key = settings.get("SWAPJOBS_GATEWAY_KEYS", "").partition(",")[0].partition(":")[2]
    return GatewayProcess(program, url, key)


@pytest.fixture
def start_gateway(program: Callable[..., Program]) -> Iterator[Callable[..., GatewayProcess]]:
    """Start `swapjobs gateway` on a free port with settings of its own; the first key in them is the client's."""
    started: list[GatewayProcess] = []

    def start(*arguments: str, **settings: str) -> GatewayProcess:
        started.append(_gateway_of(program("swapjobs", "gateway", "--port", "0", *arguments, **settings), settings))
        return started[-1]

    yield start
    for item in started:
        item.http.close()


@pytest.fixture
def gateway(start_gateway: Callable[..., GatewayProcess]) -> GatewayProcess:
    """The HTTP gateway with a key for each of two tenants: `gateway.http` is the client of `acme`."""
    return start_gateway(SWAPJOBS_GATEWAY_KEYS=f"acme:{ACME_KEY},zeta:{ZETA_KEY}", SWAPJOBS_GATEWAY_KEY_RATE="10000/s")


@pytest.fixture(scope="session")
def common_gateways(
    redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., GatewayProcess]]:
    """Give a gateway with these settings that tests share, for it keeps nothing; a test that ends it has its own."""
    running: dict[str, GatewayProcess] = {}
    with ExitStack() as stack:

        def common(**settings: str) -> GatewayProcess:
            name = json.dumps(settings, sort_keys=True)
            if name not in running:
                environment = {
                    "SWAPJOBS_REDIS_URL": redis_server.url,
                    "SWAPJOBS_GATEWAY_KEY_RATE": "10000/s",
                    "SWAPJOBS_LOG_FORMAT": "json",
                    **settings,
                }
                command = ("swapjobs", "gateway", "--port", "0")
                program = Program(*command, cwd=tmp_path_factory.mktemp("gateway"), env=environment)
                running[name] = _gateway_of(stack.enter_context(program), settings)
                stack.callback(running[name].http.close)
            return running[name]

        yield common


@pytest.fixture
def common_gateway(common_gateways: Callable[..., GatewayProcess], redis_url: str) -> GatewayProcess:  # noqa: ARG001 - emptied for each test
    """The same as `gateway`, shared by tests that neither end it nor read its log."""
    return common_gateways(SWAPJOBS_GATEWAY_KEYS=f"acme:{ACME_KEY},zeta:{ZETA_KEY}")


@pytest.fixture
def swapjobs_cli(program: Callable[..., Program]) -> Callable[..., tuple[int, str]]:
    """Run the command line to its end; return exit status and output."""

    def run(*arguments: str, **settings: str) -> tuple[int, str]:
        started = program("swapjobs", *arguments, **settings)
        status = started.process.wait(60)
        started.__exit__()
        return status, started.output

    return run


def finished(client: SwapClient, job_id: str, *, hook: bool = False) -> Any:
    """Return the job at its end, and with `hook` once its webhook is delivered."""
    job = client.wait(job_id, 30)
    if hook:
        wait_until(lambda: (result := client.get(job_id).webhook) and result.state != "pending")
        job = client.get(job_id)
    return job
