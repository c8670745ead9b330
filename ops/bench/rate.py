"""Rate adherence: whether the limit is held in every window and used up, by 1 to 8 worker processes.

    python ops/bench/rate.py [--workers 1,2,4,8] [--rates 30/m,1800/h,5/s,50/s,500/s] [--seconds 8]

A stub notes (by the kernel's clock) when each call arrives. For windows of several lengths T: the largest
`calls - (rate x T + burst)`, burst 1, above 0 where the limit is broken; over all lengths together the same in time: by
how many ms a call came before the moment at which a vendor with exactly this limit (GCRA) would have let it pass.
Plain Celery has no limit of a fleet: beside it `rate_limit` of rate / N for each of N workers, as is commonly advised.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from common import KINDS, OURS, PLAIN, Bench, wait
from report import Cell, Table, finish, parser, percentile, say

from swapjobs.settings import Rate
from swapsandbox.vendor.rate_limit import most_in_window

if TYPE_CHECKING:
    from collections.abc import Sequence

LATENCY_MS = 50
BURST = 1


def excess(times: Sequence[float], rate: float, window_s: float) -> float:
    """Return the largest number of calls in a window of this length, less what the limit allows."""
    return most_in_window(times, window_s) - (rate * window_s + BURST)


def earliness_s(times: Sequence[float], interval_s: float) -> list[float]:
    """Return for each call how much too early it came for a vendor with exactly this limit; 0 or less is in time.

    The largest of them x rate is the largest excess over windows of any length.
    """
    arrival, early = -math.inf, []
    for time_ in times:
        early.append(arrival - (BURST - 1) * interval_s - time_)
        arrival = max(arrival, time_) + interval_s
    return early[1:]


def used(times: Sequence[float], interval_s: float) -> float:
    """Return the share of the rate that was used from the first call to the last."""
    return (len(times) - BURST) * interval_s / (times[-1] - times[0])


def figures(times: list[float], rate: Rate) -> dict[str, float]:
    """Return all figures of one run."""
    interval = rate.interval_s
    early = [max(early_s * 1000, 0) for early_s in earliness_s(times, interval)]
    return {
        "calls": len(times),
        "used_percent": 100 * used(times, interval),
        "excess_interval": excess(times, 1 / interval, interval),
        "excess_1s": excess(times, 1 / interval, 1),
        "excess_10s": excess(times, 1 / interval, 10),
        "excess_whole": excess(times, 1 / interval, math.nextafter(times[-1] - times[0], math.inf)),
        "excess_any": max(early) / 1000 / interval,
        "early_ms_max": max(early),
        "early_ms_p99": percentile(early, 0.99),
    }


def row(name: str, values: dict[str, float]) -> list[Cell]:
    """Return a row of the table."""
    windows = (f"{values[key]:+.2f}" for key in ("excess_interval", "excess_1s", "excess_10s", "excess_whole"))
    early = f"{values['early_ms_max']:.1f} ({values['early_ms_p99']:.1f})"
    return [name, values["calls"], f"{values['used_percent']:.1f} %", *windows, f"{values['excess_any']:.2f}", early]


def run(bench: Bench, rate: Rate, seconds: float, first: int) -> list[float]:
    """Let a running fleet work at this rate for about so long and return when its calls came."""
    # slow rates get at least seven calls
    jobs = max(int(seconds / rate.interval_s), 7)
    bench.set_rate(rate)
    bench.forget_calls()
    bench.fill(OURS, jobs, first=first)
    wait(lambda: bench.count() >= jobs, f"{jobs} calls at {rate}", 10 * seconds + 60, look_every_s=0.5)
    return [at for at, *_ in bench.calls()]


def run_plain(count: int, rate: Rate, seconds: float, slots: int) -> list[float]:
    """Let plain Celery work for so long from its first call on, and return when its calls came.

    Not until all is done: jobs that one worker has reserved wait there while the others have nothing to do.
    """
    with Bench(latency_ms=LATENCY_MS) as bench:
        bench.workers(PLAIN, count, slots=slots, BENCH_RATE_LIMIT=f"{rate.calls / rate.period_s / count}/s")
        bench.fill(PLAIN, int(2 * seconds / rate.interval_s))
        wait(lambda: bench.count() > 1, "the workers work", 60)
        time.sleep(seconds)
        return [at for at, *_ in bench.calls()]


def by_rate(item: tuple[str, object]) -> tuple[float, str]:
    """Order rows by rate."""
    rate = Rate(item[0].split(", ")[0])
    return -rate.interval_s, item[0]


def main() -> None:
    """Run it and print the tables."""
    options = parser(__doc__)
    options.add_argument("--workers", default="1,2,4,8")
    options.add_argument("--rates", default="30/m,1800/h,5/s,50/s,500/s")
    options.add_argument("--seconds", type=float, default=8)
    options.add_argument("--celery-rate", default="50/s", help="the one at which plain Celery stands beside")
    options.add_argument("--slots", type=int, default=50)
    chosen = options.parse_args()
    fleets = [int(item) for item in chosen.workers.split(",")]
    rates = [Rate(item) for item in chosen.rates.split(",")]
    columns = ["rate, workers", "calls", "used", "1 interval", "1 s", "10 s", "whole", "any", "early ms: max (p99)"]
    tables = {kind: Table(f"{kind}: calls above rate x T + 1, by window length T", columns) for kind in KINDS}
    samples: dict[str, dict[str, dict[str, float]]] = {kind: {} for kind in KINDS}
    for count in fleets:
        with Bench(latency_ms=LATENCY_MS) as bench:
            bench.workers(OURS, count, slots=chosen.slots)
            first = 0
            for rate in rates:
                say(f"rate: {count} workers at {rate}")
                times = run(bench, rate, chosen.seconds, first)
                first += len(times) + 10
                samples[OURS][f"{rate}, {count}"] = figures(times, rate)
    for count in fleets:
        rate = Rate(chosen.celery_rate)
        say(f"rate: plain Celery, {count} workers at {rate}")
        samples[PLAIN][f"{rate}, {count}"] = figures(run_plain(count, rate, chosen.seconds, chosen.slots), rate)
    for kind, table in tables.items():
        table.rows = [row(name, values) for name, values in sorted(samples[kind].items(), key=by_rate)]
    finish("rate", chosen, list(tables.values()), **samples)


if __name__ == "__main__":
    main()
