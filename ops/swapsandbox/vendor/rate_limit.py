"""The sandbox's own rate limit, as a commercial vendor would hold it against its customers."""

from __future__ import annotations

import re
import threading
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_PERIODS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}
_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)(?:/([smh]))?")


class RateError(ValueError):
    """A rate that cannot be read."""


def parse_rate(text: str) -> float:
    """Return calls per second from `5`, `5/s`, `300/m` or `1000/h`.

    Raises:
        RateError: it is none of these, or zero.
    """
    match = _RATE.fullmatch(text.strip())
    rate = float(match[1]) / _PERIODS[match[2] or ""] if match else 0.0
    if rate <= 0:
        raise RateError(f"not a rate: {text!r} (expected for example 5, 5/s, 300/m or 1000/h)")
    return rate


class RateLimit:
    """A generic cell rate algorithm: any window of T seconds admits at most rate x T + burst calls.

    A refused call costs nothing, so a caller that waits as long as it was told gets through.

    Args:
        rate: Calls per second.
        burst: So many calls may come at once. The default leaves one interval of slack for the network, without
            which even a caller that keeps exact distances would be refused now and then.
    """

    def __init__(self, rate: float, burst: int = 2) -> None:
        if rate <= 0 or burst < 1:
            raise RateError(f"a rate must be above 0 and a burst at least 1, not {rate} and {burst}")
        self.rate = rate
        self.burst = burst
        self._lock = threading.Lock()
        self._next_free = 0.0

    def wait_s(self, now: float) -> float:
        """Admit a call that arrives at `now` and return 0, or refuse it and return the seconds until it would pass."""
        with self._lock:
            interval = 1.0 / self.rate
            start = max(self._next_free, now)
            wait = start - (self.burst - 1) * interval - now
            # Float noise of an epoch timestamp (about 0.2 us) must not refuse a call that is exactly on time.
            if wait > 1e-6:  # noqa: PLR2004 - named in the comment above
                return wait
            self._next_free = start + interval
            return 0.0


def most_in_window(times: Sequence[float], window_s: float) -> int:
    """Return the largest number of `times` (ascending) in any half-open window of `window_s` seconds."""
    return max((bisect_left(times, start + window_s) - at for at, start in enumerate(times)), default=0)
