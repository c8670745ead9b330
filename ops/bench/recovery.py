"""A worker killed with 50 calls under way: how long until its jobs are done, and how many calls are paid twice.

    python ops/bench/recovery.py [--jobs 50] [--latency-ms 4000]

One worker takes all jobs, a second one is started, the first gets SIGKILL. Ours with the default lease (30 s); plain
Celery tuned: late acks, reject on worker lost, prefetch multiplier 1, visibility timeout 30 s (its default: an hour).
The vendor is the sandbox, which does and bills what it was once asked for, also when the caller is gone.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
from common import KINDS, Bench, wait
from report import finish, parser, say, versus

from swapsandbox.processes.server_process import sandbox

if TYPE_CHECKING:
    import argparse


def measure(kind: str, options: argparse.Namespace) -> dict[str, float]:
    """Kill a worker and return what became of its jobs."""
    latency = f"latency:ms={options.latency_ms:g}"
    with Bench() as bench, sandbox("--no-swap", "--fault", latency) as vendor, httpx.Client(trust_env=False) as http:

        def stats() -> Any:
            return http.get(f"{vendor.url}/_sandbox/stats").json()

        bench.api_url = vendor.url
        first = bench.workers(kind, slots=options.jobs, BENCH_VISIBILITY_TIMEOUT_S="30")[0]
        bench.fill(kind, options.jobs)
        wait(lambda: stats()["in_flight"] == options.jobs, "all calls are under way", 30)
        # the second has nothing to take yet: all jobs are with the first
        second = bench.start_worker(kind, slots=options.jobs, BENCH_VISIBILITY_TIMEOUT_S="30")
        first.kill()
        killed_at, before = time.time(), stats()
        wait(lambda: second.check() and again(stats(), before) > 0, "the first of them is asked for again", 200)
        first_again = time.time() - killed_at
        wait(lambda: second.check() and bench.done(kind) >= options.jobs, "all jobs are done", 200)
        after = stats()
        return {
            "first_again_s": first_again,
            "all_done_s": time.time() - killed_at,
            "calls_again": after["calls"] - before["calls"],
            "queries": after["queries"],
            "paid_twice": after["duplicates"],
        }


def again(now: dict[str, Any], before: dict[str, Any]) -> int:
    """Return how many calls were made since."""
    return int(now["calls"] - before["calls"] + now["queries"] - before["queries"])


def main() -> None:
    """Run both and print the table."""
    options = parser(__doc__)
    options.add_argument("--jobs", type=int, default=50)
    options.add_argument("--latency-ms", type=float, default=4000)
    chosen = options.parse_args()
    samples: dict[str, Any] = {}
    for kind in KINDS:
        say(f"recovery: {kind}")
        samples[kind] = measure(kind, chosen)
    table = versus(f"A worker killed with {chosen.jobs} calls under way")
    for figure, what in (
        ("first_again_s", "first call or question about a job of its, s after the kill"),
        ("all_done_s", "all its jobs done, s after the kill"),
        ("queries", "questions to the vendor"),
        ("calls_again", "calls made again"),
        ("paid_twice", "calls paid twice"),
    ):
        table.compare(what, *(samples[kind][figure] for kind in KINDS))
    finish("recovery", chosen, [table], **samples)


if __name__ == "__main__":
    main()
