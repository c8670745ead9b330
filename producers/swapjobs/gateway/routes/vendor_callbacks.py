"""What the vendor posts to the `callbackUrl` that it was given: a reason to ask for the task now, and no more.

No page of the vendor's documents a signature or a sender, so nothing in the body is believed, or even read. The path
can't be guessed: it holds a code that only the fleet can make. The answer is what the vendor's page asks for, JSON with
`code` "200"; without it the vendor tries again.
"""

from __future__ import annotations

from fastapi import APIRouter

from swapjobs.contract.errors import JobNotFound
from swapjobs.gateway.dependencies import Gateway
from swapjobs.store.redis_client import queue_errors
from swapjobs.store.vendor.callbacks import PATH

router = APIRouter(prefix=PATH, include_in_schema=False)


@router.post("/{code}")
def called_back(code: str, gateway: Gateway) -> dict[str, str]:
    """Let the task's job be looked at now."""
    with queue_errors():
        if not gateway.store.callbacks.take(code):
            raise JobNotFound("nothing was to be told here")
    return {"code": "200"}
