"""A vendor that costs little and remembers when each call arrived: only for benchmarks and the tests of the rate.

    python stub.py PORT [LATENCY_MS]

Every POST gets the same success, but for a question about a task that was never sent: that one is not known. Arrival
is stamped by the kernel (SO_TIMESTAMPNS) where it can, so that a stub that gets no CPU for a while is not taken for a
fleet that calls in a bunch. One connection for the operator's side:

    GET    /_stub/calls   [[seconds since the epoch, status, businessTaskId], ...] by arrival
    GET    /_stub/count   how many
    GET    /_stub/paths   {path: [calls, different businessTaskIds, those of them that were called more than once]}
    DELETE /_stub/calls   forget them
    PUT    /_stub/mode    {"latency_ms": 0, "status": 200, "rate": null, "burst": 1}: what is left out stays as it is

With `rate`, calls per second, it holds a limit of its own (GCRA) and answers 429 without Retry-After above it.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

OK, TOO_MANY = 200, 429
_BODY = (
    b'{"code":"200","msg":"success","data":{"taskId":"1116","toolTask":"roop","status":1,'
    b'"outputImageUrl":"https://pictures.example/results/2026/11/22/5f0c2a8e6d0b4d579f6a3f5f8d1c7b21.png"}}'
)
_UNKNOWN = b'{"code":"404","msg":"no such task"}'
_QUERY = b"/queryTask"
_ID = re.compile(rb'"businessTaskId": ?"([^"]*)"')
_SO_TIMESTAMPNS = 35  # Linux; Python has no name for it
_TIMESPEC = struct.Struct("qq")


def http(status: int, body: bytes) -> bytes:
    """Return a whole reply."""
    return b"HTTP/1.1 %d -\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


@dataclass
class Vendor:
    """How the stub answers, and what it saw."""

    latency_ms: float = 0.0
    status: int = OK
    rate: float | None = None
    burst: int = 1
    calls: list[tuple[float, int, str]] = field(default_factory=list)
    paths: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    sent: set[str] = field(default_factory=set)
    _arrival: float = 0.0

    def __post_init__(self) -> None:
        self._replies = {OK: http(OK, _BODY)}

    def call(self, at: float, path: bytes, body: bytes) -> bytes:
        """Answer a call that arrived at this time."""
        status = self.status
        if status == OK and self.rate and not self._admits(at):
            status = TOO_MANY
        match = _ID.search(body)
        id_ = match[1].decode() if match else ""
        self.calls.append((at, status, id_))
        self.paths[path.decode()][id_] += 1
        if status == OK and path.endswith(_QUERY) and id_ not in self.sent:
            return http(OK, _UNKNOWN)
        if status == OK:
            self.sent.add(id_)
        if status not in self._replies:
            self._replies[status] = http(status, b'{"code":"%d","msg":"no"}' % status)
        return self._replies[status]

    def _admits(self, at: float) -> bool:
        assert self.rate
        start = max(self._arrival, at)
        if start - (self.burst - 1) / self.rate > at + 1e-6:
            return False
        self._arrival = start + 1 / self.rate
        return True

    def operate(self, method: bytes, path: bytes, body: bytes) -> bytes:
        """Answer the operator."""
        if path == b"/_stub/calls" and method == b"GET":
            return http(OK, json.dumps(sorted(self.calls)).encode())
        if path == b"/_stub/count" and method == b"GET":
            return http(OK, b"%d" % len(self.calls))
        if path == b"/_stub/paths" and method == b"GET":
            seen = {
                name: [ids.total(), len(ids), sum(number > 1 for number in ids.values())]
                for name, ids in self.paths.items()
            }
            return http(OK, json.dumps(seen).encode())
        if path == b"/_stub/calls" and method == b"DELETE":
            self.calls.clear()
            self.paths.clear()
            self.sent.clear()
        elif path == b"/_stub/mode" and method == b"PUT":
            mode = json.loads(body)
            if unknown := set(mode) - {"latency_ms", "status", "rate", "burst"}:
                return http(400, json.dumps(f"unknown: {sorted(unknown)}").encode())
            self.__dict__.update(mode)
        else:
            return http(404, b"{}")
        return http(OK, b"{}")


class Connection:
    """Counts out requests by their Content-Length and answers each."""

    def __init__(self, sock: socket.socket, vendor: Vendor, loop: asyncio.AbstractEventLoop) -> None:
        self._sock, self._vendor, self._loop = sock, vendor, loop
        self._buffer, self._began = b"", 0.0
        self._out = bytearray()
        loop.add_reader(sock, self._read)

    def _read(self) -> None:
        try:
            data, extra, _, _ = self._sock.recvmsg(262_144, 64)
        except BlockingIOError:
            return
        except OSError:
            data, extra = b"", []
        if not data:
            self._close()
            return
        if not self._buffer:
            self._began = _stamp(extra)
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            _, separator, rest = head.lower().partition(b"content-length:")
            length = int(rest.partition(b"\r\n")[0]) if separator else 0
            if len(self._buffer) < end + 4 + length:
                return
            body, self._buffer = self._buffer[end + 4 : end + 4 + length], self._buffer[end + 4 + length :]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        method, path, _ = head.split(b" ", 2)
        if method != b"POST":
            self._write(self._vendor.operate(method, path, body))
            return
        reply = self._vendor.call(self._began, path, body)
        if self._vendor.latency_ms:
            self._loop.call_later(self._vendor.latency_ms / 1000, self._write, reply)
        else:
            self._write(reply)

    def _write(self, reply: bytes) -> None:
        if self._sock.fileno() < 0:
            return
        self._out += reply
        try:
            del self._out[: self._sock.send(self._out)]
        except BlockingIOError:
            pass
        except OSError:
            self._close()
            return
        if self._out:
            self._loop.add_writer(self._sock, self._write, b"")
        else:
            self._loop.remove_writer(self._sock)

    def _close(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
            self._sock.close()


def _stamp(extra: list[tuple[int, int, bytes]]) -> float:
    for level, kind, data in extra:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(data[: _TIMESPEC.size])
            return float(seconds + nanoseconds / 1e9)
    return time.time()


async def main(port: int, latency_ms: float = 0.0) -> None:
    """Serve on loopback until killed."""
    loop, vendor = asyncio.get_running_loop(), Vendor(latency_ms)
    with socket.create_server(("127.0.0.1", port), backlog=1024) as server:
        server.setblocking(False)
        stamps: Any = sys.platform == "linux"
        if stamps:
            server.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        while True:
            sock, _ = await loop.sock_accept(server)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if stamps:
                sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            Connection(sock, vendor, loop)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *map(float, sys.argv[2:3])))
