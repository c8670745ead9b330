"""How fast one worker process empties a queue: jobs/s, share of the ideal (slots / latency), CPU per job.

    python ops/bench/drain.py [--cases 0:50,250:50,250:100,2000:400] [--seconds 10] [--free]

A case is LATENCY_MS:SLOTS. The worker is pinned to one core, Redis and the stub share the other, unless --free. The
pace is that of the calls' arrivals, from 10 % to 90 % of them; CPU is user + system time of the worker's process tree
over the same calls. Plain Celery makes the same POST with the same kind of one-connection httpx clients.
"""

from __future__ import annotations

from typing import Any

from common import KINDS, OURS, PLAIN, Bench, cpu_s, wait
from report import finish, parser, say, versus

MOST_PER_S = 1000  # about what a process can do at no latency: enough jobs for that are queued
JOBS_AT_NO_LATENCY = 4000


def measure(kind: str, latency_ms: float, slots: int, seconds: float, *, pinned: bool) -> dict[str, float]:
    """Fill a fresh Redis, start one worker, and measure until all jobs are done."""
    ideal = slots / (latency_ms / 1000) if latency_ms else float("nan")
    # a pool fills and empties in one latency each: at least ten of them
    jobs = int(max(ideal * seconds, 10 * slots)) if latency_ms else JOBS_AT_NO_LATENCY
    with Bench(latency_ms=latency_ms, pinned=pinned) as bench:
        bench.fill(kind, jobs)
        worker = bench.workers(kind, slots=slots)[0].handle
        marks: list[tuple[int, float, float]] = []
        for share in (0.1, 0.9):
            wait(lambda: bench.count() >= share * jobs, f"{share:.0%} of {jobs} jobs", 240)  # noqa: B023 - used here
            marks.append((bench.count(), cpu_s(worker), cpu_s(bench.server)))
        wait(lambda: bench.done(kind) >= jobs, "all results are written", 120)
        times = [at for at, *_ in bench.calls()]
        first, last = int(0.1 * jobs), int(0.9 * jobs)
        pace = (last - first) / (times[last] - times[first])
        (before, cpu_before, redis_before), (after, cpu_after, redis_after) = marks
        return {
            "jobs": jobs,
            "jobs_per_s": pace,
            "percent_of_ideal": 100 * pace / ideal,
            "worker_cpu_us": (cpu_after - cpu_before) / (after - before) * 1e6,
            "redis_cpu_us": (redis_after - redis_before) / (after - before) * 1e6,
        }


def main() -> None:
    """Run all cases, ours and plain Celery in turn."""
    options = parser(__doc__)
    options.add_argument("--cases", default="0:50,250:50,250:100,2000:400")
    options.add_argument("--seconds", type=float, default=10)
    options.add_argument("--free", action="store_true", help="pin nothing")
    chosen = options.parse_args()
    table = versus("Drain: one worker process", note=f"Pinned: {not chosen.free}. Ratio below 1 is good for CPU only.")
    samples: dict[str, Any] = {}
    for case in chosen.cases.split(","):
        latency_ms, slots = float(case.split(":")[0]), int(case.split(":")[1])
        taken = samples[case] = {}
        for kind in KINDS:
            say(f"drain: {kind}, {latency_ms:g} ms, {slots} slots")
            taken[kind] = measure(kind, latency_ms, slots, chosen.seconds, pinned=not chosen.free)
        for figure, unit in (
            ("jobs_per_s", "jobs/s"),
            ("percent_of_ideal", "% of slots / latency"),
            ("worker_cpu_us", "worker CPU per job, us"),
            ("redis_cpu_us", "Redis CPU per job, us"),
        ):
            if latency_ms or figure != "percent_of_ideal":
                table.compare(f"{latency_ms:g} ms, {slots} slots: {unit}", taken[OURS][figure], taken[PLAIN][figure])
    finish("drain", chosen, [table], **samples)


if __name__ == "__main__":
    main()
