"""Scale: what a job costs with a short queue and with a very long one, of one tenant and of a thousand; 8 workers.

    python ops/bench/scale.py [--sizes 1000,10000,100000] [--tenants 1,1000] [--window 4000] [--workers 8]
        [--celery-jobs 10000]

For each number of tenants one fresh Redis. The queue is filled to each size in turn: Redis' CPU and bytes for each job
that was submitted. Then one worker, pinned, takes a window of jobs from it until the size is left: CPU of Redis and of
the worker for each, commands. At last so many workers, not pinned, finish all that is queued; with ever more finished
jobs, therefore; and one more window is measured with all of them there. A million takes about half an hour for each
number of tenants, and 10 GB of disk: --sizes 1000,10000,100000,1000000.

Redis' CPU is that of its main thread, bytes are those of redis_bytes.py. Plain Celery, one size, one worker, is
measured in the same run. `scale.png` is drawn.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from common import OURS, PLAIN, Bench, Process, cpu_s, exhaust, request, wait
from redis_bytes import SUM, USED
from report import Table, finish, parser, say, versus
from scale_plot import plot

if TYPE_CHECKING:
    from collections.abc import Iterator

SLICES = 20
LOOK_EVERY_S = 0.25
Figures = dict[str, float]


class Line:
    """Jobs of so many tenants in one fresh Redis."""

    def __init__(self, bench: Bench, kind: str, tenants: int = 1) -> None:
        self._bench, self._kind, self._tenants = bench, kind, tenants
        self.submitted, self.fleet = 0, list[Process]()
        self.empty = bench.used_memory()

    @property
    def queued(self) -> int:
        """How many are not called yet."""
        return self.submitted - self._bench.count()

    def submit(self, jobs: int) -> Figures:
        """Submit so many; return what each cost Redis."""
        used, cpu = self._bench.used_memory(), self._bench.redis_cpu_us()
        numbers = range(self.submitted, self.submitted + jobs)
        if self._kind == OURS:
            with self._bench.client() as client:
                exhaust(client.submit_many(request(n, tenant=f"tenant-{n % self._tenants}") for n in numbers))
        else:
            self._bench.fill(self._kind, jobs, first=self.submitted)
        self.submitted += jobs
        cpu = self._bench.redis_cpu_us() - cpu
        return {"submit_us": cpu / jobs, "queued_bytes": (self._bench.used_memory() - used) / jobs}

    def window(self, jobs: int) -> Figures:
        """Let one worker work, until a quarter more than so many jobs are done; return what each of these cost."""
        start = self._bench.count() + jobs // 4
        worker = self._bench.workers(self._kind)[0]
        wait(lambda: self._bench.count() >= start, "the worker works")
        before = self._read(worker)
        wait(lambda: self._bench.count() >= start + jobs, "the window is done")
        after = self._read(worker)
        worker.end()
        count, *costs = (now - then for now, then in zip(after, before, strict=True))
        names = ("drain_us", "worker_us", "commands")
        return {name: cost / count for name, cost in zip(names, costs, strict=True)}

    def _read(self, worker: Process) -> tuple[float, ...]:
        count, redis_us = self._bench.count(), self._bench.redis_cpu_us()
        return count, redis_us, cpu_s(worker.handle) * 1e6, self._bench.commands()

    def at(self, size: int, window: int) -> Figures:
        """Fill the queue, and measure a window that ends with a queue of this size."""
        figures = self.submit(size + window + window // 4 - self.queued)
        figures |= self.window(window)
        return figures | {"life_us": figures["submit_us"] + figures["drain_us"]}

    def finish(self, workers: int) -> tuple[Figures, list[Figures]]:
        """Let so many workers finish all; return what that took, and Redis' CPU per job on the way."""
        bench = self._bench
        jobs, queued = bench.done(self._kind), self.queued
        with self._held(workers):
            began, cpu = time.monotonic(), bench.redis_cpu_us()
        slices = []
        before, mark = jobs, cpu
        while before < self.submitted:
            goal = min(before + max(queued // SLICES, 1), self.submitted)
            wait(lambda: bench.done(self._kind) >= goal, "more jobs are done", 1800, look_every_s=LOOK_EVERY_S)  # noqa: B023 - used here
            done, now = bench.done(self._kind), bench.redis_cpu_us()
            slices.append({"finished": done, "queued": self.submitted - done, "us": (now - mark) / (done - before)})
            before, mark = done, now
        figures = {"jobs": queued, "jobs_per_s": queued / (time.monotonic() - began)}
        return figures | {"redis_us": (mark - cpu) / (self.submitted - jobs)}, slices

    @contextlib.contextmanager
    def _held(self, workers: int) -> Iterator[None]:
        """Start workers that begin together, and let them begin; they have all cores."""
        bench = self._bench
        pinned, bench.pinned = bench.pinned, False
        with bench.client() as client:
            client.operator.pause()
            self.fleet = bench.workers(self._kind, workers)
            yield
            client.operator.resume()
        bench.pinned = pinned

    def checks(self) -> Figures:
        """Return what became of the jobs, and of the calls."""
        calls = Counter(id_ for *_, id_ in self._bench.calls())
        states = self._bench.outcomes()
        return {
            "submitted": self.submitted,
            "succeeded": states["succeeded"],
            "lost, or ended otherwise": self.submitted - states["succeeded"],
            "called more than once": sum(number > 1 for number in calls.values()),
        }


def measure(sizes: list[int], tenants: int, window: int, workers: int) -> dict[str, Any]:
    """Return all figures of one number of tenants."""
    with Bench(pinned=True) as bench:
        line = Line(bench, OURS, tenants)
        points = {}
        for size in sizes:
            say(f"scale: {size:,} queued, {tenants:,} tenants")
            points[size] = line.at(size, window)
        say(f"scale: {workers} workers, {line.queued:,} queued, {tenants:,} tenants")
        fleet, slices = line.finish(workers)
        fleet |= line.checks()
        for worker in line.fleet:
            worker.end()
        sizes_now = bench.bytes_per_job(line.empty, line.submitted)
        fleet |= {"finished_bytes": sizes_now[USED], "finished_sum": sizes_now[SUM]}
        say(f"scale: {line.submitted:,} finished, {tenants:,} tenants")
        after = {"finished": line.submitted, **line.at(0, window)}
        return {"points": points, "fleet": fleet, "slices": slices, "after": after, "kinds": sizes_now}


def side_by_side(jobs: int, window: int) -> dict[str, Figures]:
    """Return the figures of a modest queue, of both."""
    taken = {}
    for kind in (OURS, PLAIN):
        say(f"scale: {kind}, {jobs:,} queued")
        with Bench(pinned=True) as bench:
            line = Line(bench, kind)
            taken[kind] = line.at(jobs, window)
            worker = bench.workers(kind)[0]
            wait(lambda: bench.done(kind) >= line.submitted, "all are done", look_every_s=LOOK_EVERY_S)  # noqa: B023 - used here
            worker.end()
            sizes = bench.bytes_per_job(line.empty, line.submitted)
            taken[kind] |= {"finished_bytes": sizes[USED], "finished_sum": sizes[SUM]}
    return taken


COSTS = {
    "submit_us": "Redis CPU of a submit, us",
    "drain_us": "Redis CPU after it, us",
    "life_us": "Redis CPU of the whole life, us",
    "commands": "commands in Redis after submit",
    "worker_us": "worker CPU, us",
    "queued_bytes": "Redis, bytes per queued job",
}
BYTES = {"finished_bytes": "Redis, bytes per finished job", "finished_sum": "the same by MEMORY USAGE of all keys"}


def tables(found: dict[int, dict[str, Any]], both: dict[str, Figures], workers: int) -> list[Table]:
    """Return the tables of the report."""
    result = []
    for tenants, taken in found.items():
        points = taken["points"]
        who = "1 tenant" if tenants == 1 else f"{tenants:,} tenants"
        columns = [*(f"{size:,} queued" for size in points), f"none, {taken['after']['finished']:,} finished"]
        table = Table(f"One job by length of the queue, {who}", ["what", *columns])
        for name, what in COSTS.items():
            table.add(what, *(point[name] for point in points.values()), taken["after"][name])
        result.append(table)
    fleets = Table(f"{workers} workers finish what is queued", ["what", *(f"{n:,} tenants" for n in found)])
    for name in next(iter(found.values()))["fleet"]:
        what = {**BYTES, "redis_us": COSTS["drain_us"]}.get(name, name)
        fleets.add(what, *(taken["fleet"][name] for taken in found.values()))
    beside = versus("Beside plain Celery, one worker")
    for name, what in (COSTS | BYTES).items():
        beside.compare(what, both[OURS][name], both[PLAIN][name])
    return [*result, fleets, beside]


def main() -> None:
    """Run all, print the tables, draw the plot."""
    options = parser(__doc__)
    options.add_argument("--sizes", default="1000,10000,100000")
    options.add_argument("--tenants", default="1,1000")
    options.add_argument("--window", type=int, default=4000)
    options.add_argument("--workers", type=int, default=8)
    options.add_argument("--celery-jobs", type=int, default=10_000)
    chosen = options.parse_args()
    sizes = sorted(int(item) for item in chosen.sizes.split(","))
    both = side_by_side(chosen.celery_jobs, chosen.window)
    found = {n: measure(sizes, n, chosen.window, chosen.workers) for n in map(int, chosen.tenants.split(","))}
    chosen.output.mkdir(parents=True, exist_ok=True)
    plot(chosen.output / "scale.png", found, both)
    finish("scale", chosen, tables(found, both, chosen.workers), tenants=found, side_by_side=both)


if __name__ == "__main__":
    main()
