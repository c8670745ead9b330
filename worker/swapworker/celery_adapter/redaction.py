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

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.humaninfo()}>"


class RedactedTask(Task):  # type: ignore[misc]  # celery is untyped
    """A task whose requests are quiet."""

    Request = QuietRequest
