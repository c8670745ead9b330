"""Keeps a plain Celery producer's arguments out of logs, events and dashboards: they may hold signed URLs."""

from __future__ import annotations

from typing import Any

from celery import Task
from celery.worker.request import Request


class QuietRequest(Request):  # type: ignore[misc]  # celery is untyped
    """A request that shows no arguments; Flower reads them from events and from the list of active tasks."""

    argsrepr = kwargsrepr = ""

    def info(self, safe: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - Celery's signature
        """Return what control commands tell of this request."""
        return {**super().info(safe), "args": [], "kwargs": {}}

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002 - Celery's signature
        """Tell of an event without a traceback: code and message say what happened, and it shows paths."""
        super().send_event(type, **{**fields, **({"traceback": None} if "traceback" in fields else {})})

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """Handle what a task raised, a retry or a message that leads to nothing too; then let its frames go."""
        try:
            return super().on_failure(exc_info, *args, **kwargs)
        finally:
            _let_frames_go(exc_info.exception)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.humaninfo()}>"


def _let_frames_go(error: BaseException | None) -> None:
    """Take the tracebacks off an error and those that led to it.

    The frame of Celery's tracer holds the error, whose traceback holds that frame: a ring that only the collector takes
    apart, with 200 kB of positions in bytecode that billiard notes for each. In a vendor's bad minute that is 20 MB.
    """
    error = getattr(error, "exc", error)  # billiard's ExceptionWithTraceback
    while error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


class RedactedTask(Task):  # type: ignore[misc]  # celery is untyped
    """A task whose requests are quiet."""

    Request = QuietRequest
