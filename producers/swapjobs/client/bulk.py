"""What `submit_many` makes of each item that it is given, against Redis and through the gateway alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from swapjobs.contract.errors import InvalidRequest
from swapjobs.contract.job import Submission
from swapjobs.contract.request import Request, parse_request

BLOCK: Final = 100  # requests that are taken from the caller's iterable at a time, and reach Redis in one round trip


def as_bulk(item: Any) -> Request | Submission:
    """Return a request of `submit_many`, `bulk` where it had no priority; or what is wrong with it."""
    if isinstance(item, Request):
        return item if "priority" in item.model_fields_set else item.model_copy(update={"priority": "bulk"})
    try:
        return parse_request({"priority": "bulk", **item} if isinstance(item, Mapping) else item)
    except InvalidRequest as error:
        return Submission(id=None, outcome="invalid", error=str(error))
