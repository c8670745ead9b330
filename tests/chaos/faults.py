"""Does the damage, and knows when it is made good. A fault counts as recovered as follows.

- worker killed, frozen or stopped: every job that was leased at that moment was claimed again or is final (leased by
  any worker, since whose lease is whose is not told: an upper bound);
- Redis killed or frozen: the vendor got a new call, counted from the moment at which Redis ran again;
- producer killed: its successor was told that all is accepted that the killed one had been told;
- webhook worker killed: every delivery that was handed out at that moment was delivered or tried again;
- receiver down: every delivery that had failed was delivered or tried again, counted from the end of the outage.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chaos.plan import Kind
from chaos.producer import BLOCK
from chaos.stack import LEASE_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from chaos.agenda import Agenda
    from chaos.child import Child
    from chaos.feeder import Feeder, Range
    from chaos.look import Look
    from chaos.stack import Stack

# Between two outages of the receiver: a delivery that fails twice is tried again only after minutes.
_RECEIVER_REST_S: Final = 8.0
# Longer than a delivery may take, so that some fail of it; and over before their second try, 4.5 s after the first.
_RECEIVER_OUTAGE_S: Final = (3.2, 4.2)


@dataclass
class Injection:
    """One fault, and how its recovery is seen.

    Attributes:
        what: What was done to whom.
        probe: Tells whether it is made good; asked only from `since` on.
        since: From when recovery counts (monotonic), None until then.
        held: So many jobs or deliveries hung on it, None if that was not seen.
        recovered_s: How long it took.
    """

    kind: Kind
    phase: str
    what: str
    probe: Callable[[Injection], bool]
    since: float | None = None
    held: int | None = None
    recovered_s: float | None = None

    def look(self) -> None:
        """Note the recovery if it is there."""
        if self.recovered_s is None and self.since is not None and self.probe(self):
            self.recovered_s = time.monotonic() - self.since


class Faults:
    """Injects faults of each kind."""

    def __init__(self, stack: Stack, feeder: Feeder, look: Look, agenda: Agenda, random: Random) -> None:
        self._stack = stack
        self._feeder = feeder
        self._look = look
        self._agenda = agenda
        self._random = random
        self._receiver_free_at = 0.0
        self._producer_dies_at: float | None = None

    def inject(self, kind: Kind, phase: str) -> Injection | None:
        """Do it, or return None where it can't be done at this moment."""
        actions: dict[Kind, Callable[[], Injection | None]] = {
            Kind.WORKER_KILL: lambda: self._strike_worker(Kind.WORKER_KILL, signal.SIGKILL),
            Kind.WORKER_FREEZE: lambda: self._strike_worker(Kind.WORKER_FREEZE, signal.SIGSTOP),
            Kind.WORKER_STOP: lambda: self._strike_worker(Kind.WORKER_STOP, signal.SIGTERM),
            Kind.REDIS_KILL: lambda: self._strike_redis(Kind.REDIS_KILL),
            Kind.REDIS_FREEZE: lambda: self._strike_redis(Kind.REDIS_FREEZE),
            Kind.PRODUCER_KILL: self._kill_producer,
            Kind.HOOKS_KILL: self._kill_hook_worker,
            Kind.RECEIVER_DOWN: self._stop_receiver,
        }
        injection = actions[kind]()
        if injection:
            injection.phase = phase
        return injection

    # -- workers

    def _strike_worker(self, kind: Kind, number: signal.Signals) -> Injection | None:
        worker = self._any_running(self._stack.workers)
        if worker is None:
            return None
        worker.send(number)
        what = f"{worker.name} {number.name}"
        if number == signal.SIGSTOP:
            seconds = LEASE_S + self._random.uniform(0.5, 3)
            self._agenda.later(seconds, lambda: worker.send(signal.SIGCONT))
            what += f" for {seconds:.1f} s"
        return Injection(kind, "", what, MovedOn(self._look.leased, self._look.still_stuck), since=time.monotonic())

    def _any_running(self, children: list[Child]) -> Child | None:
        running = [child for child in children if child.running and child.signalled is None]
        # Not `choice`: it would draw differently often from one and from two, and the seed's later dice with it.
        at = self._random.random()
        return running[int(at * len(running))] if running else None

    def _kill_hook_worker(self) -> Injection | None:
        worker = self._any_running(self._stack.hook_workers)
        if worker is None:
            return None
        worker.send(signal.SIGKILL)
        probe = MovedOn(self._look.handed_out, self._look.not_tried_again)
        return Injection(Kind.HOOKS_KILL, "", f"{worker.name} SIGKILL", probe, since=time.monotonic())

    # -- Redis

    def _strike_redis(self, kind: Kind) -> Injection | None:
        if not self._stack.redis_up:
            return None
        if kind is Kind.REDIS_KILL:
            self._stack.kill_redis()
            seconds, back = self._random.uniform(0.5, 3), self._stack.start_redis
        else:
            self._stack.freeze_redis()
            seconds, back = self._random.uniform(1, 2 * LEASE_S), self._stack.thaw_redis
        probe = VendorCalled(self._stack)
        injection = Injection(kind, "", f"gone for {seconds:.1f} s", probe)

        def resume() -> None:
            back()
            probe.since_epoch = time.time()
            injection.since = time.monotonic()

        self._agenda.later(seconds, resume)
        return injection

    # -- producer and receiver

    def _kill_producer(self) -> Injection | None:
        if self._producer_dies_at is None:
            self._producer_dies_at = self._random.random()
        work = self._feeder.range
        if work is None:
            self._feeder.begin()
            return None
        result = work.reached - work.first
        # Not before it has told of something: else there is nothing to go over again.
        if work.child.status is not None or result < max(BLOCK, self._producer_dies_at * (work.end - work.first)):
            return None
        self._producer_dies_at = None
        work.child.send(signal.SIGKILL)
        what = f"{work.child.name} SIGKILL at {work.reached}"
        probe = GoneOver(work, work.runs, work.reached)
        return Injection(Kind.PRODUCER_KILL, "", what, probe, since=time.monotonic())

    def _stop_receiver(self) -> Injection | None:
        if time.monotonic() < self._receiver_free_at:
            return None
        seconds = self._random.uniform(*_RECEIVER_OUTAGE_S)
        if self._random.random() < 0.5:
            self._stack.freeze_receiver()
            how, back = "frozen", self._stack.thaw_receiver
        else:
            self._stack.plan_receiver(503)
            how, back = "answers 503", self._stack.plan_receiver
        self._receiver_free_at = time.monotonic() + seconds + _RECEIVER_REST_S
        probe = MovedOn(self._look.put_off, self._look.not_tried_again)
        injection = Injection(Kind.RECEIVER_DOWN, "", f"{how} for {seconds:.1f} s", probe)

        def resume() -> None:
            back()
            injection.since = time.monotonic()

        self._agenda.later(seconds, resume)
        return injection


class MovedOn:
    """Recovered when each of what hung on it at first sight has moved on."""

    def __init__(self, read: Callable[[], dict[str, int]], left: Callable[[dict[str, int]], dict[str, int]]) -> None:
        self._read = read
        self._left = left
        self._held: dict[str, int] | None = None

    def __call__(self, injection: Injection) -> bool:
        if self._held is None:
            self._held = self._read()
            injection.held = len(self._held)
        self._held = self._left(self._held)
        return not self._held


class VendorCalled:
    """Recovered when the vendor got a call after `since_epoch`."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.since_epoch = float("inf")

    def __call__(self, _: Injection) -> bool:
        return bool(self._stack.vendor("calls", since=self.since_epoch))


class GoneOver:
    """Recovered when the next process over this range has come as far as the killed one, its `runs`-th."""

    def __init__(self, work: Range, runs: int, reached: int) -> None:
        self._work = work
        self._runs = runs
        self._reached = reached

    def __call__(self, _: Injection) -> bool:
        return self._work.runs > self._runs and self._work.reached >= self._reached
