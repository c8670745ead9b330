"""Writes the tables and examples of docs/operations/capacity.md: python ops/tools/generated_docs.py.

They come from producers/swapjobs/monitoring/measured.py, which `python ops/bench/capacity.py --write` writes.
"""

from __future__ import annotations

import contextlib
import io
import shlex
from typing import Final

from swapjobs.cli.main import run
from swapjobs.monitoring import capacity, measured
from swapjobs.monitoring.capacity import endless_rate, plan

_DAY_S: Final = 86_400
_PACED, _HOT, _BARE = measured.SEEN
_COSTS: Final = {
    "SWAP_CPU_US": ("swap worker, CPU", "us", "paced"),
    "HOOK_CPU_US": ("webhook worker, CPU", "us", "paced"),
    "REDIS_SUBMIT_CPU_US": ("Redis, CPU, submitted in blocks", "us", "hot"),
    "REDIS_CPU_US": ("Redis, CPU, the rest of its life", "us", "paced"),
    "IDLE_CPU_US": ("Redis, CPU, for an idle worker process, each second", "us", "hot"),
    "QUEUED_BYTES": ("Redis, memory while queued", "bytes", "hot"),
    "FINISHED_BYTES": ("Redis, memory when finished, tombstone included", "bytes", "hot"),
    "TOMBSTONE_BYTES": ("Redis, memory of the tombstone alone", "bytes", "hot"),
    "AOF_BYTES": ("append-only file, written in its whole life", "bytes", "paced"),
    "AOF_REWRITTEN_BYTES": ("append-only file, finished, after a rewrite", "bytes", "hot"),
    "NETWORK_BYTES": ("network, to and from Redis", "bytes", "paced"),
    "OTHER_CONNECTIONS": ("connections of a worker process besides its slots", "", "hot"),
}
_SEEN: Final = {
    "submit_redis_cpu_us": "Redis, CPU of a submit in blocks, us",
    "single_submit_redis_cpu_us": "Redis, CPU of a submit one by one, us",
    "work_redis_cpu_us": "Redis, CPU after submit, us",
    "submit_commands": "commands in Redis, those inside its functions too: submit",
    "work_commands": "the same after submit",
    "work_round_trips": "round trips of the workers",
    "swap_worker_cpu_us": "swap worker, CPU, us",
    "hook_worker_cpu_us": "webhook worker, CPU, us",
    "work_jobs_per_s": "jobs/s",
    "queued_bytes": "Redis, bytes while queued",
    "finished_bytes": "Redis, bytes when finished",
    "tombstone_bytes": "Redis, bytes of the tombstone alone",
}
_EXAMPLES: Final = ("5/s 2s 432000", "50/s 2s 1000000", "500/s 2s 10000000")


def capacity_parts() -> dict[str, str]:
    """Return the generated parts of the page by their names."""
    parts = {"costs": _costs(), "seen": _seen(), "carries": _carries(), "endless": _endless()}
    return parts | {f"example {asked}": _example(asked) for asked in _EXAMPLES}


def _costs() -> str:
    lines = ["| | for one job | constant | measured |", "|---|---|---|---|"]
    for name, (what, unit, case) in _COSTS.items():
        lines.append(f"| {what} | {f'{getattr(measured, name):,} {unit}'.strip()} | `{name}` | {case} |")
    facts = measured.MACHINE
    lines.append(
        f"\nOn {facts['date'][:10]} with revision `{facts['revision']}`: {facts['cores']} cores ({facts['cpu']}),"
        f" Python {facts['python']},\n{facts['redis']}, celery {facts['celery']}, hiredis {facts['hiredis']}."
    )
    return "\n".join(lines)


def _seen() -> str:
    lines = [f"| for one job, median (lowest to highest) | {_PACED} | {_HOT} | {_BARE} |", "|---|---|---|---|"]
    for name, what in _SEEN.items():
        few = {_PACED} if name.endswith("_bytes") else set()  # too few jobs for an even step of Redis' tables
        cells = [_cell(figures.get(name) if case not in few else None) for case, figures in measured.SEEN.items()]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(seen: tuple[float, float, float] | None) -> str:
    if seen is None:
        return ""
    median, lowest, highest = map(_digits, seen)
    return median if lowest == highest else f"{median} ({lowest} to {highest})"


def _carries() -> str:
    core_us, usable = capacity.FULL * 1e6, capacity.REDIS_BYTES * capacity.USABLE
    redis_us = measured.REDIS_SUBMIT_CPU_US + measured.REDIS_CPU_US
    whole = measured.SEEN[_HOT]["work_redis_cpu_us"][0] + measured.REDIS_SUBMIT_CPU_US
    bare = measured.SEEN[_BARE]["work_redis_cpu_us"][0] + measured.REDIS_SUBMIT_CPU_US
    hook_calls = capacity.HOOK_SLOTS / capacity.HOOK_S / capacity.HEADROOM
    network = capacity.NETWORK_BITS / 8 * capacity.FULL
    rows = [
        ("a swap worker process on one core", core_us / measured.SWAP_CPU_US, "jobs/s", f"{core_us:,.0f} us a second"),
        ("a webhook worker process on one core", core_us / measured.HOOK_CPU_US, "jobs/s",
         f"the same; {hook_calls:.0f}/s with {capacity.HOOK_SLOTS} slots and receivers that take {capacity.HOOK_S} s"),
        ("one Redis, CPU", core_us / redis_us, "jobs/s",
         f"70 % of its core; hot {_digits(core_us / whole, 2)}/s, hot without webhooks {_digits(core_us / bare, 2)}/s"),
        ("one Redis, memory of 32 GB", usable / measured.FINISHED_BYTES / 1e6, "million finished jobs",
         f"80 % of it; or {_digits(usable / measured.QUEUED_BYTES / 1e6, 2)} million queued"),
        ("the same, jobs that come for ever", usable / plan(1, 1, 1, result_ttl_s=7 * _DAY_S).endless_bytes, "jobs/s",
         "7 days of records, 40 of tombstones"),
        ("one Redis, disk at 100 MB/s", capacity.DISK_BYTES_PER_S * capacity.FULL / measured.AOF_BYTES, "jobs/s",
         "70 % of it"),
        ("one Redis, network of 1 Gbit/s", network / measured.NETWORK_BYTES, "jobs/s", "70 % of it"),
        ("one Redis, `maxclients` 10,000", capacity.MAX_CLIENTS / (capacity.MAX_SLOTS + measured.OTHER_CONNECTIONS),
         "processes", f"{capacity.MAX_SLOTS} slots and {measured.OTHER_CONNECTIONS} more each"),
    ]  # fmt: skip
    lines = ["| | carries about | reckoned with |", "|---|---|---|"]
    return "\n".join(lines + [f"| {what} | {_digits(number, 2)} {unit} | {why} |" for what, number, unit, why in rows])


def _endless() -> str:
    lines = ["| records kept for | one Redis of 8 GB | of 32 GB |", "|---|---|---|"]
    for days in (1, 7, 30):
        rates = (f"{_digits(endless_rate(size, days * _DAY_S), 2)} jobs/s" for size in (8e9, 32e9))
        lines.append(f"| {days} day{'s' * (days > 1)} | {' | '.join(rates)} |")
    return "\n".join(lines)


def _example(asked: str) -> str:
    command = f"doctor --plan {asked}"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        run(shlex.split(command))
    return f"```console\n$ swapjobs {command}\n{printed.getvalue()}```"


def _digits(value: float, digits: int = 3) -> str:
    """Return so many digits that count, or all before the point."""
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 10 ** (digits - 1) else f"{rounded:g}"
