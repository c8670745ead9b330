"""Runs all benchmarks in turn, about 20 minutes, and writes bench-output/report.md from what they left.

    python ops/bench/all.py [NAME ...] [--output bench-output]

With names only those; scale, flat, stream_day and soak, which are long, only so. Each is a script of its own with
options of its own: `python ops/bench/NAME.py --help`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from report import Table, parser, say

HERE: Final = Path(__file__).parent
ALL: Final = (
    "worker_cost",
    "cold_start",
    "task_events",
    "enqueue",
    "drain",
    "latency",
    "rate",
    "rate_learning",
    "fairness",
    "memory",
    "recovery",
    "gateway",
    "console",
    "callbacks",
    "storm",
    "capacity",
)
LONG: Final = ("scale", "flat", "stream_day", "soak")  # only when they are named: from ten minutes to an hour each


def available() -> list[str]:
    """Return the benchmarks that are there, in their order."""
    return [name for name in (*ALL, *LONG) if (HERE / f"{name}.py").exists()]


def chapter(output: Path, name: str) -> str:
    """Return one benchmark's part of the report."""
    facts: dict[str, Any] = json.loads((output / f"{name}.json").read_text(encoding="utf-8"))
    tables = [Table(**table).markdown() for table in facts.get("tables", [])]
    ran_on = ", ".join(f"{key} {value}" for key, value in facts.get("machine", {}).items())
    options = ", ".join(f"{key} {value}" for key, value in facts.get("options", {}).items())
    picture = f"![{name}]({name}.png)\n" if (output / f"{name}.png").exists() else ""
    return "\n".join([f"## {name}\n", *tables, picture, f"Options: {options}. Ran on: {ran_on}.\n"])


def main() -> int:
    """Run them; one that fails does not keep the others from running."""
    options = parser(__doc__)
    names = f"of {', '.join(available())}; none: all but {', '.join(LONG)}"
    options.add_argument("names", nargs="*", metavar="NAME", help=names)
    chosen = options.parse_args()
    if unknown := sorted(set(chosen.names) - set(available())):
        options.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(available())}")
    output = chosen.output.resolve()
    failed = []
    for name in chosen.names or ALL:
        say(f"--- {name}")
        if subprocess.run([sys.executable, str(HERE / f"{name}.py"), "--output", str(output)], check=False).returncode:
            failed.append(name)
    chapters = [chapter(output, name) for name in available() if (output / f"{name}.json").exists()]
    (output / "report.md").write_text("# Benchmarks\n\n" + "\n".join(chapters), encoding="utf-8")
    say(f"written: {output / 'report.md'}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
