"""What was announced of batches: the one place that knows where announcements lie."""

from __future__ import annotations

import json
from typing import Any

from swapjobs.store import keys, record

LISTENER = "https://one.example/batches"


def announced(client: Any, batch_id: str | None = None) -> list[dict[str, str]]:
    """Return the data of each `batch.completed` that anybody is told, oldest first: its fields at that moment."""
    prefix = keys.delivery("")
    result = {}
    for key in client.scan_iter(f"{prefix}*", count=1000):
        id_ = key.removeprefix(prefix)
        delivery = record.unpack(id_, client.get(key))
        tenant, subject = delivery.fields["tenant"], delivery.fields["subject"]
        if delivery.fields["event"] == "batch.completed" and batch_id in {None, subject}:
            order = tuple(int(number) for number in id_.partition("@")[0].split("_")[1:])
            result[order] = {**json.loads(delivery.request["data"]), "tenant": tenant, "id": subject}
    return [result[order] for order in sorted(result)]
