"""Dispatch: its limits, its state, and the dispatcher's step that keeps jobs moving."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self, cast

from swapjobs.contract.dispatch_status import DispatchStatus, PauseReason
from swapjobs.contract.timestamps import from_ms
from swapjobs.store import keys, worker_usage
from swapjobs.store.fleet_state import MAX_PAUSE_MS, OUTAGES, RATE_REASONS, limits_of
from swapjobs.store.record import pairs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import redis

    from swapjobs.settings import WorkerSettings
    from swapjobs.store.functions import Functions

# What the functions count, as fields of `keys.counts`, and what each means to a person.
COUNTS: Final = {
    "rescued": "jobs rescued from dead workers",
    "maybe_paid_twice": "calls that may have been paid twice",
    "late_success": "pictures that came after the job had ended",
    "vendor_callbacks": "callbacks of the vendor that told of an unfinished task",
    "unusable_pictures": "swaps done, and paid for, whose picture URL can't be used",
    "fenced": "results refused: another worker had the job",
    "outages": "times dispatch was paused by failing calls",
}

_BLOCK: Final = 1000  # queues asked for in one round trip, so that each stays short


@dataclass(frozen=True, slots=True)
class TrafficSnapshot:
    """What one look at Redis brought: the fleet state, the counts, and how many jobs are queued in each lane."""

    numbers: Mapping[str, float]
    counted: Mapping[str, str]
    now_ms: int
    queued: Mapping[str, int]
    probing: bool = False
    workers: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, client: redis.Redis, answer: Any) -> Self:
        """Return what inspect.lua answered, with the queues and the workers, which are counted after it.

        Raises:
            redis.RedisError: Redis cannot be asked.
        """
        now_ms, numbers, counts, probing = answer
        state = {name: float(value) for name, value in pairs(numbers).items()}
        workers = worker_usage.workers(client, now_ms)
        return cls(state, pairs(counts), now_ms, queued(client), probing=bool(probing), workers=workers)

    @property
    def counts(self) -> dict[str, int]:
        """How often each of `COUNTS` happened, since this Redis is in use."""
        return {name: int(self.counted.get(name, 0)) for name in COUNTS}

    @property
    def rate_limit(self) -> float | None:
        """Calls per second that the workers have set as the fleet's limit; None before the first worker."""
        return 1000 / self.numbers["interval"] if self.numbers["limits"] else None

    @property
    def _unattended(self) -> list[str]:
        swaps = sum(self.queued.get(lane, 0) for lane in (keys.INTERACTIVE, keys.BULK))
        waiting = {
            # calls in flight with no worker are those of one that was killed
            keys.SWAPS_QUEUE: swaps + int(self.numbers["in_flight"]),
            keys.WEBHOOKS_QUEUE: self.queued.get(keys.WEBHOOKS, 0),
        }
        if self.numbers["paused_manually"]:
            waiting[keys.SWAPS_QUEUE] = 0  # they are to wait
        return [queue for queue, count in self.workers.items() if not count and waiting.get(queue)]

    @property
    def status(self) -> DispatchStatus:
        """The same for people and programs. The operator's pause comes first, then the breaker: it outlasts others."""
        now = self.numbers
        common: dict[str, Any] = {
            "as_of": from_ms(self.now_ms),
            "in_flight": int(now["in_flight"]),
            "queued": dict(self.queued),
            "workers": dict(self.workers),
            "unattended": self._unattended,
            "rate": round(now["rate"], 6),
            "rate_limit": round(1000 / now["interval"], 6),
            "rate_reason": RATE_REASONS[int(now["rate_reason"])] or None,
            "rate_since": from_ms(now["rate_since"]) if now["rate_reason"] else None,
            "refused_at_any_rate": round(now["noise"], 4),
        }
        paused_until = min(now["paused_until"], self.now_ms + MAX_PAUSE_MS)  # cut like in lua/shared/fleet/gate.lua
        if now["paused_manually"]:
            return DispatchStatus(state="paused", reason="manual", since=from_ms(now["paused_manually"]), **common)
        if now["tripped"]:
            return DispatchStatus(
                state="paused",
                reason=cast("PauseReason", OUTAGES[int(now["tripped"])]),
                since=from_ms(now["tripped_at"]),
                next_probe_at=from_ms(max(now["probe_at"], paused_until)),
                probing=self.probing,
                **common,
            )
        if paused_until > self.now_ms:
            return DispatchStatus(state="paused", reason="rate_limit", resumes_at=from_ms(paused_until), **common)
        ramped_at = now["reset_at"] + now["ramp"]
        growing = now["reset_at"] <= self.now_ms < ramped_at
        return DispatchStatus(state="running", full_rate_at=from_ms(ramped_at) if growing else None, **common)


class DispatchStore:
    """Dispatch in one Redis: what workers set, what operators do, and the dispatcher's step."""

    def __init__(self, client: redis.Redis, functions: Functions) -> None:
        self._redis = client
        self._functions = functions

    def set_limits(self, settings: WorkerSettings) -> None:
        """Write the fleet's limits, and whom the metrics name; workers do it at start, the last one wins."""
        limits = limits_of(settings)
        self._functions.call("fleet/set_limits", *(item for pair in limits.items() for item in pair))
        self._redis.delete(keys.metrics_tenants())
        if settings.metrics_tenants:
            self._redis.sadd(keys.metrics_tenants(), *settings.metrics_tenants)

    def pause(self) -> None:
        """Pause dispatch, durably: no call is begun until `resume`; webhooks go on."""
        self._functions.call("fleet/pause_dispatch")

    def resume(self) -> None:
        """End a manual pause; where the breaker is open the vendor is probed at once."""
        self._functions.call("fleet/resume_dispatch")

    def forget_rate(self) -> None:
        """Forget what refusals taught about the rate."""
        self._functions.call("fleet/forget_rate")

    def note_restore(self, for_s: float) -> None:
        """Let every job that is there, or comes in this time, be looked up before it is sent."""
        self._functions.call("fleet/note_restore", int(for_s * 1000))

    def inspect(self) -> TrafficSnapshot:
        """Return how dispatch stands: 16 ms of Redis' CPU with 10,000 tenants queued. No atomic step: see `queued`."""
        return TrafficSnapshot.read(self._redis, self._functions.call("fleet/inspect"))

    def status(self) -> DispatchStatus:
        """Return how dispatch stands, for people and programs."""
        return self.inspect().status

    def queued(self) -> dict[str, int]:
        """Return how many jobs are queued in each lane; see `queued`."""
        return queued(self._redis)

    def ready(self) -> int:
        """Return how many messages wait in the ready queues for a worker to take them."""
        return sum(int(self._redis.llen(queue)) for queue in keys.READY.values())

    def has_worker(self, queue: str) -> bool:
        """Tell whether a worker of this queue has been seen in the last 20 s."""
        return bool(worker_usage.workers(self._redis).get(queue))

    def unattended(self) -> list[str]:
        """Return the queues in which something waits and nobody works; cheap while all have workers."""
        return [] if all(worker_usage.workers(self._redis).values()) else self.status().unattended

    def dispatch_due(
        self, worker: str, lease_s: float, *, stayed: bool = False, at_most: int = 200
    ) -> tuple[int, float]:
        """Do the dispatcher's step; return members handled (-1: another worker leads) and seconds to the next one.

        `stayed`: this worker has dispatched before, or tried to.
        """
        args = (worker, int(lease_s * 1000), at_most, "stayed" if stayed else "new")
        handled, pause_ms = self._functions.call("dispatcher/tick", *args)
        return handled, max(pause_ms, 0) / 1000

    def step_down(self, worker: str) -> None:
        """Give the dispatcher's lease up, if it is this worker's."""
        if self._redis.get(keys.dispatcher()) == worker:  # taken over in between: that one takes it again
            self._redis.delete(keys.dispatcher())


def queued(client: redis.Redis) -> dict[str, int]:
    """Return how many jobs are queued in each lane: one command for each tenant and host there, 1000 in a round trip.

    Not one atomic step, which would keep workers waiting: jobs that move meanwhile may be counted twice or not at all.

    Raises:
        redis.RedisError: Redis cannot be asked.
    """
    with client.pipeline(transaction=False) as pipe:
        for lane in keys.LANES:
            pipe.zcard(keys.published(lane))  # their message is out: the next ones to start
            pipe.zrange(keys.fair(lane), 0, -1)
            pipe.smembers(keys.blocked(lane))
        lanes = dict(zip(keys.LANES, _in_threes(pipe.execute()), strict=True))
        totals = {lane: published for lane, (published, _, _) in lanes.items()}
        queues = [(lane, owner) for lane, (_, fair, blocked) in lanes.items() for owner in (*fair, *blocked)]
        for start in range(0, len(queues), _BLOCK):
            block = queues[start : start + _BLOCK]
            for lane, owner in block:
                pipe.zcard(keys.queue(lane, owner))
            for (lane, _), length in zip(block, pipe.execute(), strict=True):
                totals[lane] += length
    return totals


def _in_threes(answers: list[Any]) -> Iterator[tuple[Any, Any, Any]]:
    return zip(answers[::3], answers[1::3], answers[2::3], strict=True)
