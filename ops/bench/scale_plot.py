"""Draws scale.png: Redis' CPU per job against the length of the queue, bytes per job against their number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from common import PLAIN

if TYPE_CHECKING:
    from pathlib import Path

COLOURS: Final = ("#2a9d8f", "#e9a23b", "#3b6ea5", "#c1272d")
GREY: Final = "#777777"


def plot(path: Path, lines: dict[int, dict[str, Any]], both: dict[str, dict[str, float]]) -> None:
    """Draw both curves for each number of tenants, with plain Celery's one point as a line."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and only the plot needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after its backend is chosen

    plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.4), dpi=200, layout="constrained")
    for colour, (tenants, taken) in zip(COLOURS, lines.items(), strict=False):
        who = "1 tenant" if tenants == 1 else f"{tenants:,} tenants"
        points = {size: point for size, point in taken["points"].items() if size}
        left.plot(list(points), [point["life_us"] for point in points.values()], "o-", color=colour, label=who)
        queued = [point["queued_bytes"] for point in points.values()]
        right.plot(list(points), queued, "o-", color=colour, label=f"queued, {who}")
        numbers, sizes = zip(*((point["finished"], point["finished_bytes"]) for point in points.values()), strict=True)
        right.plot(numbers, sizes, "s:", color=colour, label=f"finished, {who}")
    left.axhline(both[PLAIN]["life_us"], color=GREY, ls="--", lw=1.2, label=PLAIN)
    right.axhline(both[PLAIN]["queued_bytes"], color=GREY, ls="--", lw=1.2, label=f"queued, {PLAIN}")
    right.axhline(both[PLAIN]["finished_bytes"], color=GREY, ls=":", lw=1.2, label=f"result, {PLAIN}")
    left.set(xlabel="jobs queued", ylabel="Redis CPU per job, us", xscale="log")
    right.set(xlabel="jobs", ylabel="bytes per job in Redis", xscale="log")
    for axes, columns in ((left, 1), (right, 2)):
        axes.set_ylim(0, axes.get_ylim()[1] * 1.1)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.xaxis.set_minor_formatter("")
        axes.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=columns)
    figure.savefig(path, facecolor="white")
    plt.close(figure)
