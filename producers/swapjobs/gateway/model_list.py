"""The vendor's list of models, for the routes that give it: a few questions at once, since each holds a thread."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.errors import TooManyRequests

if TYPE_CHECKING:
    from swapjobs.client.swap_client import SwapClient
    from swapjobs.contract.model_page import ModelPage

_AT_ONCE: Final = 4
_free: Final = threading.BoundedSemaphore(_AT_ONCE)


def ask(client: SwapClient, **query: Any) -> ModelPage:
    """Return a page of it.

    Raises:
        TooManyRequests: others are waiting for theirs.
        InvalidRequest, VendorUnavailable: see `ask_for_models`.
    """
    if not _free.acquire(blocking=False):
        raise TooManyRequests(f"{_AT_ONCE} lists of models are being asked for already", retry_after_s=2)
    try:
        return client.models(**query)
    finally:
        _free.release()
