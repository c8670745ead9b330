"""What a worker logs: our format in the place of Celery's, and none of what is noise, or a secret, in a log."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any, Final

from celery import signals
from celery.platforms import SecurityWarning

from swapjobs import logs

if TYPE_CHECKING:
    from swapjobs.logs import LogFormat

_CELERYS: Final = ("celery.", "kombu.")
_READY: Final = "celery.apps.worker"  # which says at last that the worker is ready


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


class NoChatter(logging.Filter):
    """Drops what Celery tells of each message and connection: an attempt has one line, its own."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep Celery's warnings, and that the worker is ready."""
        return record.levelno > logging.INFO or record.name == _READY or not record.name.startswith(_CELERYS)


def install(log_format: LogFormat) -> None:
    """Let a worker log in our format, in place of Celery's, once Celery sets up its log."""
    logging.getLogger("celery.worker.consumer.consumer").addFilter(NoBodies())
    logging.getLogger("celery.worker.consumer.consumer").addFilter(OneLine())
    logging.getLogger("py.warnings").addFilter(NoAdvice())
    # A worker takes no pickles, by which root would be in danger.
    warnings.filterwarnings("ignore", category=SecurityWarning)

    def set_up(loglevel: int, logfile: str | None, **_: Any) -> None:
        handler = logs.install(log_format, loglevel, file=logfile)
        if loglevel > logging.DEBUG:
            handler.addFilter(NoChatter())

    signals.setup_logging.connect(set_up, weak=False)
