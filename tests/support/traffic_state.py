"""The fleet's traffic state as tests read and set it, by the names in `store/fleet_state.py`."""

from __future__ import annotations

from typing import Any

from swapjobs.store.functions import Functions
from swapjobs.store.library import library
from swapjobs.store.record import pairs


def _functions(redis: Any) -> Functions:
    return Functions(redis, library(), 604_800)


def peek(redis: Any, name: str) -> float:
    """Return one of the numbers."""
    return float(pairs(_functions(redis).call("fleet/inspect")[1])[name])


def poke(redis: Any, **values: float) -> None:
    """Set some of the numbers; `tripped` is a place in `fleet_state.OUTAGES`."""
    _functions(redis).call("fleet/set_limits", *(item for pair in values.items() for item in pair))
