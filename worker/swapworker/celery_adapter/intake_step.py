"""Starts the intake with a worker that takes swaps. A Celery bootstep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import bootsteps

from swapjobs.store.keys import SWAPS_QUEUE
from swapworker.celery_adapter.task_message import read_or_log
from swapworker.process.intake import Intake

if TYPE_CHECKING:
    from swapworker.runtime import Runtime


class IntakeStep(bootsteps.StartStopStep):  # type: ignore[misc]  # celery is untyped
    """Runs the intake: tasks that products sent become jobs."""

    def __init__(self, worker: Any, **options: Any) -> None:
        self._intake: Intake | None = None
        super().__init__(worker, **options)

    def start(self, worker: Any) -> None:
        """Begin, if this worker takes swaps."""
        if SWAPS_QUEUE not in worker.app.amqp.queues.consume_from:
            return
        runtime: Runtime = worker.app.runtime()
        self._intake = Intake(runtime.store.product_tasks, read_or_log, runtime.store.now_ms, runtime.watchdog)
        runtime.watchdog.watch("intake")
        self._intake.start()

    def stop(self, _worker: Any) -> None:
        """Take nothing any more."""
        if self._intake is not None:
            self._intake.stop()
            self._intake = None

    terminate = stop
