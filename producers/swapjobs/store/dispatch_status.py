"""How the line to the vendor stands: open, or closed, and then by whom, since when, and until when."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Self, cast

from pydantic import BaseModel, ConfigDict

from swapjobs.store import keys, worker_usage
from swapjobs.store.fleet_state import LEARNED, OUTAGES
from swapjobs.store.library import MAX_PAUSE_MS
from swapjobs.store.record import pairs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import redis

RateWhy = Literal["limit", "test", "shut"]
Why = Literal["paused", "rate_limit", "vendor_outage", "credentials_rejected", "quota_exhausted"]

# What the scripts count, as `count:*` in the traffic hash, and what each means to a person.
COUNTS: Final = {
    "rescued": "jobs rescued from dead workers",
    "maybe_paid_twice": "calls that may have been paid twice",
    "late_success": "pictures that came after the job had ended",
    "unusable_pictures": "swaps done, and paid for, whose picture URL can't be used",
    "fenced": "results refused: another worker had the job",
    "outages": "times the line was closed by failing calls",
}

_BLOCK: Final = 1000  # lines asked for in one round trip, so that each stays short


class Line(BaseModel):
    """The state of traffic control, as far as a person wants to know it. Times are UTC, by Redis' clock.

    Closed with the reason `paused` by the user's hand; `rate_limit` by the vendor's Retry-After, until `opens_at`;
    another by the breaker, which asks the vendor again from `next_probe_at` on, with the next job that a worker takes
    up. After an outage the rate grows until `full_rate_at`.

    What refusals taught about the rate is `rate_why`: `limit`, fewer calls were refused at a lower rate, so the vendor
    allows less than the limit; `test`, that is being found out; `shut`, nothing at all came through.
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
    rate: float  # calls per second that may be made now: less than the limit after refusals and outages
    rate_limit: float  # calls per second, as the workers have set it
    rate_why: RateWhy | None = None  # None: refusals have not lowered it
    rate_since: datetime | None = None
    refused_anyway: float = 0  # the share of calls that the vendor refuses at any rate: going slower would not help
    in_line: dict[str, int]  # by lane: jobs that wait for their turn, not those that wait for a time of their own
    workers: dict[str, int] = {}  # by queue: processes that showed a sign of life in the last 20 s
    unattended: list[str] = []  # queues in which something waits while no worker is there


class LearnedRate(BaseModel):
    """The part of a `Line` that tells of the rate: the limit, what is used of it, why, and since when."""

    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)

    as_of: datetime
    rate: float
    rate_limit: float
    rate_why: RateWhy | None
    rate_since: datetime | None
    refused_anyway: float


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at Redis told: the traffic state, the counts, and how many stand in line in each lane."""

    traffic: Mapping[str, float]
    counted: Mapping[str, str]
    now_ms: int
    in_line: Mapping[str, int]
    probing: bool = False
    workers: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, client: redis.Redis, told: Any) -> Self:
        """Return what look.lua told, with the lines and the workers, which are counted after it.

        Raises:
            redis.RedisError: Redis cannot be asked.
        """
        now_ms, traffic, counts, probing = told
        numbers = {name: float(value) for name, value in pairs(traffic).items()}
        workers = worker_usage.workers(client, now_ms)
        return cls(numbers, pairs(counts), now_ms, in_line(client), probing=bool(probing), workers=workers)

    @property
    def counts(self) -> dict[str, int]:
        """How often each of `COUNTS` happened, since this Redis is in use."""
        return {name: int(self.counted.get(name, 0)) for name in COUNTS}

    @property
    def rate_limit(self) -> float | None:
        """Calls per second that the workers have set as the fleet's limit; None before the first worker."""
        return 1000 / self.traffic["interval"] if self.traffic["limits"] else None

    @property
    def _unattended(self) -> list[str]:
        swaps = sum(self.in_line.get(lane, 0) for lane in (keys.INTERACTIVE, keys.BULK))
        waiting = {
            # calls in flight with no worker are those of one that was killed
            keys.SWAPS_QUEUE: swaps + int(self.traffic["in_flight"]),
            keys.WEBHOOKS_QUEUE: self.in_line.get(keys.WEBHOOKS, 0),
        }
        if self.traffic["held"]:
            waiting[keys.SWAPS_QUEUE] = 0  # they are to wait
        return [queue for queue, count in self.workers.items() if not count and waiting.get(queue)]

    @property
    def line(self) -> Line:
        """The same for people and programs. The user's hand comes first, then the breaker: it outlasts a pause."""
        now = self.traffic
        known: dict[str, Any] = {
            "as_of": _time(self.now_ms),
            "in_flight": int(now["in_flight"]),
            "in_line": dict(self.in_line),
            "workers": dict(self.workers),
            "unattended": self._unattended,
            "rate": round(now["rate"], 6),
            "rate_limit": round(1000 / now["interval"], 6),
            "rate_why": LEARNED[int(now["learned_why"])] or None,
            "rate_since": _time(now["cut_at"]) if now["learned_why"] else None,
            "refused_anyway": round(now["noise"], 4),
        }
        paused_until = min(now["paused_until"], self.now_ms + MAX_PAUSE_MS)  # cut like in traffic.lua
        if now["held"]:
            return Line(state="closed", reason="paused", since=_time(now["held"]), **known)
        if now["tripped"]:
            return Line(
                state="closed",
                reason=cast("Why", OUTAGES[int(now["tripped"])]),
                since=_time(now["tripped_at"]),
                next_probe_at=_time(max(now["probe_at"], paused_until)),
                probing=self.probing,
                **known,
            )
        if paused_until > self.now_ms:
            return Line(state="closed", reason="rate_limit", opens_at=_time(paused_until), **known)
        ramped_at = now["reset_at"] + now["ramp"]
        growing = now["reset_at"] <= self.now_ms < ramped_at
        return Line(state="open", full_rate_at=_time(ramped_at) if growing else None, **known)


def in_line(client: redis.Redis) -> dict[str, int]:
    """Return how many jobs stand in each lane: one command for each tenant and host there, 1000 in a round trip.

    Not one atomic step, which would keep workers waiting: jobs that move meanwhile may be counted twice or not at all.

    Raises:
        redis.RedisError: Redis cannot be asked.
    """
    with client.pipeline(transaction=False) as pipe:
        for lane in keys.LANES:
            pipe.zcard(keys.hints(lane))  # their hint is out: the next in line
            pipe.zrange(keys.turns(lane), 0, -1)
            pipe.smembers(keys.aside(lane))
        lanes = dict(zip(keys.LANES, _in_threes(pipe.execute()), strict=True))
        found = {lane: hinted for lane, (hinted, _, _) in lanes.items()}
        lines = [(lane, who) for lane, (_, turns, aside) in lanes.items() for who in (*turns, *aside)]
        for start in range(0, len(lines), _BLOCK):
            block = lines[start : start + _BLOCK]
            for lane, who in block:
                pipe.zcard(keys.line(lane, who))
            for (lane, _), length in zip(block, pipe.execute(), strict=True):
                found[lane] += length
    return found


def _in_threes(answers: list[Any]) -> Iterator[tuple[Any, Any, Any]]:
    return zip(answers[::3], answers[1::3], answers[2::3], strict=True)


def _time(ms: float) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
