"""How the benchmarks take options, name the machine, print tables and leave JSON."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from common import OURS, PLAIN

from swapsandbox.processes.redis_server import find_server

OUTPUT: Final = Path("bench-output")
Cell = str | float | None


@dataclass
class Table:
    """A table of a report; the first column says what stands in the row."""

    title: str
    columns: list[str]
    rows: list[list[Cell]] = field(default_factory=list)
    note: str = ""

    def add(self, what: str, *cells: Cell) -> None:
        """Add a row."""
        self.rows.append([what, *cells])

    def compare(self, what: str, ours: float | None, plain: float | None) -> None:
        """Add a row of a table made by `versus`: the ratio is reckoned here."""
        ratio = ours / plain if ours is not None and plain else None
        self.add(what, ours, plain, ratio)

    def markdown(self) -> str:
        """Return the table as Markdown, for README and a terminal alike."""
        cells = [[show(cell) for cell in row] for row in self.rows]
        widths = [max(len(row[i]) for row in [self.columns, *cells]) for i in range(len(self.columns))]
        lines = [self.columns, ["-" * width for width in widths], *cells]
        padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
        text = "\n".join(f"| {' | '.join(line)} |" for line in padded)
        return f"**{self.title}**\n\n{text}\n" + (f"\n{self.note}\n" if self.note else "")


def versus(title: str, note: str = "") -> Table:
    """Return an empty table of the usual form."""
    return Table(title, ["what", OURS, PLAIN, "ratio"], note=note)


def show(cell: Cell) -> str:
    """Return a cell as text: three digits that count, but no whole number is cut."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "-"
    if isinstance(cell, str):
        return cell
    if cell == 0 or abs(cell) >= 100:  # noqa: PLR2004 - three digits
        return f"{cell:,.0f}"
    return f"{cell:.{max(2 - math.floor(math.log10(abs(cell))), 0)}f}" if abs(cell) >= 0.01 else f"{cell:.2g}"  # noqa: PLR2004


def percentile(values: list[float], share: float) -> float:
    """Return the smallest value that this share of the values does not exceed."""
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with what every benchmark takes."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the JSON (default: %(default)s)")
    return parser


def finish(name: str, options: argparse.Namespace, tables: list[Table], **samples: Any) -> None:
    """Print the tables and write `<name>.json`."""
    for table in tables:
        print(table.markdown(), flush=True)
    facts = {
        "benchmark": name,
        "machine": machine(),
        "options": {key: value for key, value in vars(options).items() if key != "output"},
        "tables": [asdict(table) for table in tables],
        "samples": samples,
    }
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / f"{name}.json").write_text(json.dumps(facts, indent=1, default=str) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Name the machine and what ran on it."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": _output("git", "describe", "--always", "--dirty", "--abbrev=10"),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "redis": _redis(),
        "redis-py": version("redis"),
        **{name: version(name) for name in ("celery", "kombu", "hiredis", "httpx", "httpcore")},
    }


def _cpu() -> str:
    with_name = Path("/proc/cpuinfo")
    text = with_name.read_text(encoding="utf-8") if with_name.exists() else ""
    match = re.search(r"model name\s*: (.+)", text)
    return match[1] if match else platform.processor()


def _redis() -> str:
    match = re.search(r"(Redis|Valkey) server v=(\S+)", _output(find_server(), "--version"))
    return f"{match[1]} {match[2]}" if match else "?"


def _output(*command: str) -> str:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=10, cwd=Path(__file__).parent
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "?"


_BEGAN: Final = time.monotonic()


def say(text: str) -> None:
    """Tell how far it is, on stderr."""
    print(f"[{time.monotonic() - _BEGAN:5.0f} s] {text}", file=sys.stderr, flush=True)
