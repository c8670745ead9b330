"""Back-pressure: no new jobs while too many are queued. Redis near its memory limit refuses by itself."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool

from swapjobs.contract.errors import TooManyRequests
from swapjobs.store import keys
from swapjobs.store.redis_client import queue_errors

if TYPE_CHECKING:
    from swapjobs.store.dispatch import DispatchStore

_EVERY_S: Final = 1.0
_SHARE: Final = 0.1  # of the time: a look at ten thousand tenants' queues takes 0.13 s


class Pressure:
    """How many jobs are queued: asked by one thread at a time, and believed for ten times as long as that took.

    At least for a second. Callers who come while it is asked go by the last answer.
    """

    def __init__(self, dispatch: DispatchStore, limit: int) -> None:
        self._dispatch = dispatch
        self._limit = limit
        self._asking = threading.Lock()
        self._next_at = 0.0
        self.queued = 0

    def check(self) -> None:
        """Pass when new jobs may come. It may ask Redis: call it in a thread.

        Raises:
            TooManyRequests: too many are queued.
        """
        if not self._limit:
            return
        if time.monotonic() >= self._next_at and self._asking.acquire(blocking=False):
            try:
                self._ask()
            finally:
                self._asking.release()
        self._refuse_beyond()

    async def admit(self) -> None:
        """`check` for the event loop: in a thread only where Redis is to be asked.

        Raises:
            TooManyRequests: too many are queued.
        """
        if self._limit and time.monotonic() >= self._next_at:
            await run_in_threadpool(self.check)
        elif self._limit:
            self._refuse_beyond()

    def _refuse_beyond(self) -> None:
        if self.queued >= self._limit:
            raise TooManyRequests(f"{self.queued} jobs are queued, {self._limit} may", retry_after_s=10)

    def _ask(self) -> None:
        began = time.monotonic()
        with queue_errors():
            lanes = self._dispatch.queued()
        self.queued = lanes[keys.INTERACTIVE] + lanes[keys.BULK]
        now = time.monotonic()
        self._next_at = now + max(_EVERY_S, (now - began) / _SHARE)
