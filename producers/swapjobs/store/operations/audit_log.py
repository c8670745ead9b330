"""The log of what was changed by hand: in Redis, and a line in the log of the process that did it."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

from swapjobs import actor, logs
from swapjobs.contract.audit import AuditEntry, AuditPage
from swapjobs.contract.timestamps import from_ms
from swapjobs.store import keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    import redis

    from swapjobs.store.functions import Functions

_logger: Final = logging.getLogger("swapjobs.audit")
_LOOKED_AT: Final = 1000  # entries for one page


class AuditLog:
    """The audit log of one Redis."""

    def __init__(self, client: redis.Redis, functions: Functions) -> None:
        self._redis = client
        self._functions = functions

    def note(
        self,
        action: str,
        *,
        tenant: str | None = None,
        target: str | None = None,
        number: int | None = None,
        result: str = "ok",
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Write down what was done, by who is at work now; what is None in `detail` was not asked for."""
        by = actor.current()
        named = {name: value for name, value in (detail or {}).items() if value is not None}
        fields = {
            "action": action,
            "who": by.who,
            "via": by.via,
            "tenant": tenant,
            "target": target,
            "number": number,
            "result": result,
            "detail": json.dumps(named, default=str) if named else None,
        }
        known: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
        self._functions.call("operations/note", *(item for pair in known.items() for item in pair))
        logs.event(_logger, "change", level=logging.INFO, **known)

    def page(self, *, tenant: str | None, action: str | None, cursor: str | None, limit: int) -> AuditPage:
        """Return the newest entries that fit; a page may hold fewer than asked for and not be the last."""
        rows: Any = self._redis.xrevrange(keys.audit(), f"({cursor}" if cursor else "+", "-", count=_LOOKED_AT)
        chosen: list[tuple[str, Mapping[str, str]]] = []
        last = None
        for id_, fields in rows:
            if len(chosen) == limit:
                break
            last = id_
            if tenant in {None, fields.get("tenant")} and fields["action"].startswith(action or ""):
                chosen.append((id_, fields))
        is_last = last is None or (last == rows[-1][0] and len(rows) < _LOOKED_AT)
        return AuditPage(entries=[_entry(*row) for row in chosen], next_cursor=None if is_last else last)


def _entry(id_: str, fields: Mapping[str, str]) -> AuditEntry:
    return AuditEntry(
        at=from_ms(int(id_.partition("-")[0])),
        who=fields["who"],
        via=fields["via"],
        action=fields["action"],
        tenant=fields.get("tenant"),
        target=fields.get("target"),
        number=int(fields["number"]) if "number" in fields else None,
        result=fields.get("result", "ok"),
        detail=json.loads(fields.get("detail", "{}")),
    )
