"""How the gateway and the workers log: one line a record, as JSON for machines or as text for people.

An *event* is a record with named fields (`attempt`, `delivery`, `request`, `action`); what it says is in them, its
message is only its name. Standard library alone: two small formatters need no package.
"""

from __future__ import annotations

import json
import logging
import re
import time
from logging.handlers import WatchedFileHandler
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

LogFormat = Literal["json", "text"]

_FIELDS: Final = "swapjobs_fields"
_PLAIN: Final = re.compile(r"[!#-<>-~]+")  # needs no quotes in `name=value`


def event(logger: logging.Logger, name: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log an event; fields that are None are left out."""
    if logger.isEnabledFor(level):
        given = {key: value for key, value in fields.items() if value is not None}
        logger.log(level, name, extra={_FIELDS: given})


def install(log_format: LogFormat, level: int, *, file: str | None = None) -> logging.Handler:
    """Let everything that this process logs from `level` on leave so, on standard error or into a file."""
    handler = WatchedFileHandler(file, encoding="utf-8") if file else logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    return handler


class JsonFormatter(logging.Formatter):
    """Writes an event with its fields; any other record with its logger and message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of one record."""
        line: dict[str, Any] = {"time": _utc(record), "level": record.levelname.lower()}
        fields = _fields_of(record)
        if fields is not None:
            line |= {"event": record.getMessage(), **fields}
        else:
            line |= {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, separators=(",", ":"), default=str)


class TextFormatter(logging.Formatter):
    """Writes `time LEVEL event name=value ...`, and any other record as `time LEVEL logger: message`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of one record; a traceback stands on lines of its own below."""
        fields = _fields_of(record)
        if fields is None:
            text = f"{record.name}: {record.getMessage()}"
        else:
            text = " ".join([record.getMessage(), *(f"{name}={_quoted(value)}" for name, value in fields.items())])
        line = f"{_utc(record)} {record.levelname} {text}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _fields_of(record: logging.LogRecord) -> Mapping[str, Any] | None:
    return getattr(record, _FIELDS, None)


def _utc(record: logging.LogRecord) -> str:
    """Return when it was logged: RFC 3339, to the ms."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03}Z"


def _quoted(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
