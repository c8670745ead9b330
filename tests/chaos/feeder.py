"""Keeps work coming: producer processes, one after the other, each with the next range of numbers."""

from __future__ import annotations

import json
import signal
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from chaos.child import Child

if TYPE_CHECKING:
    from chaos.look import Look
    from chaos.stack import Stack

# Numbers in a range and jobs a second: to fill the line, and to keep somebody submitting while it is full.
_FILL: Final = (200, 75)
_TRICKLE: Final = (30, 15)
# A second of work and more: a new producer needs half of one to start.
_LOW_WATER: Final = 90


@dataclass
class Range:
    """Numbers `first` to `end` of a phase, and the process that submits them.

    Attributes:
        reached: The first number of which the process that runs now has told nothing.
        runs: How many processes have gone over it.
    """

    phase: str
    first: int
    end: int
    child: Child
    reached: int
    read_to: int = 0
    runs: int = 0


@dataclass
class Answers:
    """What the producers were told.

    Attributes:
        accepted: The numbers of each phase whose submission returned.
        forgotten: Those of them that were new to Redis when they were submitted again: lost in between.
        problems: Answers that no producer should get.
    """

    accepted: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    forgotten: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    problems: list[str] = field(default_factory=list)

    def note(self, phase: str, start: int, outcomes: list[str]) -> None:
        """Take down the outcomes of the jobs from number `start` on."""
        for number, outcome in enumerate(outcomes, start):
            if outcome not in {"created", "existing"}:
                self.problems.append(f"job {number} of phase {phase} was answered {outcome}")
                continue
            if outcome == "created" and number in self.accepted[phase]:
                self.forgotten[phase].add(number)
            self.accepted[phase].add(number)


class Feeder:
    """Starts producers while there is too little queued, and reads what they say was accepted."""

    def __init__(self, stack: Stack, look: Look) -> None:
        self._stack = stack
        self._look = look
        self._phase = ""
        self._next = 0
        self._wanted = False
        self._trickling = False
        self.range: Range | None = None
        self.answers = Answers()

    def open(self, phase: str, *, trickling: bool) -> None:
        """From now on keep the line filled, with jobs of this phase; `trickling`: submit also while it is full."""
        self._phase, self._next, self._wanted, self._trickling = phase, 0, True, trickling

    def close(self) -> None:
        """Start no further range."""
        self._wanted = False

    def begin(self, how: tuple[int, int] = _FILL) -> None:
        """Start a producer on the next range, however much is queued."""
        length, per_second = how
        phase, first, end = self._phase, self._next, self._next + length
        self._next = end
        command = [
            *("chaos.producer", phase, str(first), str(end), str(per_second)),
            f"{self._stack.receiver.url}/hooks/{phase}",
        ]
        name = f"producer-{phase}-{first}"
        child = Child(name, command, folder=self._stack.logs, environment=self._stack.environment)
        self.range = Range(phase, first, end, child, reached=first)
        self._start(self.range)

    def _start(self, work: Range) -> None:
        work.reached = work.first
        # What a kill left of a line is skipped: it was accepted but not told, and is told by the next process.
        work.read_to = work.child.log.stat().st_size if work.child.log.exists() else 0
        work.child.start()
        work.runs += 1

    def tend(self) -> None:
        """Read what was accepted, start a killed producer again over its range, and begin the next range in time."""
        work = self.range
        if work is None:
            if self._wanted and self._stack.redis_up:
                self._begin_in_time()
            return
        status = work.child.status
        self._read(work)
        if status is None:
            return
        if status == 0:
            self.range = None
            return
        if status != -signal.SIGKILL:
            self.answers.problems.append(f"{work.child.name} ended with status {status}:\n{work.child.tail()}")
        self._start(work)

    def _begin_in_time(self) -> None:
        if self._look.backlog() < _LOW_WATER:
            self.begin()
        elif self._trickling:
            self.begin(_TRICKLE)

    def _read(self, work: Range) -> None:
        with work.child.log.open("rb") as log:
            log.seek(work.read_to)
            text = log.read()
        whole, newline, _ = text.rpartition(b"\n")
        work.read_to += len(whole) + len(newline)
        for line in whole.splitlines():
            if line.startswith(b"["):
                start, outcomes = json.loads(line)
                self.answers.note(work.phase, start, outcomes)
                work.reached = start + len(outcomes)

    def end(self) -> None:
        """End the producer, if one runs."""
        if self.range is not None:
            self.range.child.end()
