"""Draws soak.png: memory of workers and gateway, of Redis, and the length of the queue over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

COLOURS: Final = ("#2a9d8f", "#e9a23b", "#3b6ea5", "#8a5a9e", "#777777")
RED: Final = "#c1272d"


def plot(path: Path, samples: list[dict[str, Any]], restarts: list[tuple[float, str]]) -> None:
    """Draw the three, with a line where a worker was restarted."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and only the plot needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after its backend is chosen

    plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
    figure, (top, middle, low) = plt.subplots(3, 1, figsize=(9, 7), dpi=200, layout="constrained", sharex=True)
    lives: dict[int, list[tuple[float, float]]] = {}
    places: dict[int, int] = {}
    for sample in samples:
        for worker in sample["workers"]:
            lives.setdefault(worker["life"], []).append((sample["t"] / 60, worker["mb"]))
            places[worker["life"]] = worker["place"]
    named = set[int]()
    for life, points in lives.items():
        place = places[life]
        label = None if place in named else "worker, never restarted" if place == 0 else f"worker {place}"
        named.add(place)
        top.plot(*zip(*points, strict=True), color=COLOURS[place % len(COLOURS)], lw=1.4, label=label)
    minutes = [sample["t"] / 60 for sample in samples]
    top.plot(minutes, [sample["gateway_mb"] for sample in samples], color=RED, lw=1.4, label="gateway")
    middle.plot(minutes, [sample["redis_mb"] for sample in samples], color=COLOURS[2], lw=1.4, label="used")
    net = [(sample["t"] / 60, sample["net_mb"]) for sample in samples if "net_mb" in sample]
    middle.plot(*zip(*net, strict=True), "o-", ms=3, color=COLOURS[0], lw=1.4, label="used, without tombstones")
    low.plot(minutes, [sample["queued"] for sample in samples], color=COLOURS[1], lw=1.4, label="queued")
    for axes, label in ((top, "MB resident"), (middle, "Redis, MB"), (low, "jobs")):
        for at, how in restarts:
            axes.axvline(at / 60, color=RED if how == "SIGKILL" else "#999999", lw=0.8, ls=":")
        axes.set(ylabel=label)
        axes.set_ylim(0, max(axes.get_ylim()[1], 1))
        axes.legend(frameon=False, fontsize=9, ncols=4, loc="lower right" if axes is top else "upper left")
    low.set(xlabel="minutes (dotted: a worker got SIGTERM, red SIGKILL)")
    figure.savefig(path, facecolor="white")
    plt.close(figure)
