"""The two ends of an upload that is answered while it comes in: its body as a file for a thread, its answer as a spool.

Many HTTP clients read no answer before they have sent all. If a line of the answer had to be taken before the next
line of the body is read, both sides would wait for each other for ever. So what is not taken yet lies in a spool: a
little in memory, the rest in a temporary file.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from typing import TYPE_CHECKING, Final

import anyio.from_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive

_IN_MEMORY: Final = 256 * 1024
_PIECE: Final = 64 * 1024


class Gone(Exception):
    """The client went away, or sent nothing for too long; the text says which."""


class Body:
    """A request's body as something with `readline`, for a thread that anyio started.

    Args:
        receive: ASGI's.
        silence_s: How long the client may send nothing.
    """

    def __init__(self, receive: Receive, silence_s: float) -> None:
        self._receive = receive
        self._silence_s = silence_s
        self._kept = bytearray()
        self._more = True
        self._closed = asyncio.Event()
        self.before_wait: Callable[[], None] = lambda: None

    def readline(self, limit: int, /) -> bytes:
        """Return a line, or its first `limit` bytes; nothing at the end.

        Raises:
            Gone: the rest will not come.
        """
        looked = 0
        while (end := self._kept.find(b"\n", looked, limit)) < 0 and len(self._kept) < limit and self._more:
            looked = len(self._kept)
            self.before_wait()  # nothing is kept back while the client thinks
            self._kept += anyio.from_thread.run(self._next)
        line = bytes(self._kept[: end + 1 if end >= 0 else limit])
        del self._kept[: len(line)]
        return line

    async def _next(self) -> bytes:
        waiting = asyncio.ensure_future(self._receive())
        closed = asyncio.ensure_future(self._closed.wait())
        done, _ = await asyncio.wait({waiting, closed}, timeout=self._silence_s, return_when=asyncio.FIRST_COMPLETED)
        closed.cancel()
        if waiting not in done:
            waiting.cancel()
            raise Gone("the request was ended" if done else f"nothing came for {self._silence_s:g} s")
        message = waiting.result()
        if message["type"] == "http.disconnect":
            raise Gone("the client went away")
        self._more = message.get("more_body", False)
        body: bytes = message.get("body", b"")
        return body

    @property
    def is_closed(self) -> bool:
        """Whether the rest is not wanted any more."""
        return self._closed.is_set()

    def close(self) -> None:
        """Let a thread that waits for more give up."""
        self._closed.set()


class Spool:
    """What a thread writes and a coroutine reads, in order; the writer never waits for the reader."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by close
        self._lock = threading.Lock()
        self._read = self._written = 0
        self._ended = False
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()

    def write(self, data: bytes) -> None:
        """Add something, from a thread."""
        with self._lock:
            self._file.seek(self._written)
            self._file.write(data)
            self._written += len(data)
        self._notify()

    def end(self) -> None:
        """Say that nothing more comes, from a thread."""
        self._ended = True
        self._notify()

    def _notify(self) -> None:
        self._loop.call_soon_threadsafe(self._changed.set)

    async def take(self) -> bytes:
        """Return what comes next, as soon as there is something; nothing at the end."""
        while True:
            self._changed.clear()
            ended = self._ended  # asked first: what was written before the end is seen below
            if piece := self._piece():
                return piece
            if ended:
                return b""
            await self._changed.wait()

    def _piece(self) -> bytes:
        with self._lock:
            self._file.seek(self._read)
            piece = self._file.read(_PIECE)
            self._read += len(piece)
            if self._read == self._written and self._read >= _IN_MEMORY:
                self._file.seek(0)
                self._file.truncate()
                self._read = self._written = 0
        return piece

    def close(self) -> None:
        """Take its file away."""
        with self._lock:
            self._file.close()
