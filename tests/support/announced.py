"""What was announced of batches: the one place that knows where announcements lie."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from swapjobs.store import keys, record

if TYPE_CHECKING:
    from collections.abc import Mapping

LISTENER = "https://one.example/batches"


def announced(client: Any, batch_id: str | None = None) -> list[dict[str, str]]:
    """Return the data of each `batch.completed` that anybody is told, oldest first: its fields at that moment."""
    prefix = keys.delivery("")
    names = list(client.scan_iter(f"{prefix}*", count=1000))
    texts = client.mget(names) if names else ()
    deliveries = {name.removeprefix(prefix): text for name, text in zip(names, texts, strict=True)}
    return [data for data in announced_in(deliveries) if batch_id in {None, data["id"]}]


def announced_in(deliveries: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the same of deliveries as they lie in Redis, by their ids."""
    result = {}
    for id_, text in deliveries.items():
        delivery = record.unpack(id_, text)
        if delivery.fields["event"] == "batch.completed":
            order = tuple(int(number) for number in id_.partition("@")[0].split("_")[1:])
            tenant, subject = delivery.fields["tenant"], delivery.fields["subject"]
            result[order] = {**json.loads(delivery.request["data"]), "tenant": tenant, "id": subject}
    return [result[order] for order in sorted(result)]
