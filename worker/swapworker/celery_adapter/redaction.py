"""Keeps a plain Celery producer's arguments out of logs, events and dashboards: they may hold signed URLs.

And out of the log what would only be noise there.
"""

from __future__ import annotations

import logging
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

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.humaninfo()}>"


class RedactedTask(Task):  # type: ignore[misc]  # celery is untyped
    """A task whose requests are quiet."""

    Request = QuietRequest


class NoBodies(logging.Filter):
    """Cuts the message's body out of what Celery logs about messages that it cannot use."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record, without the body."""
        text, cut, _ = str(record.msg).partition("The full contents of the message")
        if cut and isinstance(record.args, tuple):
            record.msg, record.args = text.strip(), record.args[: text.count("%")]
            record.exc_info = None
        return True


class NoAdvice(logging.Filter):
    """Drops Celery's advice, at every lost connection, about a setting that is set."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every other warning."""
        return "worker_cancel_long_running_tasks_on_connection_loss" not in record.getMessage()


class OneLine(logging.Filter):
    """Says in one line what Celery says in a traceback, at every try while a Redis can be reached and not be used."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record, as a warning in plain words."""
        if str(record.msg).startswith("Frequent restarts detected"):
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.msg, record.args, record.exc_info = "Redis can't be used now, tried again every second", (), None
        return True


def install_log_filters() -> None:
    """Install the filters where Celery logs unknown tasks and messages, and where it gives advice."""
    logging.getLogger("celery.worker.consumer.consumer").addFilter(NoBodies())
    logging.getLogger("celery.worker.consumer.consumer").addFilter(OneLine())
    logging.getLogger("py.warnings").addFilter(NoAdvice())
