"""What it costs a worker that Flower watches: its CPU with task events on and a listener, beside the same without.

    python ops/bench/task_events.py [--jobs 4000] [--slots 50] [--rounds 5]

The listener is Celery's own receiver, as Flower uses it, on the other core with Redis and the stub. Both are measured
in turn; the ratio is that of the medians. What arrived at the listener is counted: three events for each job.
"""

from __future__ import annotations

import statistics
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import redis
from celery import Celery
from common import OURS, PLAIN, Bench, cpu_s, wait
from report import Table, finish, parser, say

if TYPE_CHECKING:
    import argparse

_HEARD: Final = "bench:task-events"
_OF_EACH_JOB: Final = ("task-received", "task-started", "task-succeeded")


def listen(redis_url: str) -> None:
    """Count the events of tasks, and tell Redis now and then how many there were; until killed."""
    client = redis.Redis.from_url(redis_url)
    heard = 0

    def count(_: dict[str, Any]) -> None:
        nonlocal heard
        heard += 1

    def tell() -> None:
        while True:
            client.set(_HEARD, heard)
            time.sleep(0.2)

    app = Celery(broker=redis_url)
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers=dict.fromkeys(_OF_EACH_JOB, count))
        threading.Thread(target=tell, daemon=True).start()
        receiver.capture(limit=None, timeout=None, wakeup=False)


def measure(kind: str, options: argparse.Namespace, *, watched: bool) -> dict[str, float]:
    """Return the worker's CPU for each job, and how many events of each job were heard."""
    with Bench(pinned=True) as bench:
        if watched:
            bench.start(["-c", f"import task_events; task_events.listen({bench.redis_url!r})"], core=1)
            wait(lambda: bench.redis.exists(_HEARD) == 1, "the listener listens", 30)
        bench.fill(kind, options.jobs)
        worker = bench.start_worker(kind, slots=options.slots, options=["-E"] if watched else [])
        wait(lambda: worker.check() and bench.done(kind) >= options.jobs // 10, "a tenth of the jobs is done")
        before, cpu_before = bench.done(kind), cpu_s(worker.handle)
        wait(lambda: worker.check() and bench.done(kind) >= options.jobs, "all jobs are done")
        cpu_us = (cpu_s(worker.handle) - cpu_before) / (options.jobs - before) * 1e6
        heard = 0
        if watched:
            expected = options.jobs * len(_OF_EACH_JOB)
            wait(lambda: int(bench.redis.get(_HEARD) or 0) >= expected, "all events are heard", 30)
            heard = int(bench.redis.get(_HEARD))
        return {"worker_cpu_us": cpu_us, "events": heard / options.jobs}


def main() -> None:
    """Run both in turn, and print a table."""
    options = parser(__doc__)
    options.add_argument("--jobs", type=int, default=4000)
    options.add_argument("--slots", type=int, default=50)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--kinds", nargs="+", default=[OURS], choices=[OURS, PLAIN])
    chosen = options.parse_args()
    table = Table(
        f"Flower watches: worker CPU of one job, us; {chosen.jobs} jobs, {chosen.slots} slots, median of "
        f"{chosen.rounds} rounds",
        ["worker", "alone", "watched", "ratio", "events of a job"],
    )
    samples: dict[str, Any] = {}
    for kind in chosen.kinds:
        alone, watched = [], []
        for number in range(chosen.rounds):
            say(f"task_events: {kind}, round {number + 1}")
            alone.append(measure(kind, chosen, watched=False)["worker_cpu_us"])
            watched.append(measure(kind, chosen, watched=True))
        with_events = statistics.median(sample["worker_cpu_us"] for sample in watched)
        without = statistics.median(alone)
        table.add(kind, without, with_events, with_events / without, watched[-1]["events"])
        samples[kind] = {"alone": alone, "watched": watched}
    finish("task_events", chosen, [table], samples=samples)


if __name__ == "__main__":
    main()
