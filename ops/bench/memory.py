"""Memory: the worker's with an empty and with a very long queue, and Redis' per job, queued and finished.

    python ops/bench/memory.py [--jobs 1000000] [--celery-jobs 100000] [--finished 20000]

The worker's resident memory is read after 500 jobs in all slots, with nothing queued ("idle"), and again after 1,000
jobs more with all of them queued. Redis' bytes are `used_memory` of a fresh server, per job, before and
after, with our functions loaded and without buffers of connections and of the append-only file. Plain Celery gets
fewer jobs: it takes too long. The same key by key, `MEMORY USAGE`, so that both can be compared.
"""

from __future__ import annotations

from typing import Any

from common import KINDS, OURS, Bench, rss_mb, wait
from redis_bytes import SUM, USED
from report import Table, finish, parser, say, versus

WARM_UP, MORE = 500, 1_000


def worker_mb(bench: Bench, kind: str, jobs: int) -> dict[str, float]:
    """Return the worker's memory with and without a queue, and Redis' bytes per queued job."""
    worker = bench.workers(kind)[0].handle
    bench.vendor(latency_ms=500)  # so that every slot is in use once: threads and connections are not the queue's
    bench.fill(kind, WARM_UP)
    wait(lambda: bench.done(kind) >= WARM_UP, "the first jobs are done")
    idle, empty, done = rss_mb(worker), bench.used_memory(), bench.count()
    bench.vendor(latency_ms=10_000)  # so that hardly any of them is done while they are submitted
    bench.fill(kind, jobs, first=WARM_UP)
    queued_bytes = (bench.used_memory() - empty) / (jobs - (bench.count() - done))
    bench.vendor(latency_ms=0)
    start = bench.count()
    wait(lambda: bench.count() >= start + MORE, "more jobs are done")
    return {"idle_mb": idle, "loaded_mb": rss_mb(worker), "queued_bytes": queued_bytes}


def redis_bytes(kind: str, jobs: int) -> dict[str, dict[str, float]]:
    """Return Redis' bytes per job: queued, finished, and when a finished one's time is over."""
    with Bench() as bench:
        empty = bench.used_memory()
        bench.fill(kind, jobs)
        taken = {"queued": bench.bytes_per_job(empty, jobs)}
        worker = bench.workers(kind)[0]
        wait(lambda: bench.done(kind) >= jobs, "all jobs are done", look_every_s=0.2)
        worker.end()
        taken["finished"] = bench.bytes_per_job(empty, jobs)
        if kind == OURS:
            bench.forget_all()
            taken["gone"] = bench.bytes_per_job(empty, jobs)
        return taken


def kinds_table(taken: dict[str, dict[str, float]], jobs: int) -> Table:
    """Return what each kind of key takes of a job of ours; what is below half a byte is left out."""
    table = Table(f"Redis, bytes per job of ours, by kind of key: {jobs:,} jobs", ["what", *taken])
    for name in dict.fromkeys(name for sizes in taken.values() for name in sizes):
        sizes = [stage.get(name, 0.0) for stage in taken.values()]
        if max(sizes) >= 0.5:  # noqa: PLR2004 - it would be told as 0
            table.add(name, *(round(size) for size in sizes))
    table.note = "The sum: MEMORY USAGE of all keys, and the tables in which they stand. Gone: the tombstone is left."
    return table


def main() -> None:
    """Run it for both and print the table."""
    options = parser(__doc__)
    options.add_argument("--jobs", type=int, default=1_000_000)
    options.add_argument("--celery-jobs", type=int, default=100_000)
    options.add_argument("--finished", type=int, default=20_000)
    chosen = options.parse_args()
    samples: dict[str, Any] = {}
    for kind in KINDS:
        jobs = chosen.jobs if kind == OURS else chosen.celery_jobs
        say(f"memory: {kind}, {jobs} jobs")
        with Bench() as bench:
            samples[kind] = worker_mb(bench, kind, jobs)
        samples[kind]["growth_percent"] = 100 * (samples[kind]["loaded_mb"] / samples[kind]["idle_mb"] - 1)
        samples[kind]["bytes"] = taken = redis_bytes(kind, chosen.finished)
        samples[kind]["queued_bytes_few"] = taken["queued"][USED]
        samples[kind]["finished_bytes"] = taken["finished"][USED]
        samples[kind]["finished_sum"] = taken["finished"][SUM]
    table = versus(f"Memory: {chosen.jobs:,} jobs queued (plain Celery: {chosen.celery_jobs:,})")
    for figure, what in (
        ("idle_mb", "worker, nothing queued, MB"),
        ("loaded_mb", "worker at work, all queued, MB"),
        ("growth_percent", "growth, %"),
        ("queued_bytes", "Redis, bytes per queued job"),
        ("queued_bytes_few", f"Redis, bytes per queued job of {chosen.finished:,}"),
        ("finished_bytes", "Redis, bytes per finished job"),
        ("finished_sum", "the same by MEMORY USAGE of all keys"),
    ):
        table.compare(what, *(samples[kind][figure] for kind in KINDS))
    table.note = "Finished: ours keeps the whole record, plain Celery the result only."
    finish("memory", chosen, [table, kinds_table(samples[OURS]["bytes"], chosen.finished)], **samples)


if __name__ == "__main__":
    main()
