"""The same pictures under URLs that were signed anew: what becomes of a job's stored request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from swapjobs.contract.errors import IdempotencyConflict, InvalidRequest
from swapjobs.contract.request import Request, as_stored, parse_request
from swapjobs.contract.vendor_tools.tool_input import is_url
from swapjobs.store import record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swapjobs.store.record import Record


def request_with(job: Record, urls: Mapping[str, str]) -> Request:
    """Return the job's request with these URLs, by the names that they have in the tool's input.

    Raises:
        InvalidRequest: a URL is none, or the tool takes none of that name.
        IdempotencyConflict: it is another picture's.
    """
    known = {name: value for name, value in job.request.items() if name not in record.ORIGIN_FIELDS}
    given = job.input
    for name in urls:
        if not isinstance(given.get(name), str):
            names = ", ".join(name for name, value in given.items() if isinstance(value, str) and is_url(value))
            raise InvalidRequest(f"{name}: is no URL of this job; it has {names or 'none'}", field=name)
    fresh = {"input": {**given, **urls}} if "input" in known else urls
    request = parse_request({**known, **fresh})
    if request.fingerprint() != job.fields["fingerprint"]:
        raise IdempotencyConflict(f"job {job.id} is about other pictures: submit a new one", job_id=job.id)
    return request


def packed_with(history: str, request: Request) -> tuple[str, str | None]:
    """Return a history's first entry, and the same with the URLs of `request`; None where they are those it has."""
    old = history.split("\n", 1)[0]
    before: dict[str, Any] = json.loads(old)
    now: dict[str, Any] = json.loads(record.pack(as_stored(request)))
    after = before | {name: now[name] for name in record.input_fields(now)}
    return old, json.dumps(after, separators=(",", ":"), ensure_ascii=False) if after != before else None
