"""A long run with restarts: memory of workers, gateway and Redis over time, and whether each job was done just once.

    python ops/bench/soak.py [--minutes 30] [--rate 200] [--restart-every-s 300] [--workers 3] [--latency-ms 50]

Jobs come at a steady rate, a fifth of them over HTTP, where a third waits for the end, a third watches events and a
third does neither. The first worker is never restarted; of the others one gets SIGTERM or SIGKILL in turn and is
started again. Records are kept for a minute, so that Redis reaches a steady state but for its tombstones, which stay
for 40 days: the figures of Redis are told with them, and without them and their share of its tables.

Every ten seconds a sample goes to `soak.jsonl`. At the end: the slope of each line over the second half, least squares
(of restarted workers: within their lives, from two minutes of age on), `soak.png`, and the counts of jobs and calls.
"""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from common import OURS, Bench, Process, exhaust, request, rss_mb, wait
from gateway_process import start_gateway
from redis_bytes import TOMBSTONE, by_kind, held, without
from report import Table, finish, parser, say
from soak_http import SETTINGS, HttpJobs
from soak_plot import plot

from swapjobs import CoreSettings, SwapClient
from swapjobs.cli.services import NO_THREAD_CACHES
from swapjobs.store import keys

if TYPE_CHECKING:
    import argparse

TTL_S: Final = 60  # the least that SWAPJOBS_RESULT_TTL_S takes
HTTP_SHARE: Final = 0.2
WARM_S: Final = 120
FEW_KEYS: Final = 5_000  # looked at for the bytes of each kind
Sample = dict[str, Any]


@dataclass
class Life:
    """One process of a worker, from its start to its end."""

    place: int
    process: Process
    began: float
    ended: float | None = None


@dataclass
class Fleet:
    """The workers: all but the first are restarted in turn."""

    bench: Bench
    options: argparse.Namespace
    lives: list[Life] = field(default_factory=list)
    restarts: list[tuple[float, str]] = field(default_factory=list)

    def start(self, place: int, now: float) -> None:
        """Start a worker; it is not ready yet."""
        memory = dict([NO_THREAD_CACHES])
        process = self.bench.start_worker(OURS, slots=self.options.slots, SWAPJOBS_RESULT_TTL_S=str(TTL_S), **memory)
        self.lives.append(Life(place, process, now))

    @property
    def living(self) -> list[Life]:
        """Those that are meant to work now."""
        return [life for life in self.lives if life.ended is None]

    def restart(self, now: float) -> None:
        """End the one whose turn it is, the one way or the other, and start it again at once."""
        number = len(self.restarts)
        place = 1 + number % (self.options.workers - 1)
        life = next(life for life in self.living if life.place == place)
        how = "SIGKILL" if number // (self.options.workers - 1) % 2 else "SIGTERM"
        say(f"soak: {how} for worker {place}")
        life.process.kill() if how == "SIGKILL" else life.process.handle.terminate()
        life.ended = now
        self.restarts.append((now, how))
        self.start(place, now)

    def read(self, now: float) -> list[dict[str, float]]:
        """Return memory and age of each; end the benchmark if one is gone that was not told to."""
        for life in self.living:
            life.process.check()
        return [
            {"life": number, "place": life.place, "age_s": now - life.began, "mb": rss_mb(life.process.handle)}
            for number, life in enumerate(self.lives)
            if life.ended is None
        ]


class Soak:
    """The run."""

    def __init__(self, bench: Bench, options: argparse.Namespace) -> None:
        self._bench, self._options = bench, options
        self._client = SwapClient(CoreSettings(redis_url=bench.redis_url, result_ttl_s=TTL_S))
        self._gateway, self._url = start_gateway(bench, SWAPJOBS_RESULT_TTL_S=str(TTL_S), **SETTINGS)
        self.fleet = Fleet(bench, options)
        self.samples: list[Sample] = []
        self.submitted = 0

    def run(self) -> dict[str, Any]:
        """Feed, restart, look; then wait for the last job, and return the counts."""
        for place in range(self._options.workers):
            self.fleet.start(place, 0)
        operator, count = self._client.operator, self._options.workers
        wait(lambda: operator.status().workers.get("swaps", 0) >= count, "the workers are there", look_every_s=0.5)
        by_http = HttpJobs(self._url, self._options.rate * HTTP_SHARE)
        by_http.start()
        try:
            self._feed()
        finally:
            by_http.stop()
        submitted = self.submitted + by_http.submitted
        wait(lambda: self._bench.done(OURS) >= submitted, "the last job is done", 300, look_every_s=0.5)
        counts: dict[str, Any] = {"submitted in blocks": self.submitted, "submitted over HTTP": by_http.submitted}
        counts |= {"waited for the end": by_http.waited, "watched until the end": by_http.watched}
        return counts | {"requests that failed": by_http.errors[:20]} | self._ends(submitted)

    def _ends(self, submitted: int) -> dict[str, int]:
        """Return what became of the jobs by their records, and by what the vendor saw."""
        states = self._bench.outcomes()
        ends = {f"jobs {state}": number for state, number in states.items()}
        ends["jobs lost"] = submitted - states.total()
        for path, (calls, ids, again) in self._bench.paths().items():
            name = path.rpartition("/")[2]
            ends |= {f"calls, {name}": calls, f"jobs, {name}": ids, f"jobs called more than once, {name}": again}
        return ends | {name: int(number) for name, number in self._bench.redis.hgetall(keys.counts()).items()}

    def _feed(self) -> None:
        end_s, per_s = self._options.minutes * 60, self._options.rate * (1 - HTTP_SHARE)
        start, restart_at, sample_at = time.monotonic(), self._options.restart_every_s, 0.0
        lines = (self._options.output / "soak.jsonl").open("w", encoding="utf-8")
        with lines:
            for second in itertools.count(1):
                now = time.monotonic() - start
                if now >= end_s:
                    break
                if now >= sample_at:
                    sample_at += self._options.sample_s
                    self.samples.append(self._sample(now, whole=len(self.samples) % 6 == 0))
                    lines.write(json.dumps(self.samples[-1]) + "\n")
                    lines.flush()
                jobs = round(per_s * min(now + 1, end_s)) - self.submitted
                numbers = range(self.submitted, self.submitted + jobs)
                self.submitted += exhaust(self._client.submit_many(map(request, numbers)))
                if now >= restart_at:
                    restart_at += self._options.restart_every_s
                    time.sleep(self._options.latency_ms / 1000)  # calls are under way
                    self.fleet.restart(now)
                time.sleep(max(start + second - time.monotonic(), 0))

    def _sample(self, now: float, *, whole: bool) -> Sample:
        redis, line = self._bench.redis, self._client.operator.status()
        used = held(redis)
        sample: Sample = {
            "t": now,
            "workers": self.fleet.read(now),
            "gateway_mb": rss_mb(self._gateway.handle) if self._gateway.check() else 0,
            "redis_mb": used / 1e6,
            "redis_rss_mb": rss_mb(self._bench.server),
            "keys": redis.dbsize(),
            "queued": sum(line.queued.values()),
            "in_flight": line.in_flight,
            "done": self._bench.done(OURS),
        }
        if whole:
            sizes, count = by_kind(redis, FEW_KEYS)
            sample |= {"net_mb": without(TOMBSTONE, used, sizes, count) / 1e6, "count": count, "bytes": sizes}
        return sample


def slope(points: list[tuple[float, float]]) -> float:
    """Return the least-squares slope, in y per hour of x seconds; nan of fewer than three points."""
    return pooled([points])


def pooled(lives: list[list[tuple[float, float]]]) -> float:
    """Return the slope that several lines have together, each about a level of its own."""
    above, below, number = 0.0, 0.0, 0
    for points in lives:
        if not points:
            continue
        x0, y0 = (sum(values) / len(points) for values in zip(*points, strict=True))
        above += sum((x - x0) * (y - y0) for x, y in points)
        below += sum((x - x0) ** 2 for x, _ in points)
        number += len(points)
    return 3600 * above / below if number > 2 and below else float("nan")  # noqa: PLR2004 - two points are always on a line


def slopes_table(samples: list[Sample]) -> Table:
    """Return where each line stands at the end, and its slope over the second half."""
    half = [sample for sample in samples if sample["t"] >= samples[-1]["t"] / 2]
    table = Table("Over the second half", ["what", "first", "last", "slope an hour"])
    lives: dict[int, list[tuple[float, float]]] = {}
    for sample in half:
        for worker in sample["workers"]:
            if worker["place"] == 0 or worker["age_s"] >= WARM_S:
                lives.setdefault(worker["life"], []).append((sample["t"], worker["mb"]))
    steady = lives.pop(0, [])
    table.add("worker that is never restarted, MB", steady[0][1], steady[-1][1], slope(steady))
    if lives:
        first, last = next(iter(lives.values())), list(lives.values())[-1]
        restarted = pooled([*lives.values()])
        table.add("restarted workers, from two minutes of age on, MB", first[0][1], last[-1][1], restarted)
    for name, what in {
        "gateway_mb": "gateway, MB",
        "redis_mb": "Redis, used, MB",
        "net_mb": "Redis, used, without tombstones, MB",
        "redis_rss_mb": "Redis, resident, MB",
        "keys": "Redis, keys",
        "queued": "queued",
    }.items():
        points = [(sample["t"], sample[name]) for sample in half if name in sample]
        table.add(what, points[0][1], points[-1][1], slope(points))
    return table


def main() -> None:
    """Run it, print the tables, draw the plot."""
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=30)
    options.add_argument("--rate", type=float, default=200, help="jobs per second")
    options.add_argument("--restart-every-s", type=float, default=300)
    options.add_argument("--workers", type=int, default=3, help="the first is never restarted")
    options.add_argument("--slots", type=int, default=50)
    options.add_argument("--latency-ms", type=float, default=50)
    options.add_argument("--sample-s", type=float, default=10)
    chosen = options.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    with Bench(latency_ms=chosen.latency_ms) as bench:
        soak = Soak(bench, chosen)
        counts = soak.run()
    kinds = next(sample for sample in reversed(soak.samples) if "count" in sample)
    ends = Table("Keys in Redis at the last look", ["kind", "keys", "MB"])
    for kind, size in kinds["bytes"].items():
        ends.add(kind, kinds["count"].get(kind), size / 1e6)
    restarts = f"{len(soak.fleet.restarts)} restarts"
    jobs = Table(f"Jobs: {chosen.minutes:g} minutes at {chosen.rate:g}/s, {restarts}", ["what", ""])
    for name, number in counts.items():
        jobs.add(name, number if isinstance(number, int) else "; ".join(number) or "none")
    plot(chosen.output / "soak.png", soak.samples, soak.fleet.restarts)
    finish("soak", chosen, [slopes_table(soak.samples), jobs, ends], samples=soak.samples, restarts=soak.fleet.restarts)


if __name__ == "__main__":
    main()
