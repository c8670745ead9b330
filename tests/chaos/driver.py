"""Runs a plan: one loop that supervises, feeds, injects, and watches for recovery."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final

import httpx
import redis

from chaos.agenda import Agenda
from chaos.checks import Findings, check
from chaos.faults import Faults, Injection
from chaos.feeder import Feeder
from chaos.jobs import id_of
from chaos.look import Look
from chaos.plan import AT_WORK, WITH_WEBHOOKS
from chaos.waits import watch
from swapjobs.contract.lifecycle import FINAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from chaos.plan import Kind, Phase, Plan
    from chaos.stack import Exit, Stack

# So long the next fault of a phase waits for the recovery from the one before.
_PATIENCE_S: Final = 12.0
# A webhook worker's delivery is tried again only after its lease: the next fault does not wait for that.
_PATIENCE_WITH_WEBHOOKS_S: Final = 4.0
_RECOVERY_DEADLINE_S: Final = 40.0
_DRAIN_DEADLINE_S: Final = 90.0
# The lease of a delivery and its second try, and both once more.
_DELIVERY_DEADLINE_S: Final = 60.0


# A phase begins to strike when so many jobs are under way.
_WARM: Final = 5


@dataclass
class Result:
    """What a run came to."""

    seed: int
    seconds: float = 0.0
    injections: list[Injection] = field(default_factory=list)
    exits: list[Exit] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)


class Driver:
    """One run on a stack that is up."""

    def __init__(self, stack: Stack, plan: Plan, seed: int, say: Callable[[str], object]) -> None:
        self._stack = stack
        self._plan = plan
        self._random = Random(seed)
        self._say = say
        self._look = Look(stack.redis)
        self._feeder = Feeder(stack, self._look)
        self._agenda = Agenda()
        self._faults = Faults(stack, self._feeder, self._look, self._agenda, self._random)
        self._began = time.monotonic()
        self._open: list[Injection] = []
        self._problems: list[str] = []
        self._result = Result(seed)

    def run(self) -> Result:
        """Run all phases, wait until nothing is left to do, and check."""
        phases = self._plan.phases(self._random)
        try:
            for phase in phases:
                self._run(phase, jobs=self._plan.jobs // len(phases))
            self._advance(self._is_settled, _DELIVERY_DEADLINE_S)
            leftovers = self._look.leftovers()
        finally:
            self._feeder.end()
        self._result.exits = self._stack.exits
        self._result.findings = check(self._stack, self._look, self._feeder.answers, leftovers)
        self._result.findings.problems += [
            f"not recovered within {_RECOVERY_DEADLINE_S:g} s: {one.kind} in phase {one.phase}, {one.what}"
            for one in self._result.injections
            if one.recovered_s is None
        ]
        self._result.seconds = time.monotonic() - self._began
        return self._result

    # -- the loop

    def _tick(self) -> None:
        self._stack.tend()
        self._agenda.work()
        # While Redis or the sandbox do not answer there is nothing to be seen.
        with contextlib.suppress(redis.RedisError, httpx.TransportError):
            self._feeder.tend()
            if self._stack.redis_up:
                self._watch_recovery()

    def _watch_recovery(self) -> None:
        for injection in self._open:
            injection.look()
            if injection.recovered_s is not None:
                held = "" if injection.held is None else f", {injection.held} hung on it"
                self._print(
                    f"  recovered after {injection.recovered_s:.1f} s: {injection.kind}, {injection.what}{held}"
                )
        self._open = [injection for injection in self._open if injection.recovered_s is None]

    def _advance(self, condition: Callable[[], object], seconds: float) -> bool:
        """Keep everything going until the condition holds or the seconds are over; tell whether it held."""

        def step() -> object:
            self._tick()
            with contextlib.suppress(redis.RedisError):
                return condition()
            return False

        return watch(step, seconds)

    def _pass(self, seconds: float) -> None:
        self._advance(lambda: False, seconds)

    # -- a phase

    def _run(self, phase: Phase, jobs: int) -> None:
        self._print(f"phase {phase.name}: {len(phase.kinds)} faults")
        # What Redis may forget is what was told just before: so somebody is told something all the time.
        self._feeder.open(phase.name, trickling=phase.strikes_redis)
        if not self._advance(lambda: len(self._look.leased()) >= _WARM, 30):
            self._problems.append(f"phase {phase.name}: not even {_WARM} jobs were begun within 30 s")
        for kind in phase.kinds:
            self._pass(self._random.uniform(0.5, 3) if phase.overlapping else self._random.uniform(0.2, 1.5))
            self._strike(kind, phase)
        self._advance(lambda: not self._open and not self._agenda, _RECOVERY_DEADLINE_S)
        self._open.clear()
        accepted = self._feeder.answers.accepted[phase.name]
        self._advance(lambda: len(accepted) >= jobs, _DRAIN_DEADLINE_S)
        self._feeder.close()
        self._advance(lambda: self._feeder.range is None, _DRAIN_DEADLINE_S)
        self._drain(phase.name)

    def _strike(self, kind: Kind, phase: Phase) -> None:
        struck: list[Injection] = []

        def strike() -> bool:
            if kind in AT_WORK and not phase.overlapping and not (self._stack.serving and self._look.leased()):
                return False
            injection = self._faults.inject(kind, phase.name)
            if injection:
                struck.append(injection)
            return injection is not None

        if not self._advance(strike, 30):
            self._problems.append(f"{kind} in phase {phase.name}: no moment for it within 30 s")
            return
        injection = struck[0]
        self._print(f"{kind}: {injection.what}")
        self._result.injections.append(injection)
        self._open.append(injection)
        if not phase.overlapping:
            patience_s = _PATIENCE_WITH_WEBHOOKS_S if kind in WITH_WEBHOOKS else _PATIENCE_S
            self._advance(lambda: injection.recovered_s is not None, patience_s)

    def _drain(self, phase: str) -> None:
        """Let the phase's jobs end, so that the next one's faults can't be blamed for them or they for those."""
        unfinished = {id_of(phase, number) for number in self._feeder.answers.accepted[phase]}

        def all_final() -> bool:
            states = self._look.states(unfinished)
            unfinished.difference_update(id_ for id_, state in states.items() if state in FINAL)
            return not unfinished

        self._advance(all_final, _DRAIN_DEADLINE_S)
        accepted = len(self._feeder.answers.accepted[phase])
        self._print(f"phase {phase}: {accepted} jobs accepted, {len(unfinished)} not final")

    def _is_settled(self) -> bool:
        return not self._look.leftovers()

    def _print(self, text: str) -> None:
        self._say(f"[{time.monotonic() - self._began:6.1f} s] {text}")
