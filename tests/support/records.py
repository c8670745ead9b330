"""Records of jobs and deliveries as they lie in Redis: read, made and changed by tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swapjobs.store import record
from swapjobs.store.record import HEAD

if TYPE_CHECKING:
    from collections.abc import Mapping


def packed(fields: Mapping[str, str], history: str = "{}") -> str:
    """Return a record's text, as lua/shared/records/record.lua would write it."""
    given = {"created_at": "0", **fields}
    at = int(given["created_at"])
    for span, time in (("waited_ms", "started_at"), ("ran_ms", "finished_at")):
        if time in given:
            given[span] = str(int(given[time]) - at)
            at = int(given.pop(time))
    others = [f"{name}={value}" for name, value in given.items() if name not in HEAD]
    return "\t".join([*(given.get(name, "") for name in HEAD), *others]) + "\n" + history


def fields(client: Any, id_: str) -> dict[str, str]:
    """Return the fields of a record; none where there is no record."""
    text = client.get(record.key_of(id_))
    return record.fields_of(text) if text else {}


def set_fields(client: Any, id_: str, **values: str | int) -> None:
    """Change fields of a record, as nothing in the product would."""
    text = client.get(record.key_of(id_))
    changed = {**record.fields_of(text), **{name: str(value) for name, value in values.items()}}
    client.set(record.key_of(id_), packed(changed, record.history_of(text)), keepttl=True)


def requests(client: Any) -> list[str]:
    """Return the request of every job, as JSON."""
    names = list(client.scan_iter(f"{record.key_of('')}*", count=1000))
    return [record.history_of(text).partition("\n")[0] for text in (client.mget(names) if names else ())]
