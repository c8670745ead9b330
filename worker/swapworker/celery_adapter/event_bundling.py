"""What tasks did, told to Flower and other listeners in bundles: one by one it would double a worker's CPU.

A bundle costs some 1.5 ms, whatever is in it: so one comes each second at most, or when it holds a thousand events.
"""

from __future__ import annotations

from typing import Any, Final

from celery import bootsteps
from celery.app.events import Events
from celery.events.dispatcher import EventDispatcher

EVERY_S: Final = 1.0
_AT_MOST: Final = 1000
# These can wait. Of the others there are few, and what follows them may be told by another worker.
_BUNDLED: Final = frozenset({"task-received", "task-started", "task-succeeded"})


class BundlingDispatcher(EventDispatcher):  # type: ignore[misc]  # celery is untyped
    """Celery's own, but for when it publishes: Celery's loop would do so as soon as an event is there.

    The order is kept: whatever is told at once takes along what was told before.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "buffer_limit": _AT_MOST, "on_send_buffered": None})
        self._stopping = False

    def send(self, type: str, *args: Any, **fields: Any) -> None:  # noqa: A002 - Celery's signature
        """Tell of an event, within `EVERY_S`."""
        super().send(type, *args, **fields)
        if self.buffer_group and (self._stopping or type not in _BUNDLED):
            self.flush()

    def stop_bundling(self) -> None:
        """Tell everything at once from now on: nobody flushes any more."""
        self._stopping = True
        self.flush()


class BundlingEvents(Events):  # type: ignore[misc]  # celery is untyped
    """Makes Celery use it."""

    dispatcher_cls = BundlingDispatcher


class FlushStep(bootsteps.StartStopStep):  # type: ignore[misc]  # celery is untyped
    """Publishes the bundles."""

    requires = ("celery.worker.consumer.events:Events",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        self._timer: Any = None
        super().__init__(consumer, **options)

    def start(self, consumer: Any) -> None:
        """Begin to publish; with neither -E nor heartbeats nor gossip there is no dispatcher."""
        if consumer.event_dispatcher is not None:
            self._timer = consumer.timer.call_repeatedly(EVERY_S, consumer.event_dispatcher.flush)

    def stop(self, consumer: Any) -> None:
        """Publish what is there; from now on each tells at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            consumer.event_dispatcher.stop_bundling()
