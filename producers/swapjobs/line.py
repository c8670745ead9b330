"""How the line to the vendor stands: open, or closed, and then by whom, since when, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

Why = Literal["paused", "rate_limit", "vendor_outage", "credentials_rejected", "quota_exhausted"]


@dataclass(frozen=True, slots=True)
class Line:
    """The state of traffic control, as far as a person wants to know it.

    Closed with the reason `paused` by the user's hand, `rate_limit` by the vendor's Retry-After (until `opens_at`),
    another by the breaker, which asks again at `next_probe_at`.
    """

    state: Literal["open", "closed"]
    reason: Why | None
    since: datetime | None
    next_probe_at: datetime | None
    opens_at: datetime | None
    in_flight: int

    @classmethod
    def read(cls, traffic: Mapping[str, str], now_ms: int) -> Self:
        """Return what the traffic hash says."""
        in_flight = int(traffic.get("in_flight", 0))
        paused_until = float(traffic.get("paused_until") or 0)
        if traffic.get("held"):
            return cls("closed", "paused", _time(traffic["held"]), None, None, in_flight)
        if traffic.get("tripped"):
            since, probe_at = _time(traffic["tripped_at"]), _time(traffic["probe_at"])
            return cls("closed", traffic["tripped"], since, probe_at, None, in_flight)  # type: ignore[arg-type]  # by breaker.lua
        if paused_until > now_ms:
            return cls("closed", "rate_limit", None, None, _time(traffic["paused_until"]), in_flight)
        return cls("open", None, None, None, None, in_flight)


def _time(ms: str) -> datetime:
    return datetime.fromtimestamp(float(ms) / 1000, UTC)
