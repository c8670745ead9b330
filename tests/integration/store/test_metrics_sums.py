"""What the functions add up, beside a plain sum: whatever is observed, in whatever order, read as often as you like."""

from __future__ import annotations

import json
import random
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest

from support.fake_clock import REDIS_TIME, FakeClock, clocked_store
from swapjobs.contract.metrics import BUCKETS_MS, Histogram, Metrics
from swapjobs.store.library import library

if TYPE_CHECKING:
    from swapjobs.settings import WorkerSettings
    from swapjobs.store.store import Store

OBSERVE: Final = """
register_function('observe', function(_, args)
  find_offered()
  local metrics = require('fleet.metrics')
  require('fleet.clock').set()
  metrics.begin()
  for _, seen in ipairs(cjson.decode(args[1])) do metrics[seen[1]](unpack(seen[2])) end
  metrics.write()
end)
"""
NAMED: Final = ("acme", "zeta")
TENANTS: Final = ("default", *NAMED, *(f"tenant-{number}" for number in range(40)))
TOOLS: Final = ("roop", "v2/roop", "face/fusion")
CALLS: Final = ("swap succeeded", "swap failed", "query succeeded", "query outcome_unknown", "list succeeded")
CODES: Final = ("no_face", "vendor_timeout", "bad_response")
BORDERS: Final = sorted({ms + by for bounds in BUCKETS_MS.values() for ms in (0, *bounds) for by in (0, 1)})
NUMBER: Final = 2000  # more than are added up at once


@dataclass
class PlainSum:
    """What is to come out: observations, made at random, and their sums."""

    random: random.Random
    now_ms: int
    counts: dict[str, Counter[tuple[str, ...]]] = field(default_factory=lambda: defaultdict(Counter))
    times: dict[str, dict[str, list[int]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    minutes: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    usage: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def observe(self) -> tuple[str, list[Any]]:
        """Return one more observation: the name of the function that makes it, and its arguments."""
        kinds = self.submitted, self.call, self.billed, self.webhook, *[self.end] * 6
        return self.random.choice(kinds)()

    def metrics(self) -> Metrics:
        """Return all sums."""
        times = {name: {label: histogram(name, ms) for label, ms in of.items()} for name, of in self.times.items()}
        return Metrics(self.counts, times)

    def submitted(self) -> tuple[str, list[Any]]:
        tool, number = self.random.choice(TOOLS), self.random.choice((1, 1, 1, 25, 1000))
        self.add("submitted", (tool,), number, trend="submitted")
        return "observe_submitted", [tool, number]

    def call(self) -> tuple[str, list[Any]]:
        if self.random.random() < 0.1:
            return "observe_call", ["", 0]
        return "observe_call", [*self.made(self.random.choice(TOOLS))]

    def billed(self) -> tuple[str, list[Any]]:
        tool = self.random.choice(TOOLS)
        self.add("billed", (tool,), trend=f"billed {tool}")
        return "observe_billed", [{"tool": tool} if tool != "roop" else {}]

    def webhook(self) -> tuple[str, list[Any]]:
        result = self.random.choice(("delivered", "failed", "undelivered"))
        self.add("webhook_tries", (result,), trend=f"webhook {result}")
        return "observe_webhook", [result, *([self.time("webhook_lag", "-")] if result == "delivered" else [])]

    def end(self) -> tuple[str, list[Any]]:
        tool, tenant, lane = map(self.random.choice, (TOOLS, TENANTS, ("interactive", "bulk")))
        state = self.random.choice(("succeeded", "succeeded", "failed", "cancelled", "expired"))
        code, billed = self.random.choice((None, *CODES)), self.random.random() < 0.3
        ended_at = self.now_ms - self.random.randrange(3 * 3600) * 1000
        minute = ended_at // 60_000
        job: dict[str, Any] = {"tenant": tenant, "priority": lane, "created_at": str(ended_at - self.time("job", tool))}
        if self.random.random() < 0.8:
            job["waited_ms"] = str(self.time("queue_wait", lane))
        if self.random.random() < 0.8:
            job["call"], job["call_ms"] = self.made(tool)
        job |= ({"tool": tool} if tool != "roop" else {}) | ({"code": code} if code else {})
        job |= {"billed": "1"} if billed else {}
        failed_by = code if state == "failed" and code else "-"
        trend = state if failed_by == "-" else f"{state} {code}"
        self.add("jobs", (tool, state, failed_by), trend=trend, minute=minute)
        self.add("tenant_jobs", (tenant if tenant in NAMED else "", state))
        self.usage[tenant][state] += 1
        if state == "succeeded" and not billed:
            self.add("billed", (tool,), trend=f"billed {tool}", minute=minute)
        return "observe_end", [job, state, ended_at]

    def made(self, tool: str) -> tuple[str, str]:
        """Return a call to the vendor, as what it counts, and how long it took."""
        labels = f"{tool} {self.random.choice(CALLS)}"
        self.add("vendor_calls", tuple(labels.split()), trend="calls")
        return labels, str(self.time("vendor_call", tool))

    def time(self, name: str, label: str) -> int:
        ms = self.random.choice((self.random.choice(BORDERS), self.random.randrange(10_000)))
        self.times[name][label].append(ms)
        return ms

    def add(
        self, name: str, labels: tuple[str, ...], number: int = 1, *, trend: str = "", minute: int | None = None
    ) -> None:
        self.counts[name][labels] += number
        if trend:
            self.minutes[self.now_ms // 60_000 if minute is None else minute][trend] += number


def histogram(name: str, times_ms: list[int]) -> Histogram:
    places = Counter(bisect_left(BUCKETS_MS[name], ms) for ms in times_ms)
    return Histogram(tuple(places[n] for n in range(len(BUCKETS_MS[name]) + 1)), sum(times_ms) / 1000)


@pytest.mark.usefixtures("redis_url")
@pytest.mark.parametrize("seed", range(4))
def test_all_adds_up(settings: WorkerSettings, seed: int) -> None:
    settings = settings.model_copy(update={"metrics_tenants": NAMED})
    with clocked_store(settings) as store:
        clock = FakeClock(store.redis)
        store.redis.function_load(f"#!lua name=observing\n{library(REDIS_TIME).modules}\n{OBSERVE}")
        try:
            check_all(store, PlainSum(random.Random(seed), int(clock.now_s * 1000)), clock.now_s)
        finally:
            store.redis.function_delete("observing")


def check_all(store: Store, expected: PlainSum, now_s: float) -> None:
    left = NUMBER
    while left > 0:
        together = min(expected.random.choice((1, 1, 1, 30, 900)), left)
        left -= together
        store.redis.fcall("observe", 0, json.dumps([expected.observe() for _ in range(together)]))
        if expected.random.random() < 0.02:
            store.metrics.read()
    assert store.metrics.read() == expected.metrics()
    assert store.metrics.read() == expected.metrics(), "nothing is added twice"
    check_trends(store, expected, now_s)


def check_trends(store: Store, expected: PlainSum, now_s: float) -> None:
    minutes = {int(slot.at.timestamp()) // 60: dict(slot.counts) for slot in store.trends.by_minute(200, now_s)}
    assert {minute: counts for minute, counts in minutes.items() if counts} == expected.minutes
    hours: dict[int, Counter[str]] = defaultdict(Counter)
    for minute, counts in expected.minutes.items():
        hours[minute // 60].update(counts)
    by_hour = {int(slot.at.timestamp()) // 3600: dict(slot.counts) for slot in store.trends.by_hour(5, now_s)}
    assert {hour: counts for hour, counts in by_hour.items() if counts} == hours
    assert store.trends.usage(1, now_s) == expected.usage
