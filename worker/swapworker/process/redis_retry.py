"""While Redis is away: what a worker has in hand is kept, and until_stored when Redis is back."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final, TypeVar

from swapjobs.store.redis_client import REDIS_AWAY

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_PAUSE_S: Final = 0.2


def until_stored(write: Callable[[], T]) -> T:
    """Return the answer to a write; while Redis is away it is tried again, so it must do no harm twice.

    It occupies its slot meanwhile, so that no more is in hand than there are slots; and when Redis does not come back,
    the watchdog ends the process.
    """
    while True:
        try:
            return write()
        except REDIS_AWAY:
            time.sleep(_PAUSE_S + random.random())
