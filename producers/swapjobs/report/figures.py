"""The figures of a batch report, counted job by job in constant memory."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from swapjobs.contract.lifecycle import FINAL, JobState

if TYPE_CHECKING:
    from swapjobs.contract.job import Job

_STEP: Final = 1.05  # so quantiles are right to 5 %, with some hundreds of counters for any number of jobs
BOUNDS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600, 21_600, 86_400)
_WIDTHS: Final = (1, 5, 15, 60, 300, 900, 3600, 10_800, 21_600, 86_400, 604_800)  # each a multiple of the one before
_MAX_SLOTS: Final = 120
STATES: Final = (
    *(JobState.SUCCEEDED, JobState.FAILED, JobState.EXPIRED, JobState.CANCELLED),
    *(JobState.RUNNING, JobState.WAITING, JobState.QUEUED),
)


class Durations:
    """How long something took: counts that quantiles and a histogram can be read from."""

    def __init__(self) -> None:
        self._fine: Counter[int] = Counter()
        self.coarse = [0] * (len(BOUNDS) + 1)

    def add(self, seconds: float) -> None:
        """Count one."""
        self._fine[math.ceil(math.log(max(seconds, 0.001), _STEP))] += 1
        self.coarse[sum(seconds > bound for bound in BOUNDS)] += 1

    def quantile(self, share: float) -> float | None:
        """Return a time that this share of them kept to, in seconds; None when nothing was counted."""
        left = share * self._fine.total()
        for step in sorted(self._fine):
            left -= self._fine[step]
            if left <= 0:
                return float(_STEP**step)
        return None


class Timeline:
    """How many jobs finished in each slot of time; the slots grow, so that there are never more than a few."""

    def __init__(self) -> None:
        self.width_s = _WIDTHS[0]
        self.slots: dict[int, Counter[JobState]] = {}

    def add(self, at: datetime, state: JobState) -> None:
        """Count one."""
        self.slots.setdefault(int(at.timestamp()) // self.width_s, Counter())[state] += 1
        while self.slots and max(self.slots) - min(self.slots) >= _MAX_SLOTS:
            self._widen()

    def _widen(self) -> None:
        wider = next((width for width in _WIDTHS if width > self.width_s), self.width_s * 10)
        slots: dict[int, Counter[JobState]] = {}
        for slot, counted in self.slots.items():
            slots.setdefault(slot * self.width_s // wider, Counter()).update(counted)
        self.width_s, self.slots = wider, slots

    def bars(self) -> list[tuple[datetime, Counter[JobState]]]:
        """Return begin and counts of every slot from the first to the last, the empty ones too."""
        if not self.slots:
            return []
        numbers = range(min(self.slots), max(self.slots) + 1)
        return [
            (datetime.fromtimestamp(number * self.width_s, UTC), self.slots.get(number, Counter()))
            for number in numbers
        ]


class Figures:
    """What is counted of all jobs of a report."""

    def __init__(self) -> None:
        self.queued, self.worked, self.timeline = Durations(), Durations(), Timeline()
        self.states: Counter[JobState] = Counter()
        self.first: datetime | None = None
        self.last: datetime | None = None

    def add(self, job: Job) -> None:
        """Count a job."""
        self.states[job.state] += 1
        self.first = min(self.first or job.created_at, job.created_at)
        if job.started_at:
            self.queued.add((job.started_at - job.created_at).total_seconds())
        if job.finished_at and job.state in FINAL:
            self.last = max(self.last or job.finished_at, job.finished_at)
            self.timeline.add(job.finished_at, job.state)
            if job.started_at:
                self.worked.add((job.finished_at - job.started_at).total_seconds())

    @property
    def finished(self) -> int:
        """How many are final."""
        return sum(self.states[state] for state in FINAL)

    @property
    def seconds(self) -> float | None:
        """From the first job's creation to the last one's end."""
        return (self.last - self.first).total_seconds() if self.first and self.last else None
