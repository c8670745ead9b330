"""What one job takes of Redis and the workers in its whole life: the figures behind docs/operations/capacity.md.

    python ops/bench/capacity.py --write
    python ops/bench/capacity.py --kind webhook [--jobs 5000] [--rounds 3] [--slots 50] [--latency-ms 0]
        [--rate 100000/s]

The first measures the three cases of `CASES` and writes what `swapjobs doctor --plan` reckons with, and the tables of
docs/operations/capacity.md, in less than three minutes; without `--write` it only prints. The second measures any case.

Jobs without a webhook, or with one, on a fresh Redis whose append-only file is not rewritten. They are submitted in
blocks, then worked off by one swap worker process (and one webhook worker process), pinned to one core; Redis, the
vendor and the receiver share the other. Redis' CPU is that of its main thread, commands are counted inside functions
too, bytes are those of redis_bytes.py. `work_*` and workers' CPU are from 10 % of the jobs on; `idle_*` is in a second
without work.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from common import HOOKS, OURS, Bench, cpu_s, exhaust, request, rss_mb, wait
from measured_file import BARE, HOT, PACED, constants, write
from redis_bytes import of_jobs
from report import Table, finish, machine, parser, say

from swapjobs import SwapRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from common import Process

KINDS: Final = ("no webhook", "webhook")
FIRST: Final = 100  # jobs that only load and warm things up
SINGLY: Final = 1000
LOOK_EVERY_S: Final = 0.2


@dataclass(frozen=True)
class Case:
    """What is measured: how many jobs of which kind, and how fast the vendor lets them go."""

    kind: str
    jobs: int = 5000
    rate: str = "100000/s"  # SWAPJOBS_RATE_LIMIT of the workers
    latency_ms: float = 0
    slots: int = 50
    idle_s: float = 5  # how long idle workers are watched


# Redis' tables grow by doubling, and tombstones share 1,024 hashes, so bytes are those of the cases of many jobs.
CASES: Final = {
    PACED: (Case("webhook", 1500, "100/s", 250), 2),
    HOT: (Case("webhook", 10_000), 1),
    BARE: (Case("no webhook", 20_000), 1),
}


class Jobs:
    """Jobs that are submitted, worked off and counted in one fresh Redis."""

    def __init__(self, bench: Bench, case: Case) -> None:
        self._bench, self._case, self._redis = bench, case, bench.redis
        self._webhooks = case.kind == "webhook"
        self._fields = {}
        if self._webhooks:
            self._fields["callback_url"], _ = bench.start_receiver()

    def _requests(self, first: int, count: int) -> Iterator[dict[str, Any]]:
        return (request(number, **self._fields) for number in range(first, first + count))

    def _read(self) -> dict[str, float]:
        facts = self._redis.info("everything")
        return {
            "redis_cpu_us": (facts["used_cpu_user_main_thread"] + facts["used_cpu_sys_main_thread"]) * 1e6,
            "commands": self._bench.commands(),
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
            exhaust(producer.submit_many(self._requests(FIRST, self._case.jobs)))
            figures = self._since(before, self._case.jobs, "submit")
        queued = (self._bench.used_memory() - empty) / self._case.jobs
        return figures | {"queued_bytes": queued, "queued_keys_bytes": self._keys_bytes()}, empty

    def _keys_bytes(self) -> float:
        return of_jobs(self._redis, self._case.jobs + FIRST)

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
        rate = {"SWAPJOBS_RATE_LIMIT": self._case.rate}
        workers = {"swap": self._bench.start_worker(OURS, slots=self._case.slots, **HOOKS, **rate)}
        if self._webhooks:
            workers["hook"] = self._bench.start_webhook_worker(OURS, **rate)
        jobs = self._case.jobs + FIRST
        wait(lambda: self._done() >= jobs // 10, "a tenth is done", 900, look_every_s=LOOK_EVERY_S)
        first, before, began, highest = self._done(), self._read(), time.monotonic(), 0
        cpu = {name: cpu_s(worker.handle) for name, worker in workers.items()}
        while self._done() < jobs and all(worker.check() for worker in workers.values()):
            highest = max(highest, self._redis.info("clients")["connected_clients"] - connections)
            time.sleep(LOOK_EVERY_S)
        figures = self._since(before, jobs - first, "work")
        figures["work_jobs_per_s"] = (jobs - first) / (time.monotonic() - began)
        for name, worker in workers.items():
            figures[f"{name}_worker_cpu_us"] = (cpu_s(worker.handle) - cpu[name]) / (jobs - first) * 1e6
            figures[f"{name}_worker_rss_mb"] = rss_mb(worker.handle)
        figures |= {"connections": highest} | self._idle(workers)
        for worker in workers.values():
            worker.end()
        return figures

    def _done(self) -> int:
        return self._bench.delivered() if self._webhooks else self._bench.done(OURS)

    def _idle(self, workers: dict[str, Process]) -> dict[str, float]:
        before, began = self._read(), time.monotonic()
        cpu = sum(cpu_s(worker.handle) for worker in workers.values())
        time.sleep(self._case.idle_s)
        span, now = time.monotonic() - began, self._since(before, 1, "idle")
        cpu = sum(cpu_s(worker.handle) for worker in workers.values()) - cpu
        return {"idle_redis_cpu_us": now["idle_redis_cpu_us"] / span, "idle_worker_cpu_us": cpu / span * 1e6}

    def leftovers(self, empty: int) -> dict[str, float]:
        """Return a finished job's bytes in memory and in a rewritten file, then those of its tombstone alone."""
        jobs = self._case.jobs
        finished = (self._bench.used_memory() - empty) / jobs
        figures = {"finished_bytes": finished, "finished_keys_bytes": self._keys_bytes()}
        self._redis.bgrewriteaof()
        wait(self._rewritten, "the append-only file is rewritten", 120)
        figures["finished_aof_bytes"] = self._redis.info("persistence")["aof_base_size"] / jobs
        self._bench.forget_all()
        return figures | {"tombstone_bytes": (self._bench.used_memory() - empty) / jobs}

    def _rewritten(self) -> bool:
        facts = self._redis.info("persistence")
        return not facts["aof_rewrite_in_progress"] and not facts["aof_rewrite_scheduled"]


def measure(case: Case) -> dict[str, float]:
    """Return one round's figures."""
    with Bench(latency_ms=case.latency_ms, pinned=True) as bench:
        bench.redis.config_set("auto-aof-rewrite-percentage", 0)
        jobs = Jobs(bench, case)
        figures, empty = jobs.submit()
        return figures | jobs.work() | jobs.leftovers(empty) | jobs.submit_singly()


def bytes_of(case: Case) -> dict[str, float]:
    """Return only what a job's keys take in Redis."""
    with Bench() as bench:
        jobs = Jobs(bench, case)
        queued, empty = jobs.submit()
        jobs.work()
        finished = jobs.leftovers(empty)
    return {name: figures[name] for figures in (queued, finished) for name in figures if name.endswith("keys_bytes")}


def rounds_of(name: str, case: Case, rounds: int) -> list[dict[str, float]]:
    """Return the figures of some rounds."""
    taken = []
    for number in range(rounds):
        say(f"capacity: {name}, round {number + 1} of {rounds}, {case.jobs} jobs")
        taken.append(measure(case))
    return taken


def table_of(name: str, taken: list[dict[str, float]]) -> Table:
    """Return a table of a case's figures."""
    table = Table(f"One job, {name}, rounds: {len(taken)}", ["what", "median", "lowest", "highest"])
    for figure in taken[0]:
        seen = [item[figure] for item in taken]
        table.add(figure, statistics.median(seen), min(seen), max(seen))
    return table


def main() -> None:
    """Measure the three cases, or the one that is asked for, and print a table for each."""
    options = parser(__doc__)
    options.add_argument("--write", action="store_true", help="write what the planner reckons with, and the page")
    options.add_argument("--scale", type=float, default=1, help="so many times the jobs of the three cases")
    options.add_argument("--kind", choices=KINDS, help="only one case, of this kind and with the options below")
    options.add_argument("--rounds", type=int, default=3)
    case = Case(KINDS[0])
    for name in ("jobs", "slots", "latency_ms", "rate", "idle_s"):
        default = getattr(case, name)
        options.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    chosen = options.parse_args()
    if chosen.kind:
        case = Case(**{name: getattr(chosen, name) for name in asdict(case)})
        samples = {chosen.kind: rounds_of(chosen.kind, case, chosen.rounds)}
    else:
        samples = {
            name: rounds_of(name, replace(case, jobs=int(case.jobs * chosen.scale)), rounds)
            for name, (case, rounds) in CASES.items()
        }
    finish("capacity", chosen, [table_of(name, taken) for name, taken in samples.items()], **samples)
    if not chosen.kind:
        values = constants(samples, {name: case.slots for name, (case, _) in CASES.items()})
        say("  ".join(f"{name} {value}" for name, value in values.items()))
        if chosen.write:
            say(f"written: {write(values, samples, machine())}")


if __name__ == "__main__":
    main()
