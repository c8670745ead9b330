"""A scripted HTTP server on loopback: each test says, down to the bytes, what the peer does with a connection."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

STOP_WAIT_S = 10.0


@dataclass(frozen=True)
class Seen:
    """One request as it came over the wire; header names are lower case."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Peer:
    """The server's end of one connection."""

    sock: socket.socket
    server: WebServer
    buffer: bytes = b""

    def request(self) -> Seen | None:
        """Read one request; None when the client has hung up."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._more():
                return None
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (item.partition(":") for item in fields)}
        length = int(headers.get("content-length", "0"))
        while len(self.buffer) < length:
            if not self._more():
                return None
        seen = Seen(line, headers, self.buffer[:length])
        self.buffer = self.buffer[length:]
        self.server.requests.append(seen)
        return seen

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self.sock.sendall(data)

    def drip(self, data: bytes, every_s: float = 0.02) -> None:
        """Send byte by byte, endlessly repeated, until the client or the test has enough."""
        while not self.server.stopping.wait(every_s):
            self.sock.sendall(data[:1])
            data = data[1:] + data[:1]

    def hang(self) -> None:
        """Do nothing until the test ends."""
        self.server.stopping.wait()

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _more(self) -> bool:
        data = self.sock.recv(65536)
        self.buffer += data
        return bool(data)


Script = Callable[[Peer], None]


@dataclass
class WebServer:
    """What the server has seen so far, and where it listens."""

    script: Script
    tls: ssl.SSLContext | None = None
    requests: list[Seen] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)
    connections: int = 0
    closed: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    host: str = "127.0.0.1"
    port: int = 0

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    def serve(self, sock: socket.socket) -> None:
        """Run the script for one connection; what the client breaks is no error here."""
        sock.settimeout(STOP_WAIT_S)
        with contextlib.suppress(OSError), contextlib.closing(sock):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is None:
                self.run(Peer(sock, self))
            else:
                with self.tls.wrap_socket(sock, server_side=True) as wrapped:
                    self.run(Peer(wrapped, self))
        self.closed += 1

    def run(self, peer: Peer) -> None:
        """Run the script; `stop` may end it."""
        self.peers.append(peer)
        self.script(peer)

    def stop(self) -> None:
        """End all scripts, also those that wait for a client that keeps its connection."""
        self.stopping.set()
        for peer in self.peers:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(peer.sock, socket.SHUT_RDWR)  # not the TLS one: it is in use


@contextlib.contextmanager
def serving(
    script: Script, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
) -> Iterator[WebServer]:
    """Serve `script` on a (free) port of a loopback address, one thread for each connection."""
    server = WebServer(script, tls, host=host)
    threads: list[threading.Thread] = []
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listener:
        listener.settimeout(0.05)
        server.port = listener.getsockname()[1]
        acceptor = threading.Thread(target=_accept, args=(server, listener, threads))
        acceptor.start()
        try:
            yield server
        finally:
            server.stopping.set()
            acceptor.join(STOP_WAIT_S)
            server.stop()
            for thread in threads:
                thread.join(STOP_WAIT_S)


def _accept(server: WebServer, listener: socket.socket, threads: list[threading.Thread]) -> None:
    while not server.stopping.is_set():
        with contextlib.suppress(TimeoutError):
            sock, _ = listener.accept()
            server.connections += 1
            thread = threading.Thread(target=server.serve, args=(sock,))
            threads.append(thread)
            thread.start()


def answer(body: bytes | str = b"", status: str = "200 OK", *headers: str) -> bytes:
    """Return a whole reply with Content-Length."""
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def always(reply: bytes) -> Script:
    """Answer every request of a connection with `reply`."""

    def script(peer: Peer) -> None:
        while peer.request() is not None:
            peer.send(reply)

    return script


def once(act: Callable[[Peer], None]) -> Script:
    """Read one request, then `act`, then close."""

    def script(peer: Peer) -> None:
        if peer.request() is not None:
            act(peer)

    return script


def wait_until(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Return as soon as `condition` holds.

    Raises:
        TimeoutError: it did not in time.
    """
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the condition did not come true")
        time.sleep(0.005)


def certificate(directory: Path, name: str = "localhost") -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return contexts for a server that is called `name` and 127.0.0.1, and for a client that trusts only it.

    Made by the openssl command with a throw-away key; without the command the test is skipped.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl command")
    key, cert = directory / "key.pem", directory / "cert.pem"
    subject = ["-subj", "/CN=localhost", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(
        [openssl, "req", "-x509", *curve, *subject, "-days", "2", "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    client = ssl.create_default_context(cafile=str(cert))
    return server, client
