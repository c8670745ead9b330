"""What one job takes of Redis and the workers in its whole life: the figures behind docs/operations/capacity.md.

    python ops/bench/capacity.py [--jobs 5000] [--rounds 3] [--slots 50] [--latency-ms 0] [--rate 100000/s]

Jobs without a webhook, and jobs with one, in turn, each on a fresh Redis whose append-only file is not rewritten. They
are submitted in blocks, then worked off by one swap worker process (and one webhook worker process), pinned to one
core; Redis, the vendor and the receiver share the other. Redis' CPU is that of its main thread, commands are counted
inside functions too, bytes are `used_memory` against the server with its functions loaded. `work_*` and workers' CPU
are from 10 % of the jobs on; `idle_*` is in a second without work.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

from common import HERE, OURS, Bench, cpu_s, exhaust, request, rss_mb, wait
from report import Table, finish, parser, say

from swapjobs import SwapRequest
from swapsandbox.processes.redis_server import free_port

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from common import Process

KINDS = ("no webhook", "webhook")
FIRST = 100  # jobs that only load and warm things up
SINGLY = 1000
BLOCK = 1000
HOOKS = {"SWAPJOBS_WEBHOOK_SECRETS": "whsec_" + "A" * 32, "SWAPJOBS_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}


class Jobs:
    """Jobs that are submitted, worked off and counted in one fresh Redis."""

    def __init__(self, bench: Bench, options: argparse.Namespace, *, webhooks: bool) -> None:
        self._bench, self._options, self._redis = bench, options, bench.redis
        self._webhooks = webhooks
        self._fields = {}
        if webhooks:
            port = free_port()
            bench.start([str(HERE / "stub.py"), str(port), "0"], core=1)
            self._fields["callback_url"] = f"http://127.0.0.1:{port}/hooks/swap"

    def _requests(self, first: int, count: int) -> Iterator[dict[str, Any]]:
        return (request(number, **self._fields) for number in range(first, first + count))

    def _read(self) -> dict[str, float]:
        facts = self._redis.info("everything")
        return {
            "redis_cpu_us": (facts["used_cpu_user_main_thread"] + facts["used_cpu_sys_main_thread"]) * 1e6,
            "commands": sum(item["calls"] for item in self._redis.info("commandstats").values()),
            "round_trips": facts["total_reads_processed"],
            "net_in_bytes": facts["total_net_input_bytes"],
            "net_out_bytes": facts["total_net_output_bytes"],
            "aof_bytes": facts["aof_current_size"],
        }

    def _since(self, before: dict[str, float], count: float, prefix: str) -> dict[str, float]:
        now = self._read()
        return {f"{prefix}_{name}": (now[name] - before[name]) / count for name in before}

    def submit(self) -> tuple[dict[str, float], int]:
        """Submit in blocks; return what each job took, and the bytes that Redis used before."""
        with self._bench.client() as producer:
            assert all(item.outcome == "created" for item in producer.submit_many(self._requests(0, FIRST)))
            empty, before = self._bench.used_memory(), self._read()
            exhaust(producer.submit_many(self._requests(FIRST, self._options.jobs)))
            figures = self._since(before, self._options.jobs, "submit")
        return figures | {"queued_bytes": (self._bench.used_memory() - empty) / self._options.jobs}, empty

    def submit_singly(self) -> dict[str, float]:
        """Submit one by one, as a web product does; return what each job took of Redis."""
        requests = [SwapRequest.parse(item) for item in self._requests(10**7, SINGLY)]
        with self._bench.client() as producer:
            before = self._read()
            for item in requests:
                producer.submit(item)
            return {"single_submit_redis_cpu_us": self._since(before, SINGLY, "submit")["submit_redis_cpu_us"]}

    def work(self) -> dict[str, float]:
        """Work all off; return what each job took."""
        connections = self._redis.info("clients")["connected_clients"]
        settings = {**self._bench.environment(OURS), "SWAPJOBS_RATE_BURST": "100", **HOOKS}
        settings["SWAPJOBS_RATE_LIMIT"] = self._options.rate
        workers = {"swap": self._bench.start_worker(OURS, slots=self._options.slots, **settings)}
        if self._webhooks:
            command = ["-m", "celery", "-A", "swapworker.app", "worker", "-Q", "webhooks", "-c", "16", "-n", "hooks"]
            workers["hook"] = self._bench.start([*command, "-l", "warning"], core=0, **settings)
        jobs = self._options.jobs + FIRST
        wait(lambda: self._bench.done(OURS) >= jobs // 10, "a tenth is done", 900)
        first, before, began, highest = self._bench.done(OURS), self._read(), time.monotonic(), 0
        cpu = {name: cpu_s(worker.handle) for name, worker in workers.items()}
        while self._bench.done(OURS) < jobs and all(worker.check() for worker in workers.values()):
            highest = max(highest, self._redis.info("clients")["connected_clients"] - connections)
            time.sleep(0.1)
        figures = self._since(before, jobs - first, "work")
        figures["work_jobs_per_s"] = (jobs - first) / (time.monotonic() - began)
        for name, worker in workers.items():
            figures[f"{name}_worker_cpu_us"] = (cpu_s(worker.handle) - cpu[name]) / (jobs - first) * 1e6
            figures[f"{name}_worker_rss_mb"] = rss_mb(worker.handle)
        figures |= {"connections": highest} | self._idle(workers)
        for worker in workers.values():
            worker.end()
        return figures

    def _idle(self, workers: dict[str, Process]) -> dict[str, float]:
        before, began = self._read(), time.monotonic()
        cpu = sum(cpu_s(worker.handle) for worker in workers.values())
        time.sleep(self._options.idle_s)
        span, now = time.monotonic() - began, self._since(before, 1, "idle")
        cpu = sum(cpu_s(worker.handle) for worker in workers.values()) - cpu
        return {"idle_redis_cpu_us": now["idle_redis_cpu_us"] / span, "idle_worker_cpu_us": cpu / span * 1e6}

    def leftovers(self, empty: int) -> dict[str, float]:
        """Return a finished job's bytes in memory and in a rewritten file, then those of its tombstone alone."""
        jobs = self._options.jobs
        figures = {"finished_bytes": (self._bench.used_memory() - empty) / jobs}
        self._redis.bgrewriteaof()
        wait(self._rewritten, "the append-only file is rewritten", 120)
        figures["finished_aof_bytes"] = self._redis.info("persistence")["aof_base_size"] / jobs
        for pattern in ("swapjobs:job:*", "swapjobs:history:*"):
            keys = list(self._redis.scan_iter(pattern, count=BLOCK))
            for start in range(0, len(keys), BLOCK):
                self._redis.delete(*keys[start : start + BLOCK])
        time.sleep(1)  # its tables shrink in the background
        return figures | {"tombstone_bytes": (self._bench.used_memory() - empty) / jobs}

    def _rewritten(self) -> bool:
        facts = self._redis.info("persistence")
        return not facts["aof_rewrite_in_progress"] and not facts["aof_rewrite_scheduled"]


def measure(kind: str, options: argparse.Namespace) -> dict[str, float]:
    """Return one round's figures."""
    with Bench(latency_ms=options.latency_ms, pinned=True) as bench:
        bench.redis.config_set("auto-aof-rewrite-percentage", 0)
        jobs = Jobs(bench, options, webhooks=kind == "webhook")
        figures, empty = jobs.submit()
        return figures | jobs.work() | jobs.leftovers(empty) | jobs.submit_singly()


def main() -> None:
    """Measure the kinds in turn, and print a table for each."""
    options = parser(__doc__)
    options.add_argument("--jobs", type=int, default=5000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--slots", type=int, default=50)
    options.add_argument("--latency-ms", type=float, default=0)
    options.add_argument("--rate", default="100000/s", help="SWAPJOBS_RATE_LIMIT of the workers")
    options.add_argument("--idle-s", type=float, default=5, help="how long idle workers are watched")
    options.add_argument("--kind", choices=KINDS, help="only this kind")
    chosen = options.parse_args()
    samples: dict[str, list[dict[str, float]]] = {kind: [] for kind in ([chosen.kind] if chosen.kind else KINDS)}
    for number in range(chosen.rounds):
        for kind, taken in samples.items():
            say(f"capacity: {kind}, round {number + 1}")
            taken.append(measure(kind, chosen))
    tables = []
    for kind, taken in samples.items():
        table = Table(f"One job, {kind}, {chosen.rounds} rounds", ["what", "median", "lowest", "highest"])
        for name in taken[0]:
            seen = [item[name] for item in taken]
            table.add(name, statistics.median(seen), min(seen), max(seen))
        tables.append(table)
    finish("capacity", chosen, tables, **samples)


if __name__ == "__main__":
    main()
