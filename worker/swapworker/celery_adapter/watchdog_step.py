"""Ends a worker that makes no progress, or starts it anew. A Celery bootstep."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from celery import bootsteps
from celery.concurrency import solo

if TYPE_CHECKING:
    from swapworker.runtime import Runtime

logger = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 1.0


class WatchdogStep(bootsteps.StartStopStep):  # type: ignore[misc]  # celery is untyped
    """Looks every second and draws the consequence."""

    def __init__(self, worker: Any, **options: Any) -> None:
        self._stopping = threading.Event()
        super().__init__(worker, **options)

    def start(self, worker: Any) -> None:
        """Start to look."""
        runtime: Runtime = worker.app.runtime()
        if not issubclass(worker.pool_cls, solo.TaskPool):  # there every call holds the consumer up
            runtime.watchdog.watch("consumer")
        arguments = (runtime, worker.concurrency)
        threading.Thread(target=self._watch, args=arguments, name="watchdog", daemon=True).start()

    def stop(self, _worker: Any) -> None:
        """Look no more: who stops makes no progress."""
        self._stopping.set()

    terminate = stop

    def _watch(self, runtime: Runtime, slots: int) -> None:
        while not self._stopping.wait(_LOOK_EVERY_S):
            why = runtime.watchdog.stalled()
            if why:
                logger.critical("%s; the worker ends, to be started again", why)
                os._exit(1)
            if 2 * runtime.leases.stuck > slots:
                logger.critical("most slots hang past their deadline: the worker starts itself anew")
                runtime.hand_back()
                # In place, so that it works without a supervisor too: threads that hang end with the old program.
                os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command line
