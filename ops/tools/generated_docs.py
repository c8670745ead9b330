"""Writes what documents take from the code, and .env.example: python ops/tools/generated_docs.py.

The table of settings comes from the settings classes, the diagram of states from the table of moves, the page of tools
from their table (`tools_page.py`), the tables of the capacity sheet from what was measured (`capacity_page.py`).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

from swapjobs.contract.lifecycle import FINAL, MOVES, JobState
from swapjobs.settings import PREFIX, known_fields

sys.path.insert(0, str(Path(__file__).parent))
from capacity_page import capacity_parts
from tools_page import tools_page

ROOT: Final = Path(__file__).parents[2]


def default_of(name: str) -> str:
    """Return a field's default as one would write it."""
    value = known_fields()[name][0].default
    if value is None or value in ("", (), {}):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def settings_table() -> str:
    """Return the table of all settings in Markdown."""
    lines = ["| variable | default | read by | |", "|---|---|---|---|"]
    for name, (field, reader) in known_fields().items():
        default = f"`{default_of(name)}`" if default_of(name) else "none"
        lines.append(f"| `{PREFIX}{name.upper()}` | {default} | {reader} | {field.description} |")
    return "\n".join(lines)


def state_diagram() -> str:
    """Return the moves of a job as a Mermaid diagram."""
    lines = ["```mermaid", "stateDiagram-v2", "  direction LR", f"  [*] --> {JobState.QUEUED}: submit"]
    events: dict[tuple[JobState, JobState], list[str]] = {}
    for event, (sources, target) in MOVES.items():
        for source in JobState:
            if source in sources:
                events.setdefault((source, target), []).append(event)
    lines += [f"  {source} --> {target}: {', '.join(names)}" for (source, target), names in events.items()]
    lines += [f"  {state} --> [*]" for state in JobState if state in FINAL]
    return "\n".join([*lines, "```"])


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


def generated() -> dict[str, str]:
    """Return the whole text of every file that this writes, by its path from the root."""
    texts = {".env.example": env_example(), "docs/tools.md": tools_page()}
    for path, name, part in (
        ("docs/operations/settings.md", "settings", settings_table()),
        ("docs/architecture.md", "states", state_diagram()),
        *(("docs/operations/capacity.md", name, part) for name, part in capacity_parts().items()),
    ):
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        text = texts.get(path) or (ROOT / path).read_text(encoding="utf-8")
        texts[path] = re.sub(f"{start}.*{end}", lambda _, new=f"{start}\n{part}\n{end}": new, text, flags=re.DOTALL)  # type: ignore[misc]  # mypy infers no type for a default
    return texts


if __name__ == "__main__":
    for path, text in generated().items():
        (ROOT / path).write_text(text, encoding="utf-8")
