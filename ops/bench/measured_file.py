"""Makes of the figures of capacity.py what the planner reckons with: producers/swapjobs/monitoring/measured.py.

The tables of docs/operations/capacity.md are made of that file (ops/tools/capacity_page.py), and renewed with it.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).parents[2]
FILE: Final = ROOT / "producers" / "swapjobs" / "monitoring" / "measured.py"
PACED: Final = "paced, webhook"
HOT: Final = "hot, webhook"
BARE: Final = "hot, no webhook"

Samples = dict[str, list[dict[str, float]]]

# What stands beside each constant in the file.
_MEANING: Final = {
    "SWAP_CPU_US": "swap worker, paced",
    "HOOK_CPU_US": "webhook worker, paced",
    "REDIS_SUBMIT_CPU_US": "submitted in blocks",
    "REDIS_CPU_US": "all the rest of its life, paced",
    "IDLE_CPU_US": "of Redis, for one worker process of two, in a second without work",
    "QUEUED_BYTES": "in Redis' memory",
    "FINISHED_BYTES": "the whole record and the tombstone",
    "TOMBSTONE_BYTES": "what is left of it after SWAPJOBS_RESULT_TTL_S",
    "AOF_BYTES": "appended in its whole life, paced",
    "AOF_REWRITTEN_BYTES": "finished, after a rewrite",
    "NETWORK_BYTES": "to and from Redis, paced",
    "OTHER_CONNECTIONS": "of a worker process besides one for each slot",
}
_HOOK_SLOTS: Final = 16
_MACHINE: Final = ("date", "revision", "cpu", "cores", "python", "redis", "celery", "hiredis")


def constants(samples: Samples, slots: Mapping[str, int]) -> dict[str, int]:
    """Return the constants, each with three digits that count."""
    paced, hot, bare = (_medians(samples[name]) for name in (PACED, HOT, BARE))
    connections = max((hot["connections"] - slots[HOT] - _HOOK_SLOTS) / 2, bare["connections"] - slots[BARE])
    exact = {
        "SWAP_CPU_US": paced["swap_worker_cpu_us"],
        "HOOK_CPU_US": paced["hook_worker_cpu_us"],
        "REDIS_SUBMIT_CPU_US": hot["submit_redis_cpu_us"],
        "REDIS_CPU_US": paced["work_redis_cpu_us"],
        "IDLE_CPU_US": hot["idle_redis_cpu_us"] / 2,
        "QUEUED_BYTES": hot["queued_bytes"],
        "FINISHED_BYTES": hot["finished_bytes"],
        "TOMBSTONE_BYTES": hot["tombstone_bytes"],
        "AOF_BYTES": paced["submit_aof_bytes"] + paced["work_aof_bytes"],
        "AOF_REWRITTEN_BYTES": hot["finished_aof_bytes"],
        "NETWORK_BYTES": sum(paced[f"{when}_net_{way}_bytes"] for when in ("submit", "work") for way in ("in", "out")),
        "OTHER_CONNECTIONS": max(math.ceil(connections), 1),
    }
    return {name: int(float(f"{value:.3g}")) for name, value in exact.items()}


def write(values: Mapping[str, int], samples: Samples, machine: Mapping[str, Any]) -> str:
    """Write the file, and what is made of it."""
    lines = [
        '"""What one job costs, as it was measured: written by `python ops/bench/capacity.py --write`, never by hand.',
        "",
        "Two URLs of 120 characters, a business id, a webhook unless it says otherwise. Paced: at 100 calls/s of",
        "250 ms; hot: the vendor answers at once, and nothing waits for the rate.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import Final",
        "",
        *(f"{name}: Final = {value:_}  # {_MEANING[name]}" for name, value in values.items()),
        "",
        "MACHINE: Final = {",
        *(f"    {json.dumps(name)}: {json.dumps(str(machine[name]))}," for name in _MACHINE),
        "}",
        "# The median of each case's rounds, the lowest and the highest.",
        "SEEN: Final = {",
    ]
    for case, taken in samples.items():
        lines.append(f"    {json.dumps(case)}: {{")
        for name in taken[0]:
            seen = [item[name] for item in taken]
            numbers = ", ".join(_number(value) for value in (statistics.median(seen), min(seen), max(seen)))
            lines.append(f"        {json.dumps(name)}: ({numbers}),")
        lines.append("    },")
    FILE.write_text("\n".join([*lines, "}", ""]), encoding="utf-8")
    subprocess.run([sys.executable, str(ROOT / "ops" / "tools" / "generated_docs.py")], check=True)
    return str(FILE.relative_to(ROOT))


def _medians(taken: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(item[name] for item in taken) for name in taken[0]}


def _number(value: float) -> str:
    rounded = float(f"{value:.3g}")
    return f"{int(rounded):_}" if rounded.is_integer() and abs(rounded) >= 1 else repr(rounded)
