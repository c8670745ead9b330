"""How much this process's slots are used: by vendor calls alone, not by waiting for the rate."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from swapjobs.store import keys
from swapjobs.store.worker_usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What was seen before counts so much less at every reading, which is every 5 s: mostly the last half minute is told.
_FADE: Final = 0.8


class SlotUsage:
    """Calls under way and ended, with less weight the longer ago. Thread-safe; time is an argument."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._under_way = 0
        self._changed_at = now()
        self._time = self._busy_time = self._calls = self._call_time = 0.0

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count the block as a call."""
        began = self._count(1)
        try:
            yield
        finally:
            ended = self._count(-1)
            with self._lock:
                self._calls += 1
                self._call_time += ended - began

    def read(self, slots: int, kinds: tuple[str, ...] = (keys.SWAPS_QUEUE,)) -> Usage:
        """Return what was seen, and let it fade; `kinds`: the queues that this process works on."""
        self._count(0)
        with self._lock:
            busy = self._busy_time / self._time if self._time else 0.0
            mean = self._call_time / self._calls if self._calls else 0.0
            seen = Usage(slots, round(busy, 3), round(self._calls, 1), round(mean, 4), kinds)
            self._time, self._busy_time = _FADE * self._time, _FADE * self._busy_time
            self._calls, self._call_time = _FADE * self._calls, _FADE * self._call_time
            return seen

    def _count(self, change: int) -> float:
        with self._lock:
            now = self._now()
            self._time += now - self._changed_at
            self._busy_time += (now - self._changed_at) * self._under_way
            self._changed_at = now
            self._under_way += change
            return now
