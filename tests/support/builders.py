"""Requests and claimed jobs with defaults, and the one way in which tests wait."""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING, Any, TypeVar

from swapjobs import SwapRequest
from swapjobs.store.claims import Claim

if TYPE_CHECKING:
    from collections.abc import Callable

    from swapjobs.store.store import Store

T = TypeVar("T")
_numbers = itertools.count(1)


def job_of(message: Any) -> str:
    """Return the id of the job that a message from a ready queue leads to."""
    return str(json.loads(message)["properties"]["correlation_id"])


def make_request(**fields: Any) -> SwapRequest:
    """Return a valid request, with `fields` instead of the defaults."""
    number = next(_numbers)
    return SwapRequest.model_validate(
        {
            "source_url": f"https://pictures.example/source-{number}.jpg",
            "target_url": f"https://pictures.example/target-{number}.jpg",
            "business_task_id": f"order-{number}",
            **fields,
        }
    )


def submit(store: Store, **fields: Any) -> str:
    """Submit a request and return the job's id."""
    return str(store.jobs.submit([make_request(**fields)])[0].id)


def claim(store: Store, job_id: str, lease_s: float = 30) -> Claim:
    """Claim a job that must be claimable."""
    claimed = store.attempts.claim(job_id, lease_s)
    assert isinstance(claimed, Claim), claimed
    return claimed


def wait_until(condition: Callable[[], T], *, deadline_s: float = 20, what: str = "condition") -> T:
    """Return the first true answer of `condition`; fail after the deadline."""
    until = time.monotonic() + deadline_s
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < until, f"not after {deadline_s:g} s: {what}; last answer {answer!r}"
        time.sleep(0.02)
