"""How much of what a vendor lets through is used, in every weather, and how much is refused: the rate that learns.

    python ops/bench/rate_learning.py [--seeds 3] [--rates 1/s,5/s,50/s,500/s]

The real scripts in a real Redis, on a fake clock, and vendors that refuse at random, have a limit of their own, or
both; always jobs queued, calls of 0.25 s. Used: calls that came through, of those that could have. The seeds differ in
which calls are refused; the table has the mean and the worst of them.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from report import Table, finish, parser, say

from swapjobs.settings import Rate, WorkerSettings
from swapsandbox.processes.redis_server import EmbeddedRedis

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from support.fake_clock import clocked_store
from support.rehearsal import Rehearsal, begin, vendor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RESERVE: Final = 1.015  # what is left of the limit so that late calls keep to it
LATENCY_S: Final = 0.25


@dataclass(frozen=True)
class Case:
    """A weather, the seconds in which it is measured, and what could come through then, in calls per second."""

    name: str
    wanted: str
    limit: Callable[[float], float | None]
    noise: Callable[[float], float]
    since: float
    until: float
    could: float


def never(_: float) -> None:
    """Have no limit."""


def cases(full: float) -> Iterator[Case]:
    """Yield the cases of one rate. At a low one they last longer, since it is calls that teach."""
    unit = max(1.0, 5 / full)  # seconds of a low rate are stretched
    could = full / RESERVE
    for share in (0.01, 0.05, 0.2):
        noise = lambda _, share=share: share  # noqa: E731 - a weather in one line
        yield Case(f"{share:.0%} refused at random", ">= 95 %", never, noise, 0, 120 * unit, could * (1 - share))
    bad = lambda at: 0.2 if 10 <= at < 10 + 20 * unit else 0.0  # noqa: E731, PLR2004 - a weather in one line
    yield Case("20 % at random for 20 s: then", ">= 95 %", never, bad, 10, 10 + 20 * unit, 0.8 * could)
    yield Case("60 to 80 s after it", ">= 95 %", never, bad, 10 + 80 * unit, 10 + 100 * unit, could)
    for share in (0.5, 0.2):
        lower = lambda _, share=share: share * full  # noqa: E731 - a weather in one line
        settled = max(60, 120 / (share * full))
        until = settled + max(120, 400 / (share * full))
        yield Case(f"limit is {share:g} of ours", ">= 95 %, <= 1.5 %", lower, quiet, settled, until, share * full)
    within = 30 if full >= 10 else 100 / (full / 2)  # noqa: PLR2004
    span = max(20, 40 / full)
    back = 30 + max(60, within + span)
    halved = lambda at: full / 2 if 30 <= at < back else None  # noqa: E731, PLR2004 - a weather in one line
    yield Case(
        "limit halves: 30 s, or 100 calls, later", ">= 90 %", halved, quiet, 30 + within, 30 + within + span, full / 2
    )
    yield Case("limit is back: as much later", ">= 90 %", halved, quiet, back + within, back + within + span, could)
    storm = lambda at: 1.0 if 10 <= at < 30 else 0.0  # noqa: E731, PLR2004 - a weather in one line
    yield Case("all refused for 20 s: 30 s later", ">= 90 %", never, storm, 60, 100, could)
    for share in (0.05, 0.2):
        noise = lambda _, share=share: share  # noqa: E731 - a weather in one line
        half = lambda _: full / 2  # noqa: E731 - a weather in one line
        settled = max(60, 120 / full)
        until = settled + max(120, 400 / full)
        yield Case(f"{share:.0%} at random and half the limit", ">= 90 %", half, noise, settled, until, full / 2)


def quiet(_: float) -> float:
    """Refuse nothing at random."""
    return 0


def play(server: EmbeddedRedis, rate: str, case: Case, seed: int) -> tuple[float, float]:
    """Return the used and the refused share."""
    settings = WorkerSettings(redis_url=server.url, rate_limit=Rate(rate))
    with clocked_store(settings) as store:
        store.redis.flushall()
    with clocked_store(settings) as store:
        clock = begin(store, settings, rate, int(case.until / settings.rate_limit.interval_s) + 500)
        rehearsal = Rehearsal(store, clock, vendor(seed, limit=case.limit, noise=case.noise), LATENCY_S)
        rehearsal.run(case.until)
    refused = sum(case.since <= at < case.until for at in rehearsal.refused) / (case.until - case.since)
    used = rehearsal.used(case.since, case.until)
    return used / case.could, refused / (used + refused)


def main() -> None:
    """Play every case at every rate."""
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=3, help="runs of each case (default: %(default)s)")
    options.add_argument("--rates", default="1/s,5/s,50/s,500/s", help="limits as configured (default: %(default)s)")
    chosen = options.parse_args()
    columns = [
        "case",
        "wanted",
        *(f"{rate} {what}" for rate in chosen.rates.split(",") for what in ("used", "refused")),
    ]
    table = Table("Used of what could come through (mean, worst), and refused", columns)
    result: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis(Path(folder)) as server:
        for rate in chosen.rates.split(","):
            for case in cases(1 / Rate(rate).interval_s):
                say(f"{rate}: {case.name}")
                runs = [play(server, rate, case, seed) for seed in range(1, chosen.seeds + 1)]
                used, refused = [run[0] for run in runs], [run[1] for run in runs]
                row = result.setdefault(case.name, [case.wanted])
                row += [f"{sum(used) / len(used):.1%} ({min(used):.1%})", f"{sum(refused) / len(refused):.1%}"]
    for name, row in result.items():
        table.add(name, *row)
    finish("rate_learning", chosen, [table])


if __name__ == "__main__":
    main()
