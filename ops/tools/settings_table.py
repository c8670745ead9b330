"""Writes README's settings table and .env.example from the settings classes: python ops/tools/settings_table.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from swapjobs.settings import PREFIX, known_fields

ROOT: Final = Path(__file__).parents[2]
START, END = "<!-- settings: generated from producers/swapjobs/settings -->", "<!-- /settings -->"


def default_of(name: str) -> str:
    """Return a field's default as one would write it."""
    value = known_fields()[name][0].default
    if value is None or value in ("", ()):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def table() -> str:
    """Return the table in Markdown."""
    lines = ["| variable | default | read by | |", "|---|---|---|---|"]
    for name, (field, reader) in known_fields().items():
        default = f"`{default_of(name)}`" if default_of(name) else "none"
        lines.append(f"| `{PREFIX}{name.upper()}` | {default} | {reader} | {field.description} |")
    return "\n".join(lines)


def env_example() -> str:
    """Return .env.example: every setting with its meaning, commented out at its default."""
    lines = ["# Copy to .env and uncomment what you change; every line shows the default.", ""]
    for name, (field, _) in known_fields().items():
        lines += [f"# {field.description}", f"#{PREFIX}{name.upper()}={default_of(name)}", ""]
    lines += [
        "# docker-compose only: who may look at the dashboard, user:password",
        "#FLOWER_BASIC_AUTH=",
        "# and how much memory Redis may use",
        "#REDIS_MAXMEMORY=1gb",
        "",
    ]
    return "\n".join(lines)


def with_table(readme: str) -> str:
    """Return README with the table between its marks."""
    return re.sub(
        f"{re.escape(START)}.*{re.escape(END)}", lambda _: f"{START}\n{table()}\n{END}", readme, flags=re.DOTALL
    )


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text(encoding="utf-8")), encoding="utf-8")
    (ROOT / ".env.example").write_text(env_example(), encoding="utf-8")
