"""The one way in which the harness lets time pass."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def watch(condition: Callable[[], object], seconds: float, *, step_s: float = 0.05) -> bool:
    """Ask `condition` again and again until it holds or the seconds are over; tell whether it held."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= until:
            return False
        time.sleep(step_s)
    return True


def pass_time(seconds: float) -> None:
    """Come back after so many seconds."""
    watch(lambda: False, seconds, step_s=min(seconds, 0.05))
