"""Pages that change by themselves: what many look at is read and drawn once, for all who look.

However much there is to read, drawing takes a small share of one core: what takes long is drawn less often.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool

from swapjobs.contract.errors import TooManyRequests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Hashable

log: Final = logging.getLogger(__name__)
_MOST: Final = 500  # who look at once, in one process
_SHARE: Final = 0.004  # of a core, that drawing in one room may take


class Broadcast:
    """What is drawn anew every few seconds while somebody looks; by room, one for each way in which it is drawn.

    Args:
        every_s: Seconds between two drawings, if they take little.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._rooms: dict[Hashable, _Room] = {}
        self._watchers = 0
        self.stopped = False

    def check(self) -> None:
        """Check that one more may look.

        Raises:
            TooManyRequests: too many look already.
        """
        if self._watchers >= _MOST:
            raise TooManyRequests("too many pages are open here; reload this one later", retry_after_s=30)

    async def follow(self, room: Hashable, draw: Callable[[], bytes]) -> AsyncIterator[bytes | None]:
        """Yield what is drawn, whenever it is another; None where it stayed the same for a while.

        `draw` is called in a thread, for all who are in the room: it must show nothing that is one person's own.
        """
        self._watchers += 1
        place = self._rooms.get(room)
        if place is None:
            place = self._rooms[room] = _Room()
            place.task = asyncio.create_task(self._draw(place, draw))
        place.watchers += 1
        try:
            seen = None
            while not self.stopped:
                drawn = await place.next_after(seen, 2 * self._every_s)
                yield drawn if drawn != seen else None
                seen = drawn
        finally:
            self._watchers -= 1
            place.watchers -= 1
            if not place.watchers and self._rooms.get(room) is place:
                del self._rooms[room]
                place.end()

    def stop(self) -> None:
        """Let all who look go, now."""
        self.stopped = True
        for room in self._rooms.values():
            room.end()

    async def _draw(self, room: _Room, draw: Callable[[], bytes]) -> None:
        def timed() -> tuple[bytes, float]:
            began = time.thread_time()
            return draw(), time.thread_time() - began

        while not self.stopped:
            took_s = 0.0
            try:
                drawn, took_s = await run_in_threadpool(timed)
                room.show(drawn)
            except Exception:
                log.exception("console: a page could not be drawn")
            await asyncio.sleep(max(self._every_s, took_s / _SHARE))


class _Room:
    def __init__(self) -> None:
        self.watchers = 0
        self.task: asyncio.Task[None] | None = None
        self._drawn: bytes | None = None
        self._waiting: set[asyncio.Future[None]] = set()

    def show(self, drawn: bytes) -> None:
        if drawn != self._drawn:
            self._drawn = drawn
            self._wake()

    def end(self) -> None:
        if self.task is not None:
            self.task.cancel()
        self._wake()

    async def next_after(self, seen: bytes | None, timeout_s: float) -> bytes | None:
        """Return what is drawn once it is another than `seen`; as it is after so long."""
        if self._drawn == seen or self._drawn is None:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            try:
                await asyncio.wait([waiting], timeout=timeout_s)
            finally:
                self._waiting.discard(waiting)
        return self._drawn

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
