"""The dispatcher: handles what is due, publishes lost messages again, refills the ready queues.

Its thread also reports how busy this worker is. Every worker has one; dispatcher/tick.lua lets only one of them work
at a time, the others stand by for its 2 s lease.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from typing import TYPE_CHECKING, Final

from swapjobs.store.redis_client import RedisError
from swapjobs.store.worker_usage import REPORT_EVERY_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from swapjobs.store.store import Store
    from swapjobs.store.worker_usage import Usage
    from swapworker.process.watchdog import Watchdog

_STAND_BY_S: Final = 0.5
_CLEAN_UP_EVERY_S: Final = 3600.0


class Dispatcher:
    """One worker's dispatcher thread; `usage` is reported now and then: also a sign of life."""

    def __init__(
        self, store: Store, name: str, lease_s: float, watchdog: Watchdog, usage: Callable[[], Usage] | None = None
    ) -> None:
        self._store = store
        self._watchdog = watchdog
        self._name = name
        self._lease_s = lease_s
        self._usage = usage
        self._reported_at = self._cleaned_at = -math.inf
        self._stayed = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and make way for another worker's dispatcher."""
        self._stopping.set()
        self._thread.join(5)
        with contextlib.suppress(RedisError):
            self._store.dispatch.step_down(self._name)
            self._store.remove_usage(self._name)

    def step(self) -> float:
        """Dispatch once and return the seconds until the next look."""
        stayed, self._stayed = self._stayed, True
        handled, pause_s = self._store.dispatch.dispatch_due(self._name, self._lease_s, stayed=stayed)
        self._watchdog.heartbeat("dispatcher")
        if self._usage and time.monotonic() - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = time.monotonic()
            with contextlib.suppress(RedisError):  # a full one, say: nothing hangs on it
                self._store.report_usage(self._name, self._usage())
        if time.monotonic() - self._cleaned_at >= _CLEAN_UP_EVERY_S:
            self._cleaned_at = time.monotonic()
            with contextlib.suppress(RedisError):  # as above; or its user may not
                self._store.functions.delete_unused()
        return pause_s if handled >= 0 else _STAND_BY_S

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopping.wait(pause_s):
            try:
                pause_s = self.step()
            except Exception as error:  # noqa: BLE001 - the thread must not die: everything due hangs on it
                self._watchdog.report_failure("dispatcher", error)
                pause_s = 1.0
