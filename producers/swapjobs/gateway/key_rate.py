"""How many requests each key may make: a sliding window counter, in this process.

The requests of the window that runs count whole, and those of the one before by as much of it as lies within the last
period: two numbers for a key, and no burst of twice the rate where two windows meet. The package `limits` does the
same; in memory it starts a thread every 10 ms to forget old windows, which was a sixth of what a request took.
"""

from __future__ import annotations

from math import floor
from typing import Final, NamedTuple

_REMEMBERED: Final = 10_000  # keys; those of a window that is long over are forgotten first


class Hit(NamedTuple):
    """What one request found: whether it may pass, how many more may, and in how many seconds it will be one more."""

    passed: bool
    remaining: int
    reset_s: float


class KeyRate:
    """Counts requests by key; `amount` in `period_s` may pass. Only for the event loop's own thread."""

    def __init__(self, amount: int, period_s: int) -> None:
        self.amount, self.period_s = amount, period_s
        # the window's number; requests in it, and in the one before
        self._counted: dict[str, tuple[int, int, int]] = {}

    def hit(self, key_id: str, now_s: float) -> Hit:
        """Count a request, if it may pass."""
        window = int(now_s // self.period_s)
        left_s = (window + 1) * self.period_s - now_s
        last, current, previous = self._counted.get(key_id, (window, 0, 0))
        if last != window:
            current, previous = 0, current if last == window - 1 else 0
        of_previous = previous * left_s / self.period_s
        passed = floor(of_previous + current) < self.amount
        if passed:
            current += 1
            self._counted[key_id] = window, current, previous
            if len(self._counted) > _REMEMBERED:
                self._forget(window)
        remaining = max(0, self.amount - floor(of_previous + current))
        until_fewer_s = [left_s % (self.period_s / previous)] if previous else []
        return Hit(passed, remaining, min([*until_fewer_s, left_s]))

    def _forget(self, window: int) -> None:
        self._counted = {key: value for key, value in self._counted.items() if value[0] >= window - 1}
