"""What is counted of all jobs, calls and webhooks, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# Upper bounds of the histograms' buckets; a last one without a bound follows.
BUCKETS_MS: Final[Mapping[str, tuple[int, ...]]] = {
    "queue_wait": (100, 500, 1000, 5000, 15_000, 60_000, 300_000, 900_000, 3_600_000, 14_400_000, 86_400_000),
    "vendor_call": (250, 500, 1000, 2000, 3000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000),
    "job": (1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000, 14_400_000, 86_400_000),
    "webhook_lag": (100, 500, 1000, 5000, 15_000, 60_000, 300_000, 1_800_000, 7_200_000, 43_200_000, 259_200_000),
}


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often it took how long: `buckets` as in `BUCKETS_MS`, each for itself, and all seconds together."""

    buckets: tuple[int, ...]
    sum_s: float

    @property
    def count(self) -> int:
        """How often at all."""
        return sum(self.buckets)


@dataclass(frozen=True, slots=True)
class Metrics:
    """All that was counted since this Redis is in use.

    Attributes:
        counts: Name -> labels -> number. `submitted` (tool), `jobs` (tool, outcome, code or "-"), `vendor_calls` (tool,
            call, result), `billed` (tool), `tenant_jobs` (tenant or "" for the others, outcome), `webhook_tries`
            (result).
        times: Name, one of `BUCKETS_MS`, -> label -> histogram. The label is a tool, of `queue_wait` a lane.
    """

    counts: Mapping[str, Mapping[tuple[str, ...], int]]
    times: Mapping[str, Mapping[str, Histogram]]
