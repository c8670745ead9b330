"""A sign of life for health checks: a file whose age tells whether this worker's loop still turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from celery import bootsteps

EVERY_S: Final = 5.0


class AliveStep(bootsteps.StartStopStep):  # type: ignore[misc]  # celery is untyped
    """Touches SWAPJOBS_ALIVE_FILE from the consumer's own event loop.

    The loop stands still while the connection to Redis is lost, so an old file means: this worker makes no progress.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        self._timer: Any = None
        super().__init__(consumer, **options)

    def start(self, consumer: Any) -> None:
        """Begin to touch the file."""
        path = consumer.app.runtime().settings.alive_file
        if path:
            file = Path(path)
            file.touch()
            self._timer = consumer.timer.call_repeatedly(EVERY_S, file.touch)

    def stop(self, _consumer: Any) -> None:
        """Stop touching it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
