"""The fleet's traffic state as tests read and set it, by the names in `swapjobs/traffic.py`."""

from __future__ import annotations

from typing import Any

from swapjobs.store.functions import Scripts, library
from swapjobs.store.record import pairs

_LIBRARY = library(604_800)


def peek(redis: Any, name: str) -> float:
    """Return one of the numbers."""
    return float(pairs(Scripts(redis, _LIBRARY).run("look")[1])[name])


def poke(redis: Any, **values: float) -> None:
    """Set some of the numbers; `tripped` is a place in `traffic.OUTAGES`."""
    Scripts(redis, _LIBRARY).run("set_limits", *(item for pair in values.items() for item in pair))
