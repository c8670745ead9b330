"""How the commands print: one JSON object on one line, or lines for people that can be copied whole."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from swapjobs.contract.lifecycle import JobState

YEAR_S: Final = 366 * 86_400  # the longest time that an option takes

JsonFlag = Annotated[bool, typer.Option("--json", help="print JSON, one object on one line")]


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to `main` to end: rich's own way would exit with the status of a failed job."""
        raise BrokenPipeError


out = _Console(highlight=False)
err = _Console(stderr=True, highlight=False)

_COLOURS = {JobState.SUCCEEDED: "green", JobState.FAILED: "red", JobState.RUNNING: "cyan", JobState.WAITING: "yellow"}


def print_json(value: Any) -> None:
    """Print `value` on one line, never wrapped; in ASCII, which no terminal, pipe or locale can harm."""
    out.file.write(json.dumps(value) + "\n")


def print_fields(console: Console, *fields: tuple[str, int, str]) -> None:
    """Print one line of `(text, width, style)`: padded to the width, never cut and never wrapped by us."""
    line = Text("  ").join(Text(f"{plain(text):<{width}}", style) for text, width, style in fields)
    line.rstrip()
    console.print(line, soft_wrap=True)


def print_error(code: str, text: str, *, what: str = "error", style: str = "red") -> None:
    """Print one line on standard error."""
    shown = (f" ({code})", "dim") if code else ""
    err.print(Text.assemble((what, style), shown, " ", plain(text)), soft_wrap=True)


def state_style(state: JobState) -> str:
    """Return the colour in which a state is shown."""
    return _COLOURS.get(state, "")


def plain(text: str) -> str:
    """Return `text` with everything escaped that would move the cursor, change colours or begin a new line."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
