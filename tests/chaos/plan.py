"""What a run does: its phases, and in each the faults in a seeded order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random


class Kind(StrEnum):
    """What is done to a process; the value names the phase, and is part of the business ids."""

    WORKER_KILL = "worker-kill"
    WORKER_FREEZE = "worker-freeze"
    WORKER_STOP = "worker-stop"
    REDIS_KILL = "redis-kill"
    REDIS_FREEZE = "redis-freeze"
    PRODUCER_KILL = "producer-kill"
    HOOKS_KILL = "hooks-kill"
    RECEIVER_DOWN = "receiver-down"


AT_WORK: Final = frozenset({Kind.WORKER_KILL, Kind.WORKER_FREEZE, Kind.WORKER_STOP})
"""In a phase of their own these strike while both workers work on jobs; else nothing would hang on them."""

WITH_WEBHOOKS: Final = frozenset({Kind.HOOKS_KILL, Kind.RECEIVER_DOWN})

MIXED: Final = "mixed"


@dataclass(frozen=True, slots=True)
class Phase:
    """Faults that strike one after the other; `overlapping`: without waiting for recovery, so that they meet."""

    name: str
    kinds: Sequence[Kind]
    overlapping: bool = False

    @property
    def strikes_redis(self) -> bool:
        return bool({Kind.REDIS_KILL, Kind.REDIS_FREEZE}.intersection(self.kinds))


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole run.

    Attributes:
        apart: How often each kind strikes in a phase of its own.
        mixed: How often each kind strikes in the last phase, where everything happens at once.
        jobs: At least so many; more, when the faults take longer than they last.
    """

    apart: Mapping[Kind, int] = field(default_factory=dict)
    mixed: Mapping[Kind, int] = field(default_factory=dict)
    jobs: int = 0

    def phases(self, random: Random) -> list[Phase]:
        """Return the phases in order; the mixed one comes last."""
        phases = [Phase(kind, [kind] * times) for kind, times in self.apart.items() if times]
        together = sorted(Counter(self.mixed).elements())
        random.shuffle(together)
        return [*phases, *([Phase(MIXED, together, overlapping=True)] if together else [])]
