"""The gateway's log: one JSON object a line on standard error, from `logging` as everything else."""

from __future__ import annotations

import json
import logging
import time
from typing import Any, Final

_log: Final = logging.getLogger("swapjobs.gateway")


def log_event(event: str, **fields: Any) -> None:
    """Log an event of the gateway's own: a request, an error."""
    _log.info(event, extra={"fields": fields})


def install() -> None:
    """Let everything that this process logs leave as JSON: events, and whatever a library warns of."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    _log.setLevel(logging.INFO)


class JsonFormatter(logging.Formatter):
    """Writes an event with its fields; any other record with its logger, level and message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of one record."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        fields: dict[str, Any] | None = getattr(record, "fields", None)
        if fields is not None:
            return json.dumps({"event": record.getMessage(), "time": at, **fields})
        line = {"event": "log", "time": at, "level": record.levelname.lower(), "logger": record.name}
        line["message"] = record.getMessage()
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)
