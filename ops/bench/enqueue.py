"""What it costs to enqueue one job: the producer's CPU, Redis' CPU, bytes; beside plain Celery in the same run.

    python ops/bench/enqueue.py [--jobs 10000] [--lines 50000] [--rounds 3]

    swapjobs    SwapClient.submit_many with mappings: checked, fingerprint, idempotent, an outcome for each
    loop        plain Celery, a loop of apply_async, as everybody does
    batch       plain Celery's best: an app without result backend, kombu's Producer.batch(1000)

Each runs in a process of its own against a fresh Redis, pinned to one core, Redis to the other. CPU is user + system
time of that process from after the imports and a first block of jobs on.

Then the whole way of the command line, `swapjobs submit-batch FILE`, progress file included: CPU of its process for a
line, less what a file of one line costs.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import redis
from common import request
from redis_bytes import held
from report import Table, finish, parser, say

from swapsandbox.processes.redis_server import EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
WARM_UP = 500


def swapjobs(redis_url: str) -> Callable[[range], None]:
    """Return what enqueues a range of jobs with swapjobs."""
    from swapjobs import CoreSettings, SwapClient  # noqa: PLC0415 - only what is measured is imported

    client = SwapClient(CoreSettings(redis_url=redis_url))

    def enqueue(numbers: range) -> None:
        created = sum(item.outcome == "created" for item in client.submit_many(map(request, numbers)))
        assert created == len(numbers)

    return enqueue


def loop(_: str) -> Callable[[range], None]:
    """Return what enqueues a range of jobs with a loop of apply_async."""
    import plain_celery  # noqa: PLC0415 - only what is measured is imported

    def enqueue(numbers: range) -> None:
        for number in numbers:
            plain_celery.swap.apply_async(kwargs=request(number))

    return enqueue


def batch(redis_url: str) -> Callable[[range], None]:
    """Return what enqueues a range of jobs as cheaply as plain Celery can while workers keep the results."""
    from celery import Celery  # noqa: PLC0415 - only what is measured is imported

    app = Celery("plain_celery", broker=redis_url)
    app.conf.broker_transport_options = {"priority_steps": [0], "max_connections": 200}

    def enqueue(numbers: range) -> None:
        with app.producer_pool.acquire(block=True) as producer, producer.batch(1000):
            for number in numbers:
                app.send_task("swap", kwargs=request(number), producer=producer)

    return enqueue


def write_csv(path: Path, lines: int) -> None:
    """Write a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(request(0)))
        writer.writeheader()
        writer.writerows(map(request, range(lines)))


def write_json_lines(path: Path, lines: int) -> None:
    """Write a file of JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(request(number)) + "\n" for number in range(lines))


FILES = {"CSV": write_csv, "JSON lines": write_json_lines}
KINDS = {"swapjobs": swapjobs, "loop": loop, "batch": batch}


def cpu_us(whose: int = resource.RUSAGE_SELF) -> float:
    """Return the CPU time so far of this process, or of its children that have ended."""
    used = resource.getrusage(whose)
    return (used.ru_utime + used.ru_stime) * 1e6


def enqueue_and_count(kind: str, redis_url: str, jobs: int) -> dict[str, float]:
    """Enqueue, and return what each job cost; run in a process of its own."""
    enqueue = KINDS[kind](redis_url)
    enqueue(range(WARM_UP))
    with redis.Redis.from_url(redis_url) as watch:

        def server() -> tuple[float, float, float]:
            facts: dict[str, Any] = watch.info("everything")
            cpu = facts["used_cpu_user"] + facts["used_cpu_sys"]
            return cpu * 1e6, held(watch), facts["total_reads_processed"]

        before, cpu, wall = server(), cpu_us(), time.monotonic()
        enqueue(range(WARM_UP, WARM_UP + jobs))
        cpu, wall = cpu_us() - cpu, time.monotonic() - wall
        redis_cpu, size, reads = (now - then for now, then in zip(server(), before, strict=True))
    return {
        "producer_cpu_us": cpu / jobs,
        "redis_cpu_us": redis_cpu / jobs,
        "round_trips": reads / jobs,
        "queued_bytes": size / jobs,
        "jobs_per_s": jobs / wall,
    }


def measure(kind: str, jobs: int) -> dict[str, float]:
    """Start a fresh Redis and a producer beside it; return the producer's figures."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis(Path(folder)) as server:
        assert server.process is not None
        psutil.Process(server.process.pid).cpu_affinity([1])
        settings = {"BENCH_REDIS_URL": server.url, "BENCH_API_URL": ""}
        done = subprocess.run(
            ["taskset", "-c", "0", sys.executable, str(HERE / "enqueue.py"), "--only", kind, "--jobs", str(jobs)],
            env={**os.environ, **settings},  # noqa: TID251 - for a child
            stdout=subprocess.PIPE,
            check=True,
        )
        figures: dict[str, float] = json.loads(done.stdout)
        return figures


def submit_file(kind: str, lines: int) -> float:
    """Submit a file by the command line to a fresh Redis; return its CPU in us."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis(Path(folder)) as server:
        assert server.process is not None
        psutil.Process(server.process.pid).cpu_affinity([1])
        file = Path(folder) / "rows"
        FILES[kind](file, lines)
        before = cpu_us(resource.RUSAGE_CHILDREN)  # Redis is not among them before it has ended
        subprocess.run(
            ["taskset", "-c", "0", sys.executable, "-m", "swapjobs", "submit-batch", str(file)],
            env={**os.environ, "SWAPJOBS_REDIS_URL": server.url},  # noqa: TID251 - for a child
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return cpu_us(resource.RUSAGE_CHILDREN) - before


def files_table(lines: int, rounds: int, samples: dict[str, Any]) -> Table:
    """Submit files of each kind, and return the table."""
    table = Table(f"swapjobs submit-batch, {lines} lines, median of {rounds} rounds", ["file", "CPU us a line"])
    for kind in FILES:
        say(f"enqueue: a file of {kind}")
        taken = [(submit_file(kind, lines) - submit_file(kind, 1)) / (lines - 1) for _ in range(rounds)]
        table.add(kind, statistics.median(taken))
        samples[f"submit-batch, {kind}"] = taken
    return table


def main() -> None:
    """Run the three in turn, then the files, and print the tables."""
    options = parser(__doc__)
    options.add_argument("--jobs", type=int, default=10_000)
    options.add_argument("--lines", type=int, default=50_000, help="of each file")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", choices=KINDS, help=argparse.SUPPRESS)  # how it runs itself
    chosen = options.parse_args()
    if chosen.only:
        url = os.environ["BENCH_REDIS_URL"]  # noqa: TID251 - a script of its own
        print(json.dumps(enqueue_and_count(chosen.only, url, chosen.jobs)))
        return
    samples: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for _ in range(chosen.rounds):
        for kind, taken in samples.items():
            say(f"enqueue: {kind}")
            taken.append(measure(kind, chosen.jobs))
    title = f"Enqueue, {chosen.jobs} jobs, median of {chosen.rounds} rounds, for each job"
    note = "loop: apply_async for each; batch: no result backend, Producer.batch(1000)"
    table = Table(title, ["what", "swapjobs", "loop", "batch", "loop / swapjobs", "batch / swapjobs"], note=note)
    for figure in samples["swapjobs"][0]:
        ours, plain, best = (statistics.median(item[figure] for item in taken) for taken in samples.values())
        table.add(figure, ours, plain, best, plain / ours, best / ours)
    of_files: dict[str, Any] = {}
    tables = [table, files_table(chosen.lines, chosen.rounds, of_files)]
    finish("enqueue", chosen, tables, **samples, **of_files)


if __name__ == "__main__":
    main()
