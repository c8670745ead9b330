"""Scale: what a job costs with a short queue and with a very long one, of one tenant and of a thousand; 8 workers.

    python ops/bench/scale.py [--sizes 1000,10000,100000] [--tenants 1,1000] [--window 4000] [--workers 8]
        [--celery-jobs 10000] [--rounds 2]

For each number of tenants one fresh Redis. The queue is filled to each size in turn: Redis' CPU and bytes for each job
that was submitted. Then one worker, pinned, takes a window of jobs from it until the size is left: CPU of Redis and of
the worker for each, commands. Then so many workers, not pinned, finish all that is queued. At last one more window is
measured, with all those finished jobs there. A million takes about half an hour for each
number of tenants, and 10 GB of disk: --sizes 1000,10000,100000,1000000.

Redis' CPU is that of its main thread, bytes are those of redis_bytes.py. Plain Celery, one size, one worker, is
measured in the same run. `scale.png` is drawn.
"""

from __future__ import annotations

import contextlib
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from common import OURS, PLAIN, Bench, cpu_s, exhaust, request, wait
from redis_bytes import SUM, USED
from report import Table, finish, parser, say, versus
from scale_plot import plot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from common import Process

SLICES = 20
LOOK_EVERY_S = 0.25
Figures = dict[str, float]


class Line:
    """Jobs of so many tenants in one fresh Redis."""

    def __init__(self, bench: Bench, kind: str, tenants: int = 1) -> None:
        self._bench, self._kind, self._tenants = bench, kind, tenants
        self.submitted = 0
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

    def finish(self, count: int) -> tuple[Figures, list[Figures]]:
        """Let so many workers finish all; return what that took, and Redis' CPU per job on the way."""
        bench = self._bench
        jobs, queued = bench.done(self._kind), self.queued
        with self._held(count) as workers:
            began, cpu = time.monotonic(), bench.redis_cpu_us()
        slices = []
        before, mark = jobs, cpu
        while before < self.submitted:
            goal = min(before + max(queued // SLICES, 1), self.submitted)
            wait(lambda: bench.done(self._kind) >= goal, "more jobs are done", 1800, look_every_s=LOOK_EVERY_S)  # noqa: B023 - used here
            done, now = bench.done(self._kind), bench.redis_cpu_us()
            slices.append({"finished": done, "queued": self.submitted - done, "us": (now - mark) / (done - before)})
            before, mark = done, now
        seconds = time.monotonic() - began
        for worker in workers:
            worker.end()
        return {"jobs_per_s": queued / seconds, "redis_us": (mark - cpu) / (self.submitted - jobs)}, slices

    @contextlib.contextmanager
    def _held(self, count: int) -> Iterator[list[Process]]:
        """Start workers that begin together, and let them begin; they have all cores."""
        bench = self._bench
        pinned, bench.pinned = bench.pinned, False
        with bench.client() as client:
            client.operator.pause()
            yield bench.workers(self._kind, count)
            client.operator.resume()
        bench.pinned = pinned

    def checks(self) -> Figures:
        """Return what became of the jobs, and of the calls."""
        states = self._bench.outcomes()
        return {
            "submitted": self.submitted,
            "succeeded": states["succeeded"],
            "lost, or ended otherwise": self.submitted - states["succeeded"],
            "called more than once": sum(again for _, _, again in self._bench.paths().values()),
        }


def measure(sizes: list[int], tenants: int, window: int, workers: int) -> dict[str, Any]:
    """Return all figures of one number of tenants."""
    with Bench(pinned=True) as bench:
        line = Line(bench, OURS, tenants)
        points, slices = {}, {}
        for size in sizes:
            say(f"scale: {size:,} queued, {tenants:,} tenants")
            point = line.at(size, window)
            say(f"scale: {size:,} queued, {tenants:,} tenants, {workers} workers")
            fleet, slices[size] = line.finish(workers)
            kinds = bench.bytes_per_job(line.empty, line.submitted)
            point |= fleet | {"finished": line.submitted}
            points[size] = point | {"finished_bytes": kinds[USED], "finished_sum": kinds[SUM]}
        say(f"scale: {line.submitted:,} finished, {tenants:,} tenants")
        points[0] = line.at(0, window)
        if line.queued:
            line.finish(1)
        return {"points": points, "checks": line.checks(), "slices": slices, "kinds": kinds}


def side_by_side(jobs: int, window: int, rounds: int) -> dict[str, Figures]:
    """Return the figures of a modest queue, of both in turn: the median of some rounds."""
    taken: dict[str, list[Figures]] = {OURS: [], PLAIN: []}
    for number in range(rounds):
        for kind, figures in taken.items():
            say(f"scale: {kind}, {jobs:,} queued, round {number + 1}")
            with Bench(pinned=True) as bench:
                line = Line(bench, kind)
                figures.append(line.at(jobs, window))
                worker = bench.workers(kind)[0]
                wait(lambda: bench.done(kind) >= line.submitted, "all are done", look_every_s=LOOK_EVERY_S)  # noqa: B023 - used here
                worker.end()
                kinds = bench.bytes_per_job(line.empty, line.submitted)
                figures[-1] |= {"finished_bytes": kinds[USED], "finished_sum": kinds[SUM]}
    return {kind: {name: median(item[name] for item in all_) for name in all_[0]} for kind, all_ in taken.items()}


COSTS = {
    "submit_us": "Redis CPU of a submit, us",
    "drain_us": "Redis CPU after it, us",
    "life_us": "Redis CPU of the whole life, us",
    "commands": "commands in Redis after submit",
    "worker_us": "worker CPU, us",
    "queued_bytes": "Redis, bytes per queued job",
}
BYTES = {"finished_bytes": "Redis, bytes per finished job", "finished_sum": "the same by MEMORY USAGE of all keys"}


def tables(lines: dict[int, dict[str, Any]], both: dict[str, Figures], workers: int) -> list[Table]:
    """Return the tables of the report."""
    result = []
    many = {"redis_us": f"Redis CPU after submit, {workers} workers, us", "jobs_per_s": f"jobs/s of {workers} workers"}
    for tenants, taken in lines.items():
        points, who = taken["points"], "1 tenant" if tenants == 1 else f"{tenants:,} tenants"
        columns = [f"{size:,} queued" if size else "0, all others finished" for size in points]
        table = Table(f"One job by length of the queue, {who}", ["what", *columns])
        for name, what in (COSTS | many | BYTES).items():
            table.add(what, *(point.get(name) for point in points.values()))
        table.note = "; ".join(f"{name}: {number:,}" for name, number in taken["checks"].items()) + "."
        result.append(table)
    beside = versus("Beside plain Celery, one worker")
    for name, what in (COSTS | BYTES).items():
        beside.compare(what, both[OURS][name], both[PLAIN][name])
    return [*result, beside]


def main() -> None:
    """Run all, print the tables, draw the plot."""
    options = parser(__doc__)
    options.add_argument("--sizes", default="1000,10000,100000")
    options.add_argument("--tenants", default="1,1000")
    options.add_argument("--window", type=int, default=4000)
    options.add_argument("--workers", type=int, default=8)
    options.add_argument("--celery-jobs", type=int, default=10_000, help="queued beside plain Celery")
    options.add_argument("--rounds", type=int, default=2, help="of these")
    chosen = options.parse_args()
    sizes = sorted(int(item) for item in chosen.sizes.split(","))
    both = side_by_side(chosen.celery_jobs, chosen.window, chosen.rounds)
    lines = {n: measure(sizes, n, chosen.window, chosen.workers) for n in map(int, chosen.tenants.split(","))}
    chosen.output.mkdir(parents=True, exist_ok=True)
    plot(chosen.output / "scale.png", lines, both)
    finish("scale", chosen, tables(lines, both, chosen.workers), tenants=lines, side_by_side=both)


if __name__ == "__main__":
    main()
