"""When a webhook is tried again: the schedule that Standard Webhooks 1.0 proposes, about three days in all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swapworker.delivery.sender import Style

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0

PAUSES_S: Final[Mapping[Style, tuple[float, ...]]] = {
    "standard": (
        0.0,
        5.0,
        5 * _MINUTE,
        30 * _MINUTE,
        2 * _HOUR,
        5 * _HOUR,
        10 * _HOUR,
        14 * _HOUR,
        20 * _HOUR,
        24 * _HOUR,
    ),
    # as the vendor tries its own callbacks again, at most ten times
    "vendor": (0.0, 3.0, 5.0, 15.0, 30.0, _MINUTE, 10 * _MINUTE, _HOUR, _HOUR, _HOUR),
}
"""Seconds before each try, counted from the one before."""


def next_delay(
    tries: int, random: Callable[[], float], retry_after_s: float | None = None, *, style: Style = "standard"
) -> float | None:
    """Return the seconds to wait after `tries` tries, or None to give up.

    Up to a tenth more or less by chance (`random` gives 0 to 1), so that the deliveries that an outage stopped do not
    all come back at once; never less than the receiver's own `retry_after_s`.
    """
    pauses = PAUSES_S[style]
    if tries >= len(pauses):
        return None
    return max(pauses[tries] * (0.9 + 0.2 * random()), retry_after_s or 0.0)
