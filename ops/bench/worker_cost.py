"""What one job costs: worker CPU, Redis CPU, round trips, bytes; beside plain Celery in the same run.

    python ops/bench/worker_cost.py [--jobs 5000] [--slots 50] [--latency-ms 0] [--rounds 3] [--webhooks]

With `--webhooks` each job's end is told by a signed webhook, which a second worker delivers; plain Celery's by a task
of its own with Celery's retries. A job counts as done when its webhook has come.

Both workers are pinned to one core, Redis and the stub share the other. CPU is user + system time of the worker's
process tree from 10 % to 100 % of the jobs; round trips are the server's `total_reads_processed`; bytes are counted as
in memory.py, which has more jobs and more to say of them.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from common import HOOKS, KINDS, Bench, cpu_s, wait
from report import finish, parser, say, versus

if TYPE_CHECKING:
    import argparse

    from common import Process

FIGURES = {
    "worker_cpu_us": "worker CPU, us",
    "round_trips": "Redis round trips of the worker",
    "redis_cpu_us": "Redis server CPU, us",
    "queued_bytes": "bytes in Redis while queued",
    "finished_bytes": "bytes in Redis when finished",
    "jobs_per_s": "jobs/s",
}


class Counter:
    """The counters of Redis and of the workers since it was made."""

    def __init__(self, bench: Bench, workers: list[Process]) -> None:
        self._bench, self._workers = bench, workers
        self._before = self._read()
        self._time = time.monotonic()

    def _read(self) -> tuple[float, float, float]:
        reads = float(self._bench.redis.info("stats")["total_reads_processed"])
        return reads, cpu_s(self._bench.server), sum(cpu_s(item.handle) for item in self._workers)

    def per_job(self, jobs: int, polls: int) -> dict[str, float]:
        """Return what each of `jobs` cost; `polls` of the reads were this script's own."""
        reads, server, worker = (now - before for now, before in zip(self._read(), self._before, strict=True))
        return {
            "worker_cpu_us": worker / jobs * 1e6,
            "redis_cpu_us": server / jobs * 1e6,
            "round_trips": (reads - polls) / jobs,
            "jobs_per_s": jobs / (time.monotonic() - self._time),
        }


def measure(kind: str, options: argparse.Namespace) -> dict[str, float]:
    """Fill a fresh Redis, measure bytes, start the worker, and measure until all jobs are done."""
    with Bench(latency_ms=options.latency_ms, pinned=True) as bench:
        empty = bench.used_memory()
        fields, count = {}, lambda: bench.done(kind)
        if options.webhooks:
            fields["callback_url"], count = bench.start_receiver()
        bench.fill(kind, options.jobs, **fields)
        queued_bytes = (bench.used_memory() - empty) / options.jobs
        workers = [bench.start_worker(kind, slots=options.slots, **HOOKS)]
        if options.webhooks:
            workers.append(bench.start_webhook_worker(kind))
        wait(lambda: all(item.check() for item in workers) and count() >= options.jobs // 10, "a tenth is done")
        counter, before, polls = Counter(bench, workers), count(), 1
        while count() < options.jobs and all(item.check() for item in workers):
            polls += 1
            time.sleep(0.1)
        figures = counter.per_job(options.jobs - before, polls)
        for item in workers:  # their connections' buffers are not the jobs'
            item.end()
        return {
            **figures,
            "queued_bytes": queued_bytes,
            "finished_bytes": (bench.used_memory() - empty) / options.jobs,
        }


def main() -> None:
    """Run both in turn, and print a table."""
    options = parser(__doc__)
    options.add_argument("--jobs", type=int, default=5000)
    options.add_argument("--slots", type=int, default=50)
    options.add_argument("--latency-ms", type=float, default=0)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--webhooks", action="store_true")
    chosen = options.parse_args()
    samples: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for number in range(chosen.rounds):
        for kind, taken in samples.items():
            say(f"worker_cost: {kind}, round {number + 1}")
            taken.append(measure(kind, chosen))
    table = versus(
        f"Cost of one job{' and its webhook' if chosen.webhooks else ''}: "
        f"{chosen.jobs} jobs, {chosen.slots} slots, {chosen.latency_ms:g} ms, "
        f"median of {chosen.rounds} rounds",
        note="Finished: ours keeps the whole record, plain Celery the result only.",
    )
    for figure, what in FIGURES.items():
        table.compare(what, *(statistics.median(sample[figure] for sample in samples[kind]) for kind in KINDS))
    finish("worker_cost", chosen, [table], **samples)


if __name__ == "__main__":
    main()
