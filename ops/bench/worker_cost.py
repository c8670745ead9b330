"""What one job costs: worker CPU, Redis CPU, round trips, bytes; beside plain Celery in the same run.

    python ops/bench/worker_cost.py [--jobs 3000] [--concurrency 50] [--latency-ms 0] [--rounds 3]

Both workers are pinned to one core, Redis and the stub share the other. CPU is user + system time of the worker's
process tree from 10 % to 100 % of the jobs; round trips are the server's `total_reads_processed`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import redis

from swapjobs import CoreSettings, SwapClient
from swapsandbox.redis_server import EmbeddedRedis, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent


def request(number: int) -> dict[str, str]:
    """Return a job with two URLs of 120 characters."""
    return {
        "source_url": f"https://img.example.invalid/source/{number:08d}/".ljust(120, "x"),
        "target_url": f"https://img.example.invalid/target/{number:08d}/".ljust(120, "x"),
        "business_task_id": f"biz-{number:016d}",
    }


@contextlib.contextmanager
def process(command: list[str], core: int, **environment: str) -> Iterator[psutil.Process]:
    """Run a command on one core until the block ends."""
    child = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, **environment},  # noqa: TID251 - for a child
        cwd=HERE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    handle = psutil.Process(child.pid)
    handle.cpu_affinity([core])
    try:
        yield handle
    finally:
        child.terminate()
        child.wait(30)


def cpu_s(handle: psutil.Process) -> float:
    """Return the CPU seconds of a process and its children so far."""
    return sum(sum(each.cpu_times()[:2]) for each in (handle, *handle.children(recursive=True)))


def wait(condition: Callable[[], bool], seconds: float = 300) -> None:
    """Wait for a condition."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.02)


class Counter:
    """Redis' own counters since it was made."""

    def __init__(self, client: redis.Redis, server: psutil.Process, worker: psutil.Process) -> None:
        self._client, self._server, self._worker = client, server, worker
        self._before = self._read()
        self._time = time.monotonic()

    def _read(self) -> tuple[float, float, float]:
        reads = float(self._client.info("stats")["total_reads_processed"])
        return reads, cpu_s(self._server), cpu_s(self._worker)

    def per_job(self, jobs: int, polls: int) -> dict[str, float]:
        """Return what each of `jobs` cost; `polls` of the reads were this script's own."""
        reads, server, worker = (now - before for now, before in zip(self._read(), self._before, strict=True))
        return {
            "worker_cpu_us": worker / jobs * 1e6,
            "redis_cpu_us": server / jobs * 1e6,
            "round_trips": (reads - polls) / jobs,
            "jobs_per_s": jobs / (time.monotonic() - self._time),
        }


def measure(name: str, options: argparse.Namespace) -> dict[str, float]:
    """Fill a fresh Redis, measure bytes, start the worker, and measure until all jobs are done."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(EmbeddedRedis(folder))
        assert server.process is not None
        server_handle = psutil.Process(server.process.pid)
        server_handle.cpu_affinity([1])
        client = redis.Redis.from_url(server.url, decode_responses=True)
        port = free_port()
        stack.enter_context(process([str(HERE / "stub.py"), str(port), str(options.latency_ms)], 1))
        kind = {"swapjobs": Ours, "celery": Plain}[name](server.url, f"http://127.0.0.1:{port}", options)
        empty = client.info("memory")["used_memory"]
        kind.fill(options.jobs)
        queued_bytes = (client.info("memory")["used_memory"] - empty) / options.jobs
        with process(kind.command, 0, **kind.environment) as handle:
            wait(lambda: kind.done(client) >= options.jobs // 10)
            before, polls = kind.done(client), 0
            counter = Counter(client, server_handle, handle)
            while kind.done(client) < options.jobs:
                polls += 1
                time.sleep(0.02)
            figures = counter.per_job(options.jobs - before, polls)
        figures["queued_bytes"] = queued_bytes
        # after the worker is gone: its connections' buffers are not the jobs'
        figures["finished_bytes"] = (client.info("memory")["used_memory"] - empty) / options.jobs
        return figures


class Ours:
    """swapjobs."""

    def __init__(self, redis_url: str, api_url: str, options: argparse.Namespace) -> None:
        self._settings = CoreSettings(redis_url=redis_url)
        self.environment = {
            "SWAPJOBS_REDIS_URL": redis_url,
            "SWAPJOBS_API_URL": api_url,
            "SWAPJOBS_RATE_LIMIT": "100000/s",
            "SWAPJOBS_RATE_BURST": "100",
        }
        self.command = ["-m", "celery", "-A", "swapworker.app", "worker", "-Q", "swaps", "-c", str(options.concurrency)]
        self.command += ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "warning"]

    def fill(self, jobs: int) -> None:
        """Submit."""
        with SwapClient(self._settings) as client:
            for _ in client.submit_many(request(number) for number in range(jobs)):
                pass

    def done(self, client: redis.Redis) -> int:
        """Count finished jobs."""
        info = client.info("keyspace").get("db0", {})
        return int(info.get("expires", 0)) // 3


class Plain:
    """Plain Celery."""

    def __init__(self, redis_url: str, api_url: str, options: argparse.Namespace) -> None:
        self.environment = {"BENCH_REDIS_URL": redis_url, "BENCH_API_URL": api_url}
        self.command = ["-m", "celery", "-A", "plain_celery", "worker", "-P", "threads", "-c", str(options.concurrency)]
        self.command += ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "warning"]

    def fill(self, jobs: int) -> None:
        """Send with apply_async, as everybody does."""
        script = (
            f"import plain_celery, worker_cost\nfor n in range({jobs}): "
            "plain_celery.swap.apply_async(kwargs=worker_cost.request(n))"
        )
        environment = {**os.environ, **self.environment}  # noqa: TID251 - for a child
        subprocess.run([sys.executable, "-c", script], cwd=HERE, env=environment, check=True)

    def done(self, client: redis.Redis) -> int:
        """Count stored results."""
        return int(client.info("keyspace").get("db0", {}).get("expires", 0))


def main() -> None:
    """Run both in turn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=3000)
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the samples there")
    options = parser.parse_args()
    samples: dict[str, list[dict[str, float]]] = {"swapjobs": [], "celery": []}
    for _ in range(options.rounds):
        for name, taken in samples.items():
            taken.append(measure(name, options))
    print(
        f"{options.jobs} jobs, {options.concurrency} slots, {options.latency_ms:g} ms, {options.rounds} rounds, median"
    )
    print(f"{'':16}{'swapjobs':>12}{'plain Celery':>14}{'ratio':>8}")
    for figure in samples["swapjobs"][0]:
        ours, plain = (statistics.median(each[figure] for each in taken) for taken in samples.values())
        print(f"{figure:16}{ours:12.1f}{plain:14.1f}{ours / plain:8.2f}")
    if options.json:
        facts: dict[str, Any] = {
            "machine": platform.platform(),
            "cores": os.cpu_count(),
            "python": sys.version.split()[0],
        }
        options.json.write_text(json.dumps({**facts, "options": vars(options) | {"json": None}, "samples": samples}))


if __name__ == "__main__":
    main()
