"""Is this worker getting anywhere? If not it ends, or begins anew: its supervisor can't know."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

# Between two looks: then this process itself did not run.
_FROZEN_S: Final = 5.0


class Watchdog:
    """What has happened lately. Time is an argument."""

    def __init__(self, stall_exit_s: float, now: Callable[[], float]) -> None:
        self._stall_exit_s = stall_exit_s
        self._now = now
        self._last: dict[str, float] = {}
        self._watched: set[str] = set()
        self._works_since: dict[str, float] = {}
        self._failing: dict[str, float] = {}
        self._looked_at = now()

    def watch(self, what: str) -> None:
        """Expect this part of the worker to do its work again and again from now on."""
        self._watched.add(what)
        self._last[what] = self._now()

    def heartbeat(self, what: str) -> None:
        """Note that this part has just done its work: the `consumer`, the `dispatcher`, the `lease keeper`."""
        now = self._now()
        self._last[what] = now
        self._works_since.setdefault(what, now)
        since = self._failing.pop(what, None)
        if since is not None:
            self._works_since[what] = now
            logger.warning("the %s works again, after %.1f s", what, now - since)

    def report_failure(self, what: str, error: Exception) -> None:
        """Note that this part could not do its work; told once, however often it tries again."""
        if what not in self._failing:
            self._failing[what] = self._now()
            logger.warning("the %s cannot work: %s", what, type(error).__name__)

    def silent_s(self, what: str) -> float | None:
        """Return the seconds since this part last did its work; None before it did so at all."""
        return self._now() - self._last[what] if what in self._works_since else None

    def works_for_s(self, what: str) -> float:
        """Return for how many seconds this part has not failed; 0 before it did its work at all."""
        if what in self._failing or what not in self._works_since:
            return 0.0
        return self._now() - self._works_since[what]

    def stalled(self) -> str | None:
        """Return what stands still for too long, as a sentence; None while all goes well. To be asked every second."""
        now = self._now()
        unseen_s, self._looked_at = now - self._looked_at, now
        for what in self._last:
            if unseen_s > _FROZEN_S:
                # Stopped by SIGSTOP, or with its whole machine: nothing can have been done meanwhile.
                self._last[what] = min(self._last[what] + unseen_s, now)
            if what in self._watched and (gap_s := now - self._last[what]) > self._stall_exit_s:
                return f"no progress for {gap_s:.0f} s: the {what} could not reach Redis (SWAPJOBS_STALL_EXIT_S)"
        return None
