"""Signs of life of the consumer's own event loop: for the watchdog, and a file whose age health checks can look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from celery import bootsteps

EVERY_S: Final = 5.0


class HeartbeatStep(bootsteps.StartStopStep):  # type: ignore[misc]  # celery is untyped
    """Gives the watchdog a heartbeat and touches SWAPJOBS_ALIVE_FILE, every few seconds.

    The loop stands still while the connection to Redis is lost, so an old file means: this worker makes no progress.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        self._timer: Any = None
        super().__init__(consumer, **options)

    def start(self, consumer: Any) -> None:
        """Begin to beat."""
        runtime = consumer.app.runtime()
        file = Path(runtime.settings.alive_file) if runtime.settings.alive_file else None

        def beat() -> None:
            runtime.watchdog.heartbeat("consumer")
            if file:
                file.touch()

        consumer.app.shutdown.fetching_ended.clear()
        beat()
        self._timer = consumer.timer.call_repeatedly(EVERY_S, beat)

    def stop(self, consumer: Any) -> None:
        """Beat no more; the loop has ended, so nothing more is fetched."""
        consumer.app.shutdown.fetching_ended.set()
        if consumer.task_consumer:
            # At a clean stop: messages that no slot has begun with. After a lost connection the channel is closed.
            consumer.task_consumer.channel.do_restore = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
