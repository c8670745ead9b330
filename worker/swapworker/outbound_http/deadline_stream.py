"""What httpcore sends and receives through: sockets that keep to the exchange's one deadline and to its size.

The parser's own limit is 100 kB for one head or chunk header; it lets any number of those pass.
"""

from __future__ import annotations

import select
import ssl
from typing import TYPE_CHECKING, Any, Final

import httpcore

from swapworker.outbound_http.dial import Deadline, Guard, Origin, Resolver, connect
from swapworker.outbound_http.errors import BadReply, ResponseTooLarge

if TYPE_CHECKING:
    import socket


_READ_BYTES: Final = 16_384  # at once, so that a limit is passed by no more than that
_HEAD_BYTES: Final = 32_768  # of a reply's head, with all informational ones before it
_CHUNKING: Final = 8  # bytes on the wire per byte of a body: somebody may send it in chunks of one byte


class DeadlineStream(httpcore.NetworkBackend):
    """The network of one connection, and what happened on it in the present exchange.

    `sent`: a byte of the request was (or, under TLS, may have been) taken. `ended`: the peer has closed.
    """

    def __init__(self, origin: Origin, guard: Guard | None, resolver: Resolver) -> None:
        self._origin = origin
        self._guard = guard
        self._resolver = resolver
        self.deadline = Deadline(0)
        self.sent = False
        self.ended = False
        self._received = 0
        self._body_limit: int | None = None
        self._head = bytearray()
        self._body_bytes = -1  # while the head is not whole
        self._tail = b""

    def begin(self, deadline: Deadline) -> None:
        """Start an exchange."""
        self.deadline, self.sent, self.ended = deadline, False, False
        self._received, self._body_limit = 0, None
        self._head, self._body_bytes, self._tail = bytearray(), -1, b""

    def expect_body(self, max_bytes: int) -> None:
        """Allow a body of `max_bytes`, however it is chunked, from now on: the head has been read."""
        self._body_limit = self._received + _HEAD_BYTES + _CHUNKING * max_bytes

    def check(self) -> None:
        """Say, before more is read, whether more may come.

        Raises:
            BadReply: the head does not end.
            ResponseTooLarge: the body, or what it is wrapped in, does not end.
        """
        if self._body_limit is None:
            if self._received > _HEAD_BYTES:
                raise BadReply(f"{self._origin.host} sent more than {_HEAD_BYTES} bytes of headers")
        elif self._received > self._body_limit:
            raise ResponseTooLarge(f"{self._origin.host} sent more than {self._body_limit} bytes of chunks")

    def note(self, data: bytes) -> None:
        """Keep account of what was received."""
        self.ended = not data
        self._received += len(data)
        if self._body_bytes >= 0:
            self._body_bytes += len(data)
        else:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            self._body_bytes = len(self._head) - end - 4 if end >= 0 else -1
        self._tail = (self._tail + data)[-5:]

    def has_surplus(self, content_length: str | None) -> bool:
        """Say whether more came than the reply, as far as can be told; if in doubt, yes.

        httpcore would take such bytes for the beginning of the next reply: one job would get another's picture.
        """
        if content_length is not None:
            return str(self._body_bytes) != content_length.strip()
        return self._tail != b"0\r\n\r\n"

    def connect_tcp(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        """Connect to the origin; the timeouts that httpcore hands over are the deadline's business."""
        return _Stream(self, connect(self._origin, self.deadline, guard=self._guard, resolver=self._resolver))


class _Stream(httpcore.NetworkStream):
    def __init__(self, wire: DeadlineStream, sock: socket.socket) -> None:
        self._wire = wire
        self._socket = sock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - httpcore's signature
        self._wire.check()
        self._socket.settimeout(self._wire.deadline.left_s())
        data = self._socket.recv(min(max_bytes, _READ_BYTES))
        self._wire.note(data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - httpcore's signature
        rest = memoryview(buffer)
        try:
            while rest:
                self._socket.settimeout(self._wire.deadline.left_s())
                # A plain send that raises took nothing. A TLS one may have flushed a record before it raised.
                self._wire.sent = self._wire.sent or isinstance(self._socket, ssl.SSLSocket)
                rest = rest[self._socket.send(rest) :]
                self._wire.sent = True
        except TimeoutError:
            raise
        except OSError as error:
            if not self._wire.sent:
                raise
            # httpcore then looks for a reply: a server may refuse a request before it has read all of it
            raise httpcore.WriteError(str(error)) from None

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - httpcore's signature
    ) -> httpcore.NetworkStream:
        self._socket.settimeout(self._wire.deadline.left_s())
        try:
            return _Stream(self._wire, ssl_context.wrap_socket(self._socket, server_hostname=server_hostname))
        except BaseException:
            self._socket.close()
            raise

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # asked before a kept connection is used: readable means hung up, or unasked bytes
            return _is_readable(self._socket)
        return None


def _is_readable(sock: socket.socket) -> bool:
    if sock.fileno() < 0:
        return True
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
