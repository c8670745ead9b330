"""Connections that cost more than they bring are cut off: slow, silent and idle clients, and too many at once.

uvicorn has one limit, on the silence between two requests. Without more, a client that never ends its request, or never
takes its answer, keeps a connection for ever, and some thousands of them keep everybody else out. So the client has a
time in which the head of a request must be whole; a body must come on, and an answer must be taken. How long the
gateway itself takes is not limited here: waits and event streams are slow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from swapjobs.gateway.http_connection import HttpConnection

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

SLOWEST_BYTES_S: Final = 100  # of a body, on average
_AT_ONCE: Final = 8  # one in so many idle ones is closed, so that not every newcomer needs a search for one

_REST, _HEAD, _BODY, _OURS = "rest", "head", "body", "ours"


class Connection(HttpConnection):
    """A connection that knows how long its client has kept us waiting."""

    __slots__ = ("_received", "_taken_at", "_turn", "_unsent", "since")  # as in HttpConnection
    max_open: int  # at once

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Take the connection; in the place of idle ones, where too many are open."""
        super().connection_made(transport)
        self._turn: tuple[str, Any] = ("", None)  # `check` begins to count
        self.since: float = self.loop.time()  # we wait for the client; a body that comes on moves it
        self._received = 0
        self._unsent, self._taken_at = 0, self.since
        others = cast("set[Connection]", self.connections) - {self} if len(self.connections) > self.max_open else set()
        if others and not close_idle(others):
            self.refuse(503, "too_many_connections", "too many connections are open; try again later")

    def data_received(self, data: bytes) -> None:
        """Count what comes."""
        self._received += len(data)
        super().data_received(data)

    @property
    def turn(self) -> tuple[str, Any]:
        """What is awaited, and of which request.

        The `rest` between two requests, for which uvicorn has a time of its own; the client's `head` or `body`; or
        something of `ours`.
        """
        if self.cycle is None or self.cycle.response_complete:
            return (_REST if self.timeout_keep_alive_task is not None else _HEAD), self.cycle
        return (_BODY if self.cycle.more_body and not self.flow.read_paused else _OURS), self.cycle

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.turn[0] in {_REST, _HEAD} and not self.transport.is_closing()

    def check(self, now: float, patience_s: float) -> None:
        """Cut the client off if it lets us wait for longer than `patience_s`; to be called every second or so."""
        self._check_taking(now, patience_s)
        received, self._received = self._received, 0
        turn = self.turn
        if turn != self._turn:
            self._turn, self.since = turn, now
        elif turn[0] == _BODY:
            self.since = min(now, self.since + received / SLOWEST_BYTES_S)
        if turn[0] in {_HEAD, _BODY} and now > self.since + patience_s and not self.transport.is_closing():
            self.refuse(408, "request_timeout", "the request came too slowly, or not at all")

    def _check_taking(self, now: float, patience_s: float) -> None:
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent < self._unsent:
            self._taken_at = now
        self._unsent = unsent
        if now > self._taken_at + patience_s:
            self.transport.abort()


def connection_class(limit: int) -> type[Connection]:
    """Return the class of connections of which `limit` may be open at once."""
    return type("LimitedConnection", (Connection,), {"max_open": limit})


def close_idle(connections: Iterable[Connection]) -> int:
    """Close an eighth of the idle ones, and say how many that were.

    First those that never asked for anything whole, then those that have been idle for longest.
    """
    idle = [connection for connection in connections if connection.is_idle]
    idle.sort(key=lambda connection: (connection.cycle is not None, connection.since))
    closed = idle[: len(idle) // _AT_ONCE + 1]
    for connection in closed:
        connection.transport.close()
    return len(closed)
