"""A gateway to be badly treated: raw sockets to it, and what must hold of it whatever was done."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import httpx
import psutil
import redis

from support.builders import wait_until
from support.processes import ACME_KEY, SECRET, ZETA_KEY, Program
from swapjobs import SwapClient
from swapjobs.settings import CoreSettings
from swapjobs.store import keys
from swapsandbox.processes.redis_server import EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PICTURES: Final = {"source_url": "https://pictures.example/a.jpg", "target_url": "https://pictures.example/b.jpg"}
GOOD: Final = json.dumps(PICTURES).encode()
_THREADS: Final = 40 + 16 + 8  # for requests, for uploads, and others
_BAD_SIGNS: Final = ("Traceback", '"event": "error"', "never retrieved", "Exception", '"status": 5')


class Rude:
    """A connection whose owner does what it likes."""

    def __init__(self, port: int, *, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(20)
        self.socket.connect(("127.0.0.1", port))

    def send(self, data: bytes) -> Self:
        """Send it all, or as much as is taken."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)
        return self

    def read(self, until: bytes | None = None) -> bytes:
        """Return what comes, to the end of the connection or up to `until`."""
        result = b""
        with contextlib.suppress(ConnectionError):
            while (until is None or until not in result) and (piece := self.socket.recv(65536)):
                result += piece
        return result

    def reset(self) -> None:
        """Go away without a word."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def half_close(self) -> Self:
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


@dataclass
class Target:
    """The gateway, its Redis, and a well-behaved client of it."""

    program: Program
    port: int
    redis: redis.Redis
    jobs: SwapClient
    http: httpx.Client
    process: psutil.Process

    def rude(self, data: bytes = b"", *, receive_buffer: int = 0) -> Rude:
        return Rude(self.port, receive_buffer=receive_buffer).send(data)

    def connections(self) -> int:
        """How many connections of clients are open, as the system sees it."""
        result = [x for x in self.process.net_connections() if x.laddr.port == self.port and x.status != "LISTEN"]
        return len(result)

    def watched(self) -> list[str]:
        """The jobs that the gateway waits for."""
        return [str(pubsub_channel) for pubsub_channel in self.redis.pubsub_channels(f"{keys.PREFIX}*")]

    def memory(self) -> int:
        """Bytes in memory."""
        return int(self.process.memory_info().rss)

    def accepted(self, **filters: Any) -> dict[str, str]:
        """All of acme's jobs: business id by id. Reads each record, so a half one shows."""
        result: dict[str, str] = {}
        cursor: str | None = None
        while True:
            page = self.jobs.list(tenant="acme", limit=500, cursor=cursor, **filters)
            result |= {job.id: job.business_task_id for job in page.jobs}
            cursor = page.next_cursor
            if cursor is None:
                return result

    def check(self) -> None:
        """It still answers, has kept nothing of those who went away, and found no fault with itself."""
        assert self.http.get("/v1/jobs").status_code == 200
        self.http.close()  # its connections; it makes new ones
        self.http = _client(self.port)
        wait_until(lambda: self.connections() == 0, deadline_s=5, what="all connections of clients are gone")
        wait_until(lambda: not self.watched(), deadline_s=5, what="nobody is waited for")
        wait_until(
            lambda: self.process.num_threads() <= _THREADS, what="no more threads than there are places for them"
        )
        signs = [line for line in self.program.lines if any(sign in line for sign in _BAD_SIGNS)]
        assert not signs, "".join(signs)[-4000:]


def head(method: str, path: str, *fields: str, key: str | None = ACME_KEY) -> bytes:
    """Return the head of a request, without the empty line."""
    access = [f"Authorization: Bearer {key}"] if key else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: gateway.example", *access, *fields, ""]).encode("latin-1")


def post(body: bytes, *fields: str, path: str = "/v1/jobs", kind: str = "application/json") -> bytes:
    """Return a whole request that sends `body`."""
    return head("POST", path, f"Content-Type: {kind}", f"Content-Length: {len(body)}", *fields) + b"\r\n" + body


def statuses(answers: bytes) -> list[int]:
    """Return the statuses of the answers."""
    return [int(item[:3]) for item in answers.split(b"HTTP/1.1 ")[1:]]


@contextlib.contextmanager
def target(folder: Path, **settings: str) -> Iterator[Target]:
    """Run a gateway and a Redis of its own."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(EmbeddedRedis(folder / "redis"))
        environment = {
            "SWAPJOBS_REDIS_URL": server.url,
            "SWAPJOBS_GATEWAY_KEYS": f"acme:{ACME_KEY},zeta:{ZETA_KEY}",
            "SWAPJOBS_GATEWAY_KEY_RATE": "10000/s",
            "SWAPJOBS_WEBHOOK_MASTER_SECRET": SECRET,
            **settings,
        }
        program = Program("swapjobs", "gateway", "--port", "0", cwd=folder, env=environment)
        stack.enter_context(program).wait_for("gateway ready on ")
        port = int(program.output.split("gateway ready on ")[1].split()[0].rpartition(":")[2])
        client = stack.enter_context(redis.Redis.from_url(server.url, decode_responses=True))
        jobs = stack.enter_context(SwapClient(CoreSettings(redis_url=server.url)))
        made = Target(program, port, client, jobs, _client(port), psutil.Process(program.process.pid))
        yield made
        made.http.close()


def _client(port: int) -> httpx.Client:
    headers = {"Authorization": f"Bearer {ACME_KEY}"}
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False, timeout=20)
