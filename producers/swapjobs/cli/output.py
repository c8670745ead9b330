"""How the commands print: one JSON object on one line, or lines for people that can be copied whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from swapjobs.contract.lifecycle import JobState
from swapjobs.contract.output import ImageOutput, as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swapjobs.contract.attempt import Attempt
    from swapjobs.contract.job import Job

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


def print_job(job: Job, *, as_json: bool, history: Sequence[Attempt] | None = None) -> None:
    """Print a job; with the attempts at it, if they are given."""
    if as_json:
        attempts = {} if history is None else {"history": [item.model_dump(mode="json") for item in history]}
        print_json(job.model_dump(mode="json") | attempts)
        return
    said_elsewhere = {"outputs", *(["input"] if job.source_url else [])}
    fields = job.model_dump(mode="json", exclude=said_elsewhere)
    shown = {name: value for name, value in fields.items() if value not in (None, {}, [])}
    for name, value in shown.items():
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
        style = state_style(job.state) if name == "state" else ""
        print_fields(out, (name, len("business_task_id"), "dim"), (text, 0, style))
    for output in job.outputs:
        if not (isinstance(output, ImageOutput) and output.url == job.output_url):
            print_fields(out, ("output", len("business_task_id"), "dim"), (as_text(output), 0, ""))
    for attempt in history or ():
        print_fields(out, ("attempt", len("business_task_id"), "dim"), (_attempt_text(attempt), 0, ""))


def _attempt_text(attempt: Attempt) -> str:
    parts = [
        f"{attempt.number}" + (f" of round {attempt.round}" if attempt.round > 1 else ""),
        f"{attempt.began_at:%Y-%m-%d %H:%M:%S}" if attempt.began_at else "",
        f"{(attempt.ended_at - attempt.began_at).total_seconds():.1f} s"
        if attempt.began_at and attempt.ended_at
        else "",
        attempt.outcome,
        attempt.code or "",
        f"HTTP {attempt.http_status}" if attempt.http_status else "",
        attempt.worker or "",
        attempt.message or "",
    ]
    return "  ".join(filter(None, parts))


def state_style(state: JobState) -> str:
    """Return the colour in which a state is shown."""
    return _COLOURS.get(state, "")


def plain(text: str) -> str:
    """Return `text` with everything escaped that would move the cursor, change colours or begin a new line."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def status_of(job: Job) -> int:
    """Return the exit status that tells how the job ended: 0 unless it failed, was cancelled or expired."""
    return 1 if job.state in {JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED} else 0
