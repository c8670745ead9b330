"""What was announced of batches: the one place that knows where announcements lie."""

from __future__ import annotations

import json
from typing import Any


def announced(client: Any, batch_id: str | None = None) -> list[dict[str, str]]:
    """Return the data of each `batch.completed`, oldest first: the fields of the batch at that moment."""
    events = [json.loads(line) for line in client.lrange("swapjobs:announced", 0, -1)]
    assert all(event["event"] == "batch.completed" for event in events)
    told = [{**json.loads(event["data"]), "tenant": event["tenant"], "id": event["subject"]} for event in events]
    return [each for each in told if batch_id in {None, each["id"]}]
