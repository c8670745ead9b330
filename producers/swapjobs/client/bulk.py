"""What `submit_many` makes of each item that it is given, against Redis and through the gateway alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from swapjobs.contract.errors import InvalidRequest
from swapjobs.contract.job import Submission
from swapjobs.contract.request import Request, parse_request

BLOCK: Final = 100  # requests that are taken from the caller's iterable at a time, and reach Redis in one round trip


def as_bulk(item: Any) -> Request | str:
    """Return a request of `submit_many`, `bulk` where it had no priority; or what is wrong with it."""
    try:
        if isinstance(item, dict):  # the first, as it is told at once
            return parse_request(item if "priority" in item else {"priority": "bulk", **item})
        if isinstance(item, Request):
            return item if "priority" in item.model_fields_set else item.model_copy(update={"priority": "bulk"})
        return parse_request({"priority": "bulk", **item} if isinstance(item, Mapping) else item)
    except InvalidRequest as error:
        return str(error)


def refused(problem: str) -> Submission:
    """Return what became of a request that is none."""
    return Submission(id=None, outcome="invalid", error=problem)
