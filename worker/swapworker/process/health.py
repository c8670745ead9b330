"""Does this worker live, and does it fetch work? For probes, which may restart it or leave it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from swapworker.process.watchdog import Watchdog

# The consumer beats every 5 s while it is connected.
_READY_WITHIN_S: Final = 20.0
_HANGS_AFTER_S: Final = 60.0
# After an outage Celery's next try to connect may be half a minute away: only then does its silence mean anything.
_RECONNECTED_WITHIN_S: Final = 45.0


class Health:
    """What the probes of one worker process are told."""

    def __init__(self, watchdog: Watchdog, is_draining: Callable[[], bool]) -> None:
        self._watchdog = watchdog
        self._is_draining = is_draining

    def not_live(self) -> str:
        """Return what hangs, so that only a restart helps; empty where nothing does. No Redis is no hang."""
        dispatcher_s = self._watchdog.silent_s("dispatcher") or 0
        dispatcher_works_s = self._watchdog.works_for_s("dispatcher")
        if dispatcher_s > _HANGS_AFTER_S and dispatcher_works_s:
            return f"the dispatcher hangs, for {dispatcher_s:.0f} s"
        consumer_s = self._watchdog.silent_s("consumer") or 0
        if consumer_s > _HANGS_AFTER_S and dispatcher_works_s > _RECONNECTED_WITHIN_S and not self._is_draining():
            return f"the consumer's loop hangs, for {consumer_s:.0f} s, while Redis answers"
        return ""

    def not_ready(self) -> str:
        """Return why no work is fetched; empty where it is."""
        if self._is_draining():
            return "draining"
        silent_s = self._watchdog.silent_s("consumer")
        if silent_s is None:
            return "starting"
        if silent_s > _READY_WITHIN_S:
            return f"fetches nothing, for {silent_s:.0f} s: Redis is away, or the loop hangs"
        return ""
