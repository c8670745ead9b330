"""How the commands print: one JSON object on one line, or a table for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from swapjobs.lifecycle import JobState

if TYPE_CHECKING:
    from swapjobs.models import Job

JsonFlag = Annotated[bool, typer.Option("--json", help="print JSON, one object on one line")]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

_COLOURS = {JobState.SUCCEEDED: "green", JobState.FAILED: "red", JobState.RUNNING: "cyan", JobState.WAITING: "yellow"}


def print_json(value: Any) -> None:
    """Print `value` on one line, never wrapped."""
    out.file.write(json.dumps(value, ensure_ascii=False) + "\n")


def print_job(job: Job, *, as_json: bool) -> None:
    """Print a job."""
    if as_json:
        print_json(job.model_dump(mode="json"))
        return
    table = Table.grid(padding=(0, 2))
    for name, value in job.model_dump(mode="json").items():
        if value in (None, {}, []):
            continue
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
        colour = _COLOURS.get(job.state, "white") if name == "state" else None
        table.add_row(f"[dim]{name}[/]", f"[{colour}]{text}[/]" if colour else _plain(text))
    out.print(table, soft_wrap=True)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def status_of(job: Job) -> int:
    """Return the exit status that tells how the job ended: 0 unless it failed, was cancelled or expired."""
    return 1 if job.state in {JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED} else 0
