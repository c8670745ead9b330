"""What it costs to enqueue one job: the producer's CPU, Redis' CPU, bytes; beside plain Celery in the same run.

    python ops/bench/enqueue.py [--jobs 10000] [--rounds 3] [--json FILE]

    swapjobs    SwapClient.submit_many with mappings: checked, fingerprint, idempotent, an outcome for each
    loop        plain Celery, a loop of apply_async, as everybody does
    batch       plain Celery's best: an app without result backend, kombu's Producer.batch(1000)

Each runs in a process of its own against a fresh Redis, pinned to one core, Redis to the other. CPU is user + system
time of that process from after the imports and a first block of jobs on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
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

from swapsandbox.redis_server import EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
WARM_UP = 500


def request(number: int) -> dict[str, str]:
    """Return a job with two URLs of 120 characters and a business id."""
    return {
        "source_url": f"https://img.example.invalid/source/{number:08d}/".ljust(120, "x"),
        "target_url": f"https://img.example.invalid/target/{number:08d}/".ljust(120, "x"),
        "business_task_id": f"biz-{number:016d}",
    }


def swapjobs(redis_url: str) -> Callable[[range], None]:
    """Return what enqueues a range of jobs with swapjobs."""
    from swapjobs import CoreSettings, SwapClient  # noqa: PLC0415 - only what is measured is imported

    client = SwapClient(CoreSettings(redis_url=redis_url))

    def enqueue(numbers: range) -> None:
        created = sum(each.outcome == "created" for each in client.submit_many(map(request, numbers)))
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


KINDS = {"swapjobs": swapjobs, "loop": loop, "batch": batch}


def cpu_us() -> float:
    """Return this process's CPU time so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1e6


def enqueue_and_count(kind: str, redis_url: str, jobs: int) -> dict[str, float]:
    """Enqueue, and return what each job cost; run in a process of its own."""
    enqueue = KINDS[kind](redis_url)
    enqueue(range(WARM_UP))
    with redis.Redis.from_url(redis_url) as watch:

        def server() -> tuple[float, float, float]:
            facts: dict[str, Any] = watch.info("everything")
            cpu = facts["used_cpu_user"] + facts["used_cpu_sys"]
            return cpu * 1e6, facts["used_memory"], facts["total_reads_processed"]

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


def show(samples: dict[str, list[dict[str, float]]]) -> None:
    """Print medians, and for the producer's CPU the lowest and the highest."""
    print(f"{'':18}{'swapjobs':>10}{'loop':>10}{'batch':>10}{'loop : ours':>13}{'batch : ours':>14}")
    for figure in samples["swapjobs"][0]:
        ours, plain, best = (statistics.median(each[figure] for each in taken) for taken in samples.values())
        print(f"{figure:18}{ours:10.1f}{plain:10.1f}{best:10.1f}{plain / ours:13.2f}{best / ours:14.2f}")
    for kind, taken in samples.items():
        cpu = sorted(each["producer_cpu_us"] for each in taken)
        print(f"{kind}: producer_cpu_us from {cpu[0]:.1f} to {cpu[-1]:.1f}")


def main() -> None:
    """Run the three in turn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the samples there")
    parser.add_argument("--only", choices=KINDS, help=argparse.SUPPRESS)  # how it runs itself
    options = parser.parse_args()
    if options.only:
        url = os.environ["BENCH_REDIS_URL"]  # noqa: TID251 - a script of its own
        print(json.dumps(enqueue_and_count(options.only, url, options.jobs)))
        return
    samples: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for _ in range(options.rounds):
        for kind, taken in samples.items():
            taken.append(measure(kind, options.jobs))
    print(f"{options.jobs} jobs, {options.rounds} rounds, median, each for one job")
    show(samples)
    if options.json:
        facts = {"machine": platform.platform(), "cores": os.cpu_count(), "python": sys.version.split()[0]}
        told = {name: value for name, value in vars(options).items() if name in {"jobs", "rounds"}}
        options.json.write_text(json.dumps({**facts, "options": told, "samples": samples}))


if __name__ == "__main__":
    main()
