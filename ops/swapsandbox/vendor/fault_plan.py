"""Which fault strikes which call: seeded, so that a rehearsal can be repeated."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from swapsandbox.vendor.faults import Fault, FaultName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swapsandbox.vendor.records import Kind


@dataclass(slots=True)
class _Armed:
    """A fault with what it needs to decide: its own random numbers and how often it struck."""

    fault: Fault
    random: Random
    applied: int = 0

    def strikes(self, kind: Kind, business_id: str) -> bool:
        fault = self.fault
        if not fault.matches(kind, business_id) or (fault.count is not None and self.applied >= fault.count):
            return False
        if fault.share < 1 and self.random.random() >= fault.share:
            return False
        self.applied += 1
        return True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is done to one call: a delay in seconds, and the fault that follows it, if any."""

    delay_s: float = 0.0
    fault: Fault | None = None


@dataclass(slots=True)
class FaultPlan:
    """The faults in force, in order. The same seed and the same calls give the same verdicts. Thread-safe."""

    faults: Sequence[Fault] = ()
    seed: int = 0
    _armed: list[_Armed] = field(init=False, default_factory=list)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        # Each fault has random numbers of its own, so that one more fault does not change what the others do.
        self._armed = [_Armed(fault, Random(f"{self.seed}/{at}/{fault.name}")) for at, fault in enumerate(self.faults)]

    def judge(self, kind: Kind, business_id: str) -> Verdict:
        """Decide what happens to a call; every fault that applies counts as used."""
        delay_s = 0.0
        struck: Fault | None = None
        with self._lock:
            for armed in self._armed:
                fault = armed.fault
                is_delay = fault.name is FaultName.LATENCY
                if (struck and not is_delay) or not armed.strikes(kind, business_id):
                    continue
                if is_delay:
                    jitter = fault.jitter or 0.0
                    delay_s += max(0.0, (fault.ms or 0.0) + armed.random.uniform(-jitter, jitter)) / 1000
                else:
                    struck = fault
        return Verdict(delay_s, struck)

    def describe(self) -> list[dict[str, Any]]:
        """Return each fault as JSON and to how many calls it was applied."""
        with self._lock:
            return [
                {
                    "fault": armed.fault.model_dump(mode="json", exclude_none=True, exclude_defaults=True),
                    "applied": armed.applied,
                }
                for armed in self._armed
            ]
