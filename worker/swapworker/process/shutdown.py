"""Stopping a worker: what runs may end within the grace, the rest is handed back at once, and the exit status is 0.

Celery's warm shutdown stops fetching and waits for the pool without a limit; threads cannot be cut off, so at the end
of the grace the process leaves them behind. A second signal, or SIGQUIT, ends the grace.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

_LAST_FETCH_S: Final = 3.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


class Shutdown:
    """One worker process's way out.

    Args:
        on_begin: Called once, when the grace begins: nothing new is to start.
        hand_back: Gives back what this process still has in hand, and returns how much.
        grace_s: Seconds that what runs may still take; asked when the grace begins.
    """

    def __init__(
        self, on_begin: Callable[[], None], hand_back: Callable[[], int], grace_s: Callable[[], float]
    ) -> None:
        self._on_begin = on_begin
        self._hand_back = hand_back
        self._grace_s = grace_s
        self._begun = False
        self._hurry = threading.Event()
        self.fetching_ended = threading.Event()

    @property
    def begun(self) -> bool:
        """Whether this process is on its way out."""
        return self._begun

    def begin(self) -> None:
        """Start the grace. Called in the main thread, also inside a signal handler."""
        if self._begun:
            return
        self._begun = True
        self._on_begin()
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self.force)
        threading.Thread(target=self._wait, name="shutdown", daemon=True).start()

    def signalled(self, *_: Any) -> None:
        """Begin, or at the second signal end, the grace; a signal handler."""
        if self._begun:
            return self._hurry.set()
        return self.begin()

    def force(self, *_: Any) -> None:
        """End the grace; a signal handler."""
        self.begin()
        self._hurry.set()

    def _wait(self) -> None:
        grace_s = self._grace_s()
        logger.info("warm shutdown: what runs has %g s to end", grace_s)
        # Where everything ends in time the process does too, and this daemon thread with it.
        self._hurry.wait(grace_s)
        # What is handed back sooner could come to this very worker again.
        self.fetching_ended.wait(_LAST_FETCH_S)
        try:
            handed_back = self._hand_back()
            logger.warning("stopped with calls under way: %d jobs handed back", handed_back)
        finally:
            os._exit(0)
