"""Is this worker getting anywhere? If not it ends, or begins anew: its supervisor can't know."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from celery import bootsteps

from swapworker.stopping import hand_back

if TYPE_CHECKING:
    from collections.abc import Callable

    from swapworker.runtime import Runtime

logger = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 1.0


class Progress:
    """What has happened lately. Time is an argument."""

    def __init__(self, stall_exit_s: float, now: Callable[[], float]) -> None:
        self._stall_exit_s = stall_exit_s
        self._now = now
        self._last: dict[str, float] = {}

    def made(self, what: str) -> None:
        """Note that this part of the worker has just done its work: its `consumer`, its `dispatcher`."""
        self._last[what] = self._now()

    def stalled(self) -> str | None:
        """Return what stands still for too long, as a sentence; None while all goes well."""
        for what, last in list(self._last.items()):
            if (gap_s := self._now() - last) > self._stall_exit_s:
                return f"no progress for {gap_s:.0f} s: the {what} could not reach Redis (SWAPJOBS_STALL_EXIT_S)"
        return None


class ProgressStep(bootsteps.StartStopStep):  # type: ignore[misc]  # celery is untyped
    """Looks every second and draws the consequence."""

    def __init__(self, worker: Any, **options: Any) -> None:
        self._stopping = threading.Event()
        super().__init__(worker, **options)

    def start(self, worker: Any) -> None:
        """Start to look."""
        runtime: Runtime = worker.app.runtime()
        runtime.progress.made("consumer")
        arguments = (runtime, worker.concurrency)
        threading.Thread(target=self._watch, args=arguments, name="progress", daemon=True).start()

    def stop(self, _worker: Any) -> None:
        """Look no more: who stops makes no progress."""
        self._stopping.set()

    terminate = stop

    def _watch(self, runtime: Runtime, slots: int) -> None:
        while not self._stopping.wait(_LOOK_EVERY_S):
            why = runtime.progress.stalled()
            if why:
                logger.critical("%s; the worker ends, to be started again", why)
                os._exit(1)
            if 2 * runtime.leases.stuck > slots:
                logger.critical("most slots hang past their deadline: the worker starts itself anew")
                hand_back(runtime)
                # In place, so that it works without a supervisor too: threads that hang end with the old program.
                os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command line
