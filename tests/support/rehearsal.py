"""Plays a fleet with slots for everything against a vendor's weather: the real scripts, on a fake clock."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Final

from support.builders import job_of, make_request
from support.fake_clock import FakeClock
from swapjobs.contract.lifecycle import Event
from swapjobs.settings import Rate, WorkerSettings
from swapjobs.store import keys
from swapjobs.store.claims import Claim
from swapjobs.store.kept_connections import KeptConnections
from swapsandbox.vendor.rate_limit import RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swapjobs.store.store import Store

TICK_S: Final = 0.25


@dataclass
class Rehearsal:
    """A fleet with slots for everything, and a vendor with a limit of its own, played through event by event."""

    store: Store
    clock: FakeClock
    allows: Callable[[float], bool]  # a call at this second of the rehearsal
    latency_s: float
    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    outcomes: dict[str, bool] = field(default_factory=dict)
    order: Iterator[int] = field(default_factory=count)
    until: float = 0.0

    def __post_init__(self) -> None:
        self.start = self.clock.now_s
        self.connections = KeptConnections(self.store.redis)
        self.agenda: list[tuple[float, int, Claim | None]] = [(0.0, next(self.order), None)]

    def later(self, at: float, claim: Claim | None) -> None:
        heapq.heappush(self.agenda, (at, next(self.order), claim))

    def run(self, seconds: float) -> None:
        """Play on for so many seconds."""
        self.until += seconds
        while self.agenda[0][0] < self.until:
            at, _, claim = heapq.heappop(self.agenda)
            self.clock.move(self.start + at - self.clock.now_s)
            if claim is None:
                self.store.dispatch.dispatch_due("w", 600)
                self.later(at + TICK_S, None)
            elif claim.job.id in self.outcomes:
                self.tell(claim, good=self.outcomes.pop(claim.job.id))
            else:
                self.outcomes[claim.job.id] = good = self.allows(at)
                (self.answered if good else self.refused).append(at)
                self.later(at + self.latency_s, claim)
            self.claim_all(at)

    def used(self, since: float, until: float) -> float:
        """Return how many calls per second came through between two seconds of the rehearsal."""
        return sum(since <= at < until for at in self.answered) / (until - since)

    def claim_all(self, at: float) -> None:
        while message := self.connections.run("RPOP", keys.READY[keys.INTERACTIVE]):
            claim = self.store.attempts.claim(job_of(message), 600)
            if isinstance(claim, Claim):
                self.later(at + claim.wait_s, claim)

    def tell(self, claim: Claim, *, good: bool) -> None:
        made_at_ms = claim.now_ms + int(claim.wait_s * 1000)
        if good:
            self.store.attempts.record_outcome(claim, Event.SUCCEED, patch={}, signal="answer", made_at_ms=made_at_ms)
            return
        patch = {"next_call": "swap", "reason": "rate_limit"}
        self.store.attempts.record_outcome(
            claim, Event.WAIT, patch=patch, schedule="retry", delay_s=1, signal="too_fast", made_at_ms=made_at_ms
        )


def begin(store: Store, settings: WorkerSettings, rate: str, jobs: int) -> FakeClock:
    store.dispatch.set_limits(settings.model_copy(update={"rate_limit": Rate(rate)}))
    for _ in range(0, jobs, 500):
        store.jobs.submit([make_request() for _ in range(500)])
    return FakeClock(store.redis)


def vendor(
    seed: int, *, limit: Callable[[float], float | None] = lambda _: None, noise: Callable[[float], float] = lambda _: 0
) -> Callable[[float], bool]:
    """Return a vendor: its limit in calls per second (None: it has none) and the share refused at random, by time."""
    chance, limits = random.Random(seed), dict[float, RateLimit]()

    def allows(at: float) -> bool:
        if chance.random() < noise(at):
            return False
        rate = limit(at)
        return rate is None or limits.setdefault(rate, RateLimit(rate)).wait_s(1e6 + at) == 0

    return allows
