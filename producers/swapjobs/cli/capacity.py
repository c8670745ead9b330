"""What `swapjobs doctor --plan RATE LATENCY JOBS` prints: what a workload needs, without asking Redis or the vendor."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Annotated, Final

import typer

from swapjobs.cli.output import out, print_fields, print_json
from swapjobs.monitoring.capacity import FULL, Plan, plan
from swapjobs.settings import CoreSettings, Rate, load_settings

PlanOption = Annotated[
    tuple[str, str, str] | None,
    typer.Option(
        "--plan",
        metavar="RATE LATENCY JOBS",
        help="check nothing; say what such a workload needs, like --plan 50/s 2s 1000000",
    ),
]

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0}
_LONGEST_S: Final = 3600.0
_MOST_JOBS: Final = 10_000_000_000
_BYTES: Final = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
_WIDTH: Final = len("worker processes")


def print_plan(given: tuple[str, str, str], *, as_json: bool) -> None:
    """Print what the workload needs.

    Raises:
        typer.BadParameter: one of the three is not what it should be; SettingsError.
    """
    rate, latency_s, jobs = _read(*given)
    planned = plan(1 / rate.interval_s, latency_s, jobs, result_ttl_s=load_settings(CoreSettings).result_ttl_s)
    if as_json:
        print_json(asdict(planned) | {"first_wall": planned.walls[0].name})
        return
    for name, text in _rows(planned):
        print_fields(out, (name, _WIDTH, "dim"), (text, 0, ""))


def _read(rate: str, latency: str, jobs: str) -> tuple[Rate, float, int]:
    try:
        calls = Rate(rate)
    except ValueError as error:
        raise _wrong(f"RATE {rate!r} {error}") from None
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m)", latency, re.ASCII)
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0
    if not 0 < seconds <= _LONGEST_S:
        raise _wrong(f"LATENCY {latency!r} must be the time of one call like 2s, 250ms or 1.5m, an hour at most")
    number = int(jobs) if re.fullmatch(r"[0-9]{1,11}", jobs, re.ASCII) else 0
    if not 0 < number <= _MOST_JOBS:
        raise _wrong(f"JOBS {jobs!r} must be a whole number from 1 to {_MOST_JOBS}")
    return calls, seconds, number


def _wrong(text: str) -> typer.BadParameter:
    return typer.BadParameter(text, param_hint="'--plan'")


def _rows(planned: Plan) -> list[tuple[str, str]]:
    first, second, *_ = planned.walls
    days = planned.result_ttl_s / 86_400
    return [
        ("done after", f"{_time(planned.hours)}, if the vendor allows the rate and no call fails"),
        ("slots", f"{planned.slots} in all: rate x latency, and a quarter more"),
        ("worker processes", f"{planned.processes} with SWAPJOBS_CONCURRENCY={planned.concurrency}"),
        ("webhook processes", f"{planned.webhook_processes}, if every job has a webhook that is answered in 0.2 s"),
        ("worker cores", f"{_number(planned.worker_cores)}, each {FULL:.0%} busy"),
        ("Redis CPU", f"{planned.redis_cores:.1%} of the one core that Redis can use"),
        ("Redis memory", f"{_size(planned.queued_bytes)} queued, {_size(planned.peak_bytes)} at most"),
        ("", f"maxmemory {_size(planned.maxmemory_bytes)}; half as much again free for rewrites"),
        ("", f"{_size(planned.endless_bytes)} if jobs come for ever: records {days:g} days, tombstones 40 more"),
        ("append-only file", f"grows by {_size(planned.aof_bytes_per_hour)} an hour until it is rewritten"),
        ("", f"disk {_size(planned.aof_disk_bytes)}: it is rewritten at twice its size, beside the old one"),
        ("network", f"{_number(planned.network_bits_per_s / 1e6)} Mbit/s to and from Redis"),
        ("connections", f"{planned.connections} to Redis at most"),
        ("first wall", f"{first.name}, {first.used:.1%} of what one Redis has; next {second.name}, {second.used:.1%}"),
        ("cells", _cells(planned)),
    ]


def _cells(planned: Plan) -> str:
    if planned.cells == 1:
        return "1: one Redis is enough"
    return f"{planned.cells}: split by tenant, each with a Redis and workers of its own (docs/operations/capacity.md)"


def _number(value: float) -> str:
    """Return two digits, or all before the point."""
    return f"{value:.0f}" if value >= 100 else f"{float(f'{value:.2g}'):g}"  # noqa: PLR2004 - from here on two are too few


def _time(hours: float) -> str:
    minutes = hours * 60
    if minutes < 100:  # noqa: PLR2004 - as people say it
        return f"{_number(minutes)} min"
    return f"{_number(hours)} hours" if hours < 100 else f"{_number(hours / 24)} days"  # noqa: PLR2004 - as above


def _size(size: float) -> str:
    unit, one = next(((unit, one) for unit, one in _BYTES if size >= one), ("B", 1))
    return f"{_number(size / one)} {unit}"
