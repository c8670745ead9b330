"""A day of an endless stream, 5 jobs/s, played fast: records level off, tombstones stay; what a Redis of 8 GB carries.

    python ops/bench/stream_day.py [--jobs 432000] [--ttl-s 60] [--workers 2] [--rate 100000/s] [--finished 20000]

Measured: all jobs of the day go through the whole system as fast as it can, with records that are kept for `--ttl-s`
seconds. Redis' own times to live go by the real clock, so the day is played fast as a whole: with 1,000 jobs/s it takes
seven minutes, and a minute of them stands for three hours and a half; the note tells which. A look at each twelfth of
the jobs; then the last records expire, and what is left is the tombstones' and their tables'. Bytes of a finished job
are measured apart, as in memory.py (`--finished`).

Reckoned, not measured: the forty days of tombstones, and so the jobs/s that one Redis takes for a year, by
jobs/s x (time to live x bytes of a finished job + 40 days x bytes of a tombstone) = 90 % of 8 GB.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from common import OURS, Bench, exhaust, request, wait
from memory import redis_bytes
from redis_bytes import TABLES, TOMBSTONE, USED, by_kind, held, without
from report import Table, finish, parser, say

from swapjobs import CoreSettings, SwapClient
from swapjobs.monitoring.capacity import GUARD, TOMBSTONE_S, endless_rate
from swapjobs.store import keys

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

LOOKS: Final = 12
QUEUED: Final = 2_000  # no more than this, and a hundredth of the jobs: it is a stream, not a backlog
BLOCK: Final = 500
FEW_KEYS: Final = 20_000
REDIS_BYTES: Final = 8e9
RATE: Final = 5
DAY_S: Final = 86_400
DAYS: Final = (1, 7, 30)


def look(bench: Bench, done: int, began: float) -> dict[str, Any]:
    """Return what lies in Redis."""
    used = held(bench.redis)
    sizes, count = by_kind(bench.redis, FEW_KEYS)
    return {
        "s": time.monotonic() - began,
        "done": done,
        "used": used,
        "net": without(TOMBSTONE, used, sizes, count),
        "tombstones": sum(bench.redis.hlen(key) for key in bench.redis.scan_iter(keys.tombstones("*"), count=1000)),
        "count": count,
        "bytes": sizes,
    }


def play(bench: Bench, options: argparse.Namespace) -> tuple[list[dict[str, Any]], float, float]:
    """Play the day; return what was seen at each look, the seconds it took, and what is left of each job at last."""
    empty = bench.used_memory()
    settings = CoreSettings(redis_url=bench.redis_url, result_ttl_s=options.ttl_s)
    environment = {"SWAPJOBS_RESULT_TTL_S": str(options.ttl_s), "SWAPJOBS_RATE_LIMIT": options.rate}
    workers = bench.workers(OURS, options.workers, **environment)
    looks, submitted, began = [], 0, time.monotonic()
    longest = min(QUEUED, options.jobs // 100)
    with SwapClient(settings) as client:
        for number in range(1, LOOKS + 1):
            goal = options.jobs * number // LOOKS
            while (done := bench.done(OURS)) < goal:
                if submitted < options.jobs and submitted - done < longest:
                    block = range(submitted, min(submitted + min(BLOCK, longest), options.jobs))
                    submitted += exhaust(client.submit_many(map(request, block)))
                else:
                    time.sleep(0.05)
                for worker in workers:
                    worker.check()
            looks.append(look(bench, done, began))
            say(f"stream_day: {done:,} done, {looks[-1]['used'] / 1e6:.0f} MB used")
    took = time.monotonic() - began
    wait(lambda: not bench.redis.exists(keys.listed_tenants()), "the last record is gone", options.ttl_s + 120)
    for worker in workers:
        worker.end()
    return looks, took, (bench.used_memory() - empty) / options.jobs


def day_table(looks: list[dict[str, Any]], options: argparse.Namespace, took: float) -> Table:
    """Return what lay in Redis through the day."""
    columns = ["hour", "tombstones", "other keys", "index, MB", "tables, MB", "used, MB", "without tombstones, MB"]
    table = Table(f"A day of {options.jobs:,} jobs", columns)
    for seen in looks:
        sizes = (seen["bytes"].get("index", 0), seen["bytes"][TABLES], seen["used"], seen["net"])
        rest = sum(seen["count"].values()) - seen["count"].get(TOMBSTONE, 0)
        table.add(f"{24 * seen['done'] / options.jobs:.0f}", seen["tombstones"], rest, *(size / 1e6 for size in sizes))
    hours = 24 * options.ttl_s / took
    table.note = (
        f"Played in {took:,.0f} s, {DAY_S / took:,.0f} times as fast as the day:"
        f" records were kept for {options.ttl_s} s, which are {hours:.1f} hours of it."
    )
    return table


def carries_table(finished: float, tombstone: float) -> Table:
    """Return what a Redis of 8 GB carries, reckoned with what was measured."""
    columns = ["records kept for, days", "jobs/s for a year", "the same by the planner", f"GB at {RATE} jobs/s"]
    table = Table(f"Reckoned: one Redis of {REDIS_BYTES / 1e9:g} GB, up to {GUARD:.0%} of it", columns)
    for days in DAYS:
        per_rate = days * DAY_S * finished + TOMBSTONE_S * tombstone
        planned = endless_rate(REDIS_BYTES, days * DAY_S)
        table.add(str(days), GUARD * REDIS_BYTES / per_rate, planned, RATE * per_rate / 1e9)
    table.note = (
        f"Measured, without webhooks: {finished:.0f} bytes a finished job, its tombstone included;"
        f" {tombstone:.0f} are left of it. The planner (measured.py) reckons with a webhook for every job."
    )
    return table


def plot(path: Path, looks: list[dict[str, Any]], jobs: int) -> None:
    """Draw what Redis holds through the day."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and only the plot needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after its backend is chosen

    plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(figsize=(9, 3.2), dpi=200, layout="constrained")
    hours = [24 * seen["done"] / jobs for seen in looks]
    for name, label, colour in (("used", "used", "#3b6ea5"), ("net", "used, without tombstones", "#2a9d8f")):
        axes.plot(hours, [seen[name] / 1e6 for seen in looks], "o-", ms=4, color=colour, label=label)
    axes.set(xlabel="hour of the day", ylabel="Redis, MB", xlim=(0, 24))
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    figure.savefig(path, facecolor="white")
    plt.close(figure)


def main() -> None:
    """Play the day, and print the tables."""
    options = parser(__doc__)
    options.add_argument("--jobs", type=int, default=RATE * DAY_S)
    options.add_argument("--ttl-s", type=int, default=60, help="SWAPJOBS_RESULT_TTL_S; 60 is the least")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--rate", default="100000/s", help="SWAPJOBS_RATE_LIMIT, to play it slowly")
    options.add_argument("--finished", type=int, default=20_000, help="jobs for the bytes of a finished one")
    chosen = options.parse_args()
    say(f"stream_day: bytes of a finished job, {chosen.finished:,} jobs")
    finished = redis_bytes(OURS, chosen.finished)["finished"][USED]
    with Bench() as bench:
        looks, took, tombstone = play(bench, chosen)
    chosen.output.mkdir(parents=True, exist_ok=True)
    plot(chosen.output / "stream_day.png", looks, chosen.jobs)
    tables = [day_table(looks, chosen, took), carries_table(finished, tombstone)]
    finish("stream_day", chosen, tables, looks=looks, finished_bytes=finished, tombstone_bytes=tombstone)


if __name__ == "__main__":
    main()
