"""Starts the intake with a worker that takes swaps, and the bridge before it where there is one. A Celery bootstep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import bootsteps

from swapjobs.store.keys import SWAPS_QUEUE
from swapworker.celery_adapter.bridge import Bridge
from swapworker.celery_adapter.task_message import read_or_log
from swapworker.process.intake import Intake

if TYPE_CHECKING:
    from swapworker.runtime import Runtime


class IntakeStep(bootsteps.StartStopStep):  # type: ignore[misc]  # celery is untyped
    """Runs the intake: tasks that products sent become jobs."""

    def __init__(self, worker: Any, **options: Any) -> None:
        self._parts: list[Intake | Bridge] = []
        super().__init__(worker, **options)

    def start(self, worker: Any) -> None:
        """Begin, if this worker takes swaps."""
        if SWAPS_QUEUE not in worker.app.amqp.queues.consume_from:
            return
        runtime: Runtime = worker.app.runtime()
        tasks, own_broker = runtime.store.product_tasks, runtime.settings.celery_broker_url
        self._parts.append(Intake(tasks, read_or_log, runtime.store.now_ms, runtime.watchdog))
        if own_broker is not None:
            self._parts.append(Bridge(own_broker.get_secret_value(), tasks))
        runtime.watchdog.watch("intake")
        for part in self._parts:
            part.start()

    def stop(self, _worker: Any) -> None:
        """Take nothing any more."""
        while self._parts:
            self._parts.pop().stop()

    terminate = stop
