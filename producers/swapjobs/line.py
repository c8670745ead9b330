"""How the line to the vendor stands: open, or closed, and then by whom, since when, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from swapjobs import keys
from swapjobs.scripts import MAX_PAUSE_MS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import redis

Why = Literal["paused", "rate_limit", "vendor_outage", "credentials_rejected", "quota_exhausted"]

# What the scripts count, as `count:*` in the traffic hash, and what each means to a person.
COUNTS: Final = {
    "rescued": "jobs rescued from dead workers",
    "maybe_paid_twice": "calls that may have been paid twice",
    "late_success": "pictures that came after the job had ended",
    "fenced": "results refused: another worker had the job",
    "outages": "times the line was closed by failing calls",
}

_BLOCK: Final = 1000  # lines asked for in one round trip, so that each stays short


class Line(BaseModel):
    """The state of traffic control, as far as a person wants to know it. Times are UTC, by Redis' clock.

    Closed with the reason `paused` by the user's hand; `rate_limit` by the vendor's Retry-After, until `opens_at`;
    another by the breaker, which asks the vendor again from `next_probe_at` on, with the next job that a worker takes
    up. After an outage the rate grows until `full_rate_at`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: datetime
    state: Literal["open", "closed"]
    reason: Why | None = None
    since: datetime | None = None  # not known for `rate_limit`
    next_probe_at: datetime | None = None
    probing: bool = False  # the vendor is being asked right now
    opens_at: datetime | None = None
    full_rate_at: datetime | None = None
    in_flight: int  # calls booked or made, and not answered yet
    in_line: dict[str, int]  # by lane: jobs that wait for their turn, not those that wait for a time of their own


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at Redis told: the traffic hash, and how many stand in line in each lane."""

    traffic: Mapping[str, str]
    now_ms: int
    in_line: Mapping[str, int]
    probing: bool = False

    def number(self, field: str) -> float:
        """Return a field of the traffic hash; 0 where nobody has written it yet."""
        return float(self.traffic.get(field) or 0)

    @property
    def counts(self) -> dict[str, int]:
        """How often each of `COUNTS` happened, since this Redis is in use."""
        return {name: int(self.number(f"count:{name}")) for name in COUNTS}

    @property
    def interval_ms(self) -> float | None:
        """From one call of the fleet to the next; None before the first worker."""
        return self.number("interval") or None

    @property
    def line(self) -> Line:
        """The same for people and programs. The user's hand comes first, then the breaker: it outlasts a pause."""
        known: dict[str, Any] = {
            "as_of": _time(self.now_ms),
            "in_flight": int(self.number("in_flight")),
            "in_line": dict(self.in_line),
        }
        paused_until = min(self.number("paused_until"), self.now_ms + MAX_PAUSE_MS)  # cut like in traffic.lua
        if self.traffic.get("held"):
            return Line(state="closed", reason="paused", since=_time(self.number("held")), **known)
        if self.traffic.get("tripped"):
            return Line(
                state="closed",
                reason=self.traffic["tripped"],
                since=_time(self.number("tripped_at")),
                next_probe_at=_time(max(self.number("probe_at"), paused_until)),
                probing=self.probing,
                **known,
            )
        if paused_until > self.now_ms:
            return Line(state="closed", reason="rate_limit", opens_at=_time(paused_until), **known)
        ramped_at = self.number("reset_at") + self.number("ramp")
        growing = self.number("reset_at") <= self.now_ms < ramped_at
        return Line(state="open", full_rate_at=_time(ramped_at) if growing else None, **known)


def look(client: redis.Redis) -> Look:
    """Look at the line: one command for each tenant and host that stands in it, 1000 in a round trip.

    Measured with 10,000 tenants: 16 ms of Redis' CPU, 0.13 s in all.
    Not one atomic step, which would keep workers waiting: jobs that move meanwhile may be counted twice or not at all.

    Raises:
        redis.RedisError: Redis cannot be asked.
    """
    with client.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.hgetall(keys.traffic())
        for lane in keys.LANES:
            pipe.zcard(keys.hints(lane))  # their hint is out: the next in line
            pipe.zrange(keys.turns(lane), 0, -1)
        (seconds, microseconds), traffic, *lanes = pipe.execute()
        now_ms = seconds * 1000 + microseconds // 1000
        in_line = dict(zip(keys.LANES, lanes[::2], strict=True))
        lines = [(lane, who) for lane, who_all in zip(keys.LANES, lanes[1::2], strict=True) for who in who_all]
        for start in range(0, len(lines), _BLOCK):
            block = lines[start : start + _BLOCK]
            for lane, who in block:
                pipe.zcard(keys.line(lane, who))
            for (lane, _), length in zip(block, pipe.execute(), strict=True):
                in_line[lane] += length
    lease_ends = client.zscore(keys.wake(), f"lease:{traffic['probe']}") if traffic.get("probe") else None
    return Look(traffic, now_ms, in_line, probing=lease_ends is not None and float(lease_ends) > now_ms)


def _time(ms: float) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
