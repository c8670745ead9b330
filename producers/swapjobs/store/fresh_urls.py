"""The same pictures under URLs that were signed anew: what becomes of a job's stored request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from swapjobs.contract.errors import IdempotencyConflict
from swapjobs.contract.job import SwapRequest
from swapjobs.contract.signed_urls import PICTURES
from swapjobs.store import record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swapjobs.store.record import Record


def request_with(job: Record, urls: Mapping[str, str]) -> SwapRequest:
    """Return the job's request with these URLs.

    Raises:
        InvalidRequest: a URL is none.
        IdempotencyConflict: it is another picture's.
    """
    known = {name: value for name, value in job.request.items() if name not in record.ORIGIN_FIELDS}
    request = SwapRequest.parse({**known, **urls})
    if request.fingerprint() != job.fields["fingerprint"]:
        raise IdempotencyConflict(f"job {job.id} is about other pictures: submit a new one", job_id=job.id)
    return request


def packed_with(history: str, request: SwapRequest) -> tuple[str, str | None]:
    """Return a history's first entry, and the same with the URLs of `request`; None where they are those it has."""
    old = history.split("\n", 1)[0]
    before: dict[str, Any] = json.loads(old)
    now: dict[str, Any] = json.loads(record.pack(request))
    after = before | {name: now[name] for name in PICTURES if name in now}
    return old, json.dumps(after, separators=(",", ":"), ensure_ascii=False) if after != before else None
