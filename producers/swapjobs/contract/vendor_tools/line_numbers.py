"""In which line of a TOML or YAML file an entry stands: neither reader of ours says so of a file that can be read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def line_of(text: str, kind: str, path: Sequence[str]) -> int:
    """Return the number of the line in which the entry at `path` stands, or of the nearest one around it.

    Args:
        text: The whole file.
        kind: `.toml`, or a YAML ending.
        path: The names that lead to the entry, the tool's first.
    """
    lines = text.splitlines()
    start, end = _table(lines, kind, path[0])
    place = start
    for name in path[1:]:
        header = _header_of(lines[start:end], path[0], name) if kind == ".toml" else None
        if header is not None:
            place = start + header
            continue
        key = re.compile(rf"""(^|[\s{{,\[])["']?{re.escape(name)}["']?\s*[=:]""")
        found_at = next((number for number in range(place, end) if key.search(lines[number])), None)
        if found_at is None:
            break
        place = found_at
    return place + 1


def _table(lines: Sequence[str], kind: str, code: str) -> tuple[int, int]:
    """Return where a tool's table begins and ends."""
    own = rf"""["']?{re.escape(code)}["']?"""
    start = re.compile(rf"^\[\s*{own}\s*[\].]" if kind == ".toml" else rf"^{own}\s*:")
    numbers = [number for number, line in enumerate(lines) if start.match(line)]
    if not numbers:
        return 0, len(lines)
    other = re.compile(r"^\[" if kind == ".toml" else r"^\S")
    after = (number for number in range(numbers[-1] + 1, len(lines)) if other.match(lines[number]))
    return numbers[0], next(after, len(lines))


def _header_of(lines: Sequence[str], code: str, name: str) -> int | None:
    header = re.compile(rf"""^\[\s*["']?{re.escape(code)}["']?\s*\.\s*["']?{re.escape(name)}["']?\s*\]""")
    return next((number for number, line in enumerate(lines) if header.match(line)), None)
