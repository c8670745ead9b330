"""A connection that speaks HTTP/1.1: uvicorn's, with httptools, strict where that takes anything.

The parser (llhttp, in C) keeps no limits, and uvicorn's protocol parses all that came at once. So here a head, or the
frame of a chunk, has a limit, as many requests may be sent ahead as can be kept, and what RFC 9112 has a server refuse
is refused. A client that sends whole requests and then something else gets the answers to the whole ones.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from swapjobs.gateway.problems import problem

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

FRAME_BYTES: Final = 64 * 1024  # a head, or what stands around a chunk of a body
AHEAD: Final = 100  # requests that wait for the answer to an earlier one
_PIECE_BYTES: Final = 16 * 1024  # given to the parser at a time: limits are kept to so much


class _NotServed(ValueError):
    """The head is HTTP, and not what this server may take."""


class HttpConnection(HttpToolsProtocol):
    """A connection of uvicorn's that keeps no more for its client than it needs to."""

    # beside uvicorn's own fields: with more than 30, Python gives each of the thousands a dictionary of its own
    __slots__ = ("_answered", "_has_upgrade", "_is_deaf", "unfinished")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Take the connection."""
        super().connection_made(transport)
        self.unfinished = 0  # bytes taken since the last head, or piece of a body, was whole
        self._is_deaf = False
        self._has_upgrade = False
        self._answered: RequestResponseCycle | None = None  # uvicorn's `cycle` is the request that came last

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered, also where others were sent ahead of its answer."""
        super().connection_lost(exc)
        self._give_up()

    def data_received(self, data: bytes) -> None:
        """Parse what comes; nothing is read any more once the connection is given up."""
        self._unset_keepalive_if_required()
        for begin in range(0, len(data), _PIECE_BYTES):
            if self._is_deaf or self.transport.is_closing():
                return
            self._parse(data[begin : begin + _PIECE_BYTES])

    def _parse(self, data: bytes) -> None:
        self.unfinished += len(data)
        try:
            while data:
                data = self._feed(data)
        except httptools.HttpParserError as error:
            self.refuse(400, "malformed_request", _reason(error))
            return
        if self.unfinished > FRAME_BYTES:
            self.refuse(400, "malformed_request", f"a head, or the frame of a chunk, has more than {FRAME_BYTES} bytes")

    def _feed(self, data: bytes) -> bytes:
        """Give the parser this, and return what it has to be given then."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
            return self._without_upgrade() + rest if self._has_upgrade else rest
        return b""

    def _without_upgrade(self) -> bytes:
        """Return the head again, for a new parser, without the wish for a protocol that is not spoken here.

        Such a wish may be ignored (RFC 9110, 7.8), and Java's own client has it in its first request (h2c). httptools
        takes it for granted, and what comes behind the head for that protocol: it would never see the body.
        """
        self._has_upgrade = False
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                lines.append(b"connection: close" if b"close" in value.lower() else b"connection: keep-alive")
            elif name != b"upgrade":
                lines.append(name + b": " + value)
        self.parser = httptools.HttpRequestParser(self)
        return b"\r\n".join([*lines, b"", b""])

    def on_headers_complete(self) -> None:
        """Begin with a request; or line it up, while an earlier one is answered."""
        self.unfinished = 0
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._has_upgrade = True
            return
        version = self.parser.get_http_version()
        if version not in {"1.0", "1.1"}:
            raise _NotServed(f"of HTTP, 1.0 and 1.1 are spoken here, not {version}")
        hosts = 0
        for name, value in self.headers:
            hosts += name == b"host"
            if name == b"transfer-encoding" and value.lower() != b"chunked":
                raise _NotServed("of transfer codings only chunked is spoken here")
        if hosts > 1 or (not hosts and version == "1.1"):
            raise _NotServed(f"there must be one Host field, not {hosts}")
        if len(self.pipeline) >= AHEAD:
            raise _NotServed(f"more than {AHEAD} requests are sent ahead")
        super().on_headers_complete()
        if self.pipeline:
            self.flow.resume_reading()  # paused, it would not see its client go away; there is a limit above
        self.headers = []  # trailers end here, not among the request's own

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self.unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of a body; also of one that nobody waits for any more."""
        self.unfinished = 0
        if not self._has_upgrade:
            super().on_message_complete()
            self.cycle.more_body = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def refuse(self, status: int, code: str, detail: str) -> None:
        """Take nothing more, and close: at once, or after the answers to the whole requests that came before.

        Where nothing is owed, this is said, if an answer can still be given and the client sent something.
        """
        cycle = self.cycle
        is_over = cycle is None or cycle.response_complete
        if not is_over and not cycle.more_body:
            cycle.keep_alive = False
            self._is_deaf = True
            self.flow.resume_reading()  # only to see the client's end
            return
        if is_over:
            is_silent = not self.unfinished and status == HTTPStatus.REQUEST_TIMEOUT
            can_answer = not is_silent and (cycle is None or not cycle.more_body)
        else:
            can_answer = not cycle.response_started and not self.pipeline
        if can_answer:
            answer = problem(status, code, detail, headers={"Connection": "close"})
            fields = [b"%b: %b\r\n" % field for field in answer.raw_headers]
            self.transport.write(b"".join([STATUS_LINE[status], *fields, b"\r\n", bytes(answer.body)]))
        self._give_up()
        self.transport.close()

    def _give_up(self) -> None:
        """Let the task that answers end: what it has to say has no place here any more."""
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()


def _reason(error: httptools.HttpParserError) -> str:
    if not isinstance(error, httptools.HttpParserCallbackError):
        return f"not HTTP: {error}"
    cause = error.__context__
    return str(cause) if isinstance(cause, _NotServed) else "the target of the request is no path"
