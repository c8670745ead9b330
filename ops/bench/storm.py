"""A continuous run with a storm of 429 and an outage in the middle, and a plot of it.

    python ops/bench/storm.py [--rate 50/s] [--phases 25,45,30,30,40]

Two workers. After the first phase the vendor's real limit drops to half of the configured rate (429, no Retry-After),
in the third it is back, in the fourth the vendor answers 503 to everything, in the fifth it works again. Written:
`storm.png`, calls per second over time; `storm.json` with the counts of each phase.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from common import OURS, Bench, wait
from report import Cell, Table, finish, parser, say

from swapjobs.settings import Rate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

OK, REFUSED, FAILED = 200, 429, 503
KINDS: Final = {OK: ("answered", "#2a9d8f"), REFUSED: ("refused, 429", "#e9a23b"), FAILED: ("failed, 503", "#c1272d")}
STORM: Final = "real limit halved, 429 without Retry-After"
PHASES: Final = ("all is well", STORM, "all is well", "outage, 503", "all is well")
SHORT: Final = {1: "vendor's limit halved\n429 without Retry-After", 3: "vendor down\n503"}
USED = 0.97
BIN_S = 1.0

Calls = list[tuple[float, int]]


def run(rate: Rate, phases: list[float]) -> tuple[Calls, list[float], dict[str, int]]:
    """Return the calls (seconds since the start), when each phase began and the last one ended, and the jobs' ends."""
    with Bench(latency_ms=250) as bench, bench.client() as client:
        limit = rate.calls / rate.period_s
        bench.workers(OURS, 2, SWAPJOBS_RATE_LIMIT=str(rate), SWAPJOBS_RATE_BURST="1")
        bench.set_rate(rate)
        bench.fill(OURS, int(limit * sum(phases)) + 500)
        wait(lambda: bench.count() >= limit, "the fleet works")
        bench.forget_calls()
        start, begins = time.time(), [0.0]
        halved: dict[str, float | None] = {"rate": limit / 2, "burst": max(limit / 10, 2)}
        modes: list[dict[str, float | None]] = [{}, halved, {"rate": None}, {"status": FAILED}, {"status": OK}]
        for number, (mode, seconds) in enumerate(zip(modes, phases, strict=True)):
            say(f"storm: {PHASES[number]}, {seconds:g} s")
            bench.vendor(**mode)
            begins[-1] = time.time() - start
            wait(lambda: time.time() - start >= begins[-1] + seconds, "the phase is over", 2 * seconds + 60)  # noqa: B023 - used here
            begins.append(time.time() - start)
        calls = [(at - start, status) for at, status, _ in bench.calls() if at - start <= begins[-1]]
        line = client.operator.status()
        left = {"queued": sum(line.queued.values()), "in flight": line.in_flight, "done": bench.done(OURS)}
        return calls, begins, left


def phase_table(calls: Calls, begins: Sequence[float], rate: float) -> Table:
    """Return what happened in each phase."""
    columns = ["phase", "s", "answered/s", "of the real limit, last 10 s", "refused", "refused, %", "failed"]
    table = Table("A storm and an outage", columns)
    for number, name in enumerate(PHASES):
        begin, end = begins[number], begins[number + 1]
        seen = Counter(status for at, status in calls if begin <= at < end)
        limit = {1: rate / 2, 3: 0.0}.get(number, rate)
        late = sum(status == OK and max(end - 10, begin) <= at < end for at, status in calls)
        share: Cell = f"{100 * late / (min(10, end - begin) * limit):.1f} %" if limit else "-"
        refused = 100 * seen[REFUSED] / max(seen.total(), 1)
        table.add(name, end - begin, seen[OK] / (end - begin), share, seen[REFUSED], refused, seen[FAILED])
    back = [begins[number] for number in (2, 4)]
    after = "; ".join(f"{full_after(calls, begin, rate):.1f} s" for begin in back)
    table.note = f"Full rate (a second with 97 % of it answered) after the end of the storm and of the outage: {after}."
    return table


def full_after(calls: Calls, begin: float, rate: float) -> float:
    """Return the seconds until the first second in which 97 % of the rate was answered."""
    times = [at for at, status in calls if status == OK and at >= begin]
    needed = int(USED * rate)
    starts = (times[i] - begin for i in range(len(times) - needed) if times[i + needed - 1] - times[i] <= 1)
    return next(starts, float("nan"))


def plot(path: Path, calls: Calls, begins: Sequence[float], rate: Rate) -> None:
    """Draw calls per second over time, stacked by answer; for 900 px of width on any background."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and only the plot needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after its backend is chosen

    limit, end = rate.calls / rate.period_s, begins[-1]
    bins = [n * BIN_S for n in range(int(end / BIN_S) + 1)]
    plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(figsize=(9, 3.6), dpi=200, layout="constrained")
    for number, words in SHORT.items():
        axes.axvspan(begins[number], begins[number + 1], color="#000000", alpha=0.07, lw=0)
        middle = (begins[number] + begins[number + 1]) / 2
        axes.text(middle, limit * 1.36, words, ha="center", va="top", fontsize=10, color="#444444")
    times = [[at for at, status in calls if status == kind] for kind in KINDS]
    labels, colours = zip(*KINDS.values(), strict=True)
    weights = [[1 / BIN_S] * len(item) for item in times]
    axes.hist(times, bins, weights=weights, stacked=True, histtype="stepfilled", color=colours, label=labels)
    axes.plot([0, end], [limit, limit], color="#222222", lw=1.2, ls="--", label=f"configured limit, {rate}")
    axes.plot(begins[1:3], [limit / 2] * 2, color="#222222", lw=1.2, ls=":", label="the vendor's real limit")
    axes.set(xlim=(0, int(end)), ylim=(0, limit * 1.4), xlabel="seconds", ylabel="calls per second")
    place: Any = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncols": 5}
    handles, names = axes.get_legend_handles_labels()
    order = [names.index(name) for name, _ in KINDS.values()]
    order += [n for n in range(len(names)) if n not in order]
    axes.legend(
        [handles[n] for n in order],
        [names[n] for n in order],
        **place,
        frameon=False,
        fontsize=9.5,
        handlelength=1.6,
        columnspacing=1.4,
    )
    figure.savefig(path, facecolor="white")
    plt.close(figure)


def main() -> None:
    """Run it, print the table, write the plot."""
    options = parser(__doc__)
    options.add_argument("--rate", type=Rate, default=Rate("50/s"))
    options.add_argument("--phases", default="25,45,30,30,40", help="seconds of the five phases")
    chosen = options.parse_args()
    phases = [float(item) for item in chosen.phases.split(",")]
    if len(phases) != len(PHASES):
        options.error(f"--phases takes {len(PHASES)} numbers, not {chosen.phases!r}")
    calls, begins, left = run(chosen.rate, phases)
    table = phase_table(calls, begins, chosen.rate.calls / chosen.rate.period_s)
    samples: dict[str, Any] = {"left": left, "begins": begins, "calls": [[round(at, 4), s] for at, s in calls]}
    chosen.output.mkdir(parents=True, exist_ok=True)
    plot(chosen.output / "storm.png", calls, begins, chosen.rate)
    finish("storm", chosen, [table], **samples)


if __name__ == "__main__":
    main()
