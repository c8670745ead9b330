"""What an exchange is sent and received through: a socket that keeps to its one deadline and to its size.

The parser's own limit is 100 kB for one head or chunk header; it lets any number of those pass.
"""

from __future__ import annotations

import select
import ssl
from typing import TYPE_CHECKING, Final

from swapworker.outbound_http.dial import Deadline, Guard, Origin, Resolver, connect
from swapworker.outbound_http.errors import BadReply, ResponseTooLarge

if TYPE_CHECKING:
    import socket


_READ_BYTES: Final = 16_384  # at once, so that a limit is passed by no more than that
_HEAD_BYTES: Final = 32_768  # of a reply's head, with all informational ones before it
_CHUNKING: Final = 8  # bytes on the wire per byte of a body: somebody may send it in chunks of one byte


class WriteFailed(OSError):
    """A part of the request was taken, the rest was not."""


class DeadlineStream:
    """The socket of one connection, and what happened on it in the present exchange.

    `sent`: a byte of the request was (or, under TLS, may have been) taken. `ended`: the peer has closed.
    """

    def __init__(self, origin: Origin, guard: Guard | None, resolver: Resolver, tls: ssl.SSLContext | None) -> None:
        self._origin = origin
        self._guard = guard
        self._resolver = resolver
        self._tls = tls
        self._socket: socket.socket | None = None
        self._deadline = Deadline(0)
        self.sent = False
        self.ended = False
        self._received = 0
        self._body_limit: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a socket."""
        return self._socket is not None

    def begin(self, deadline: Deadline) -> None:
        """Start an exchange."""
        self._deadline, self.sent, self.ended = deadline, False, False
        self._received, self._body_limit = 0, None

    def connect(self) -> None:
        """Connect to the origin.

        Raises:
            OSError: no connection.
        """
        plain = connect(self._origin, self._deadline, guard=self._guard, resolver=self._resolver)
        try:
            plain.settimeout(self._deadline.left_s())
            self._socket = self._tls.wrap_socket(plain, server_hostname=self._origin.host) if self._tls else plain
        except BaseException:
            plain.close()
            raise

    def expect_body(self, max_bytes: int) -> None:
        """Allow a body of `max_bytes`, however it is chunked, from now on: the head has been read."""
        self._body_limit = self._received + _HEAD_BYTES + _CHUNKING * max_bytes

    def read(self) -> bytes:
        """Return what has come, at least a byte; nothing where the peer has closed.

        Raises:
            BadReply: the head does not end.
            ResponseTooLarge: the body, or what it is wrapped in, does not end.
            OSError: the connection broke, or the deadline passed.
        """
        self._check()
        data = self._timed().recv(_READ_BYTES)
        self.ended = not data
        self._received += len(data)
        return data

    def write(self, data: bytes) -> None:
        """Send it all.

        Raises:
            WriteFailed: the connection broke when a part of it was sent.
            OSError: the connection broke before, or the deadline passed.
        """
        rest = memoryview(data)
        try:
            while rest:
                sock = self._timed()
                # A plain send that raises took nothing. A TLS one may have flushed a record before it raised.
                self.sent = self.sent or self._tls is not None
                rest = rest[sock.send(rest) :]
                self.sent = True
        except TimeoutError:
            raise
        except OSError as error:
            if not self.sent:
                raise
            raise WriteFailed(str(error)) from None

    def is_readable(self) -> bool:
        """Say whether there is something to read; before a request is sent that means hung up, or unasked bytes."""
        sock = self._socket
        if sock is None or sock.fileno() < 0:
            return True
        if isinstance(sock, ssl.SSLSocket) and sock.pending():
            return True
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Close the socket; closing twice does no harm."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _timed(self) -> socket.socket:
        """Return the socket, whose next step ends by the deadline."""
        if self._socket is None:
            raise OSError("the connection is closed")
        self._socket.settimeout(self._deadline.left_s())
        return self._socket

    def _check(self) -> None:
        if self._body_limit is None:
            if self._received > _HEAD_BYTES:
                raise BadReply(f"{self._origin.host} sent more than {_HEAD_BYTES} bytes of headers")
        elif self._received > self._body_limit:
            raise ResponseTooLarge(f"{self._origin.host} sent more than {self._body_limit} bytes of chunks")
