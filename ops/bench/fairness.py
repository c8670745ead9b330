"""Fairness: how long others wait behind a tenant's 100,000 jobs, and what a long queue costs Redis per job.

    python ops/bench/fairness.py [--rate 50/s] [--probes 10] [--sizes 1000,100000]

First, with one tenant of 100,000 bulk jobs and then with 1,000 tenants of 100 each, while one worker works at the rate:
another tenant submits its first bulk job, and an interactive job is submitted, a few times each; how long until the
attempt starts, by the record. Plain Celery has one queue, first in first out: its figure is reckoned, jobs / rate.
Then, with no limit and at several lengths of the queue: CPU of Redis per job, from claim to finish with its refills.
A million takes about three minutes more for each number of tenants: --sizes 1000,100000,1000000.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common import OURS, Bench, cpu_s, exhaust, request, wait
from report import Table, finish, parser, say, versus

from swapjobs import SwapRequest
from swapjobs.settings import Rate

if TYPE_CHECKING:
    from swapjobs import SwapClient

BACKLOG = 100_000
TENANTS = 1_000
MEASURED_JOBS = 2_000


def fill(client: SwapClient, first: int, jobs: int, tenants: int) -> None:
    """Submit bulk jobs, tenant by tenant in turn."""
    exhaust(client.submit_many(request(n, tenant=f"tenant-{n % tenants}") for n in range(first, first + jobs)))


def waits_s(client: SwapClient, probes: int, **fields: Any) -> list[float]:
    """Submit jobs one after the other and return how long each waited for its start."""
    waited = []
    for number in range(probes):
        tenant = f"newcomer-{number}" if fields["priority"] == "bulk" else "default"
        job = client.submit(SwapRequest.model_validate(request(10**9 + number, tenant=tenant, **fields)))
        job = client.wait(job.id, 120)
        assert job.started_at
        waited.append((job.started_at - job.created_at).total_seconds())
    return waited


def behind(tenants: int, rate: Rate, probes: int) -> dict[str, list[float]]:
    """Measure both kinds of newcomers behind so many tenants."""
    with Bench(latency_ms=50) as bench, bench.client() as client:
        fill(client, 0, BACKLOG, tenants)
        bench.workers(OURS, SWAPJOBS_RATE_LIMIT=str(rate), SWAPJOBS_RATE_BURST="1")
        wait(lambda: bench.count() >= 3 / rate.interval_s, "the worker works")
        return {
            "first bulk job of another tenant": waits_s(client, probes, priority="bulk"),
            "interactive job": waits_s(client, probes, priority="interactive"),
        }


def redis_us(sizes: list[int], tenants: int) -> dict[int, float]:
    """Return Redis' CPU per job for each length of the queue."""
    taken, queued = {}, 0
    with Bench(pinned=True) as bench, bench.client() as client:
        for size in sizes:
            say(f"fairness: {size} jobs of {tenants} tenants")
            fill(client, queued, size - (queued - bench.count()) + MEASURED_JOBS, tenants)
            queued += size - (queued - bench.count()) + MEASURED_JOBS
            start = bench.count() + MEASURED_JOBS // 4
            worker = bench.workers(OURS)[0]
            wait(lambda: bench.count() >= start, "the worker works")  # noqa: B023 - used here
            before, cpu = bench.count(), cpu_s(bench.server)
            wait(lambda: bench.count() >= start + MEASURED_JOBS, "the jobs are done")  # noqa: B023 - used here
            taken[size] = (cpu_s(bench.server) - cpu) / (bench.count() - before) * 1e6
            worker.end()
    return taken


def main() -> None:
    """Run both parts and print the tables."""
    options = parser(__doc__)
    options.add_argument("--rate", type=Rate, default=Rate("50/s"))
    options.add_argument("--probes", type=int, default=10)
    options.add_argument("--sizes", default="1000,100000")
    options.add_argument("--tenants", default="1,1000", help="for the second part")
    chosen = options.parse_args()
    reckoned = BACKLOG * chosen.rate.interval_s
    note = f"Plain Celery reckoned: one queue, {BACKLOG:,} jobs at {chosen.rate}. Ours: {chosen.probes} jobs each."
    starts = versus(f"Seconds until a job starts behind {BACKLOG:,} bulk jobs at {chosen.rate}", note)
    samples: dict[str, Any] = {}
    for tenants in (1, TENANTS):
        say(f"fairness: {BACKLOG} jobs of {tenants} tenants at {chosen.rate}")
        samples[f"{tenants} tenants"] = behind(tenants, chosen.rate, chosen.probes)
        for what, waited in samples[f"{tenants} tenants"].items():
            who = "1 tenant" if tenants == 1 else f"{tenants:,} tenants"
            starts.compare(f"{what}, behind {who}: median", sorted(waited)[len(waited) // 2], reckoned)
            starts.compare(f"{what}, behind {who}: longest", max(waited), reckoned)
    sizes = [int(item) for item in chosen.sizes.split(",")]
    fleets = [int(item) for item in chosen.tenants.split(",")]
    flat = Table(
        "Redis CPU per job, us, by length of the queue",
        ["queued jobs", *("1 tenant" if n == 1 else f"{n:,} tenants" for n in fleets)],
    )
    figures = {tenants: redis_us(sizes, tenants) for tenants in fleets}
    for size in sizes:
        flat.add(f"{size:,}", *(figures[tenants][size] for tenants in fleets))
    finish("fairness", chosen, [starts, flat], **samples, redis_us=figures)


if __name__ == "__main__":
    main()
