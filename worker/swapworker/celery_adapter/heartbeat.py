"""Signs of life of the consumer's own event loop: for `progress.py`, and a file whose age health checks can look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from celery import bootsteps

EVERY_S: Final = 5.0


class AliveStep(bootsteps.StartStopStep):  # type: ignore[misc]  # celery is untyped
    """Notes progress and touches SWAPJOBS_ALIVE_FILE, every few seconds.

    The loop stands still while the connection to Redis is lost, so an old file means: this worker makes no progress.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        self._timer: Any = None
        super().__init__(consumer, **options)

    def start(self, consumer: Any) -> None:
        """Begin to tell."""
        runtime = consumer.app.runtime()
        file = Path(runtime.settings.alive_file) if runtime.settings.alive_file else None

        def tell() -> None:
            runtime.progress.made("consumer")
            if file:
                file.touch()

        consumer.app.stopping.fetching_ended.clear()
        tell()
        self._timer = consumer.timer.call_repeatedly(EVERY_S, tell)

    def stop(self, consumer: Any) -> None:
        """Tell no more; the loop has ended, so nothing more is fetched."""
        consumer.app.stopping.fetching_ended.set()
        if consumer.task_consumer:
            # At a clean stop: hints that no slot has begun with. After a lost connection the channel is closed already.
            consumer.task_consumer.channel.do_restore = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
