"""The command submit-batch: a CSV or JSON lines file of any length, line by line."""

from __future__ import annotations

import os
import stat
import sys
from collections import Counter, deque
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from swapjobs.cli.output import JsonFlag, err, out, print_fields, print_json
from swapjobs.cli.rows import Row, read_rows
from swapjobs.client import SwapClient
from swapjobs.errors import InvalidRequest, SwapjobsError
from swapjobs.models import SwapRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TICK_LINES = 100  # how often the progress bar moves


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(submit_batch)


def submit_batch(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="- is standard input", show_default=False)],
    *,
    tenant: Annotated[str | None, typer.Option(help="for lines that name none")] = None,
    priority: Annotated[str, typer.Option(help="for lines that name none")] = "bulk",
    callback_url: Annotated[str | None, typer.Option(help="for lines that name none")] = None,
    batch_id: Annotated[str | None, typer.Option(help="for lines that name none")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Submit many jobs from a CSV file with a header, or from JSON lines.

    Columns and keys are those of `submit`, with underscores: source_url, target_url, business_task_id, ... Bad lines
    are reported with their line number, the good ones are kept; then the exit status is 1. Give every line a
    business_task_id, and the same file can be submitted again without making a job twice.
    """
    options = {"tenant": tenant, "priority": priority, "callback_url": callback_url, "batch_id": batch_id}
    given = {name: value for name, value in options.items() if value is not None}
    SwapRequest.parse({"source_url": "https://any.example", "target_url": "https://any.example", **given})
    counts: Counter[str] = Counter()
    line = 0
    try:
        with _open(file) as stream, SwapClient() as client, _progress(stream, shown=not as_json) as advance:
            for line, id_, outcome, error in _submit(client, read_rows(stream, file), given):
                counts[outcome] += 1
                if line % _TICK_LINES == 0:
                    advance(line)
                if as_json:
                    print_json({"line": line, "id": id_, "outcome": outcome, "error": error})
                if error:
                    print_fields(err, (f"line {line}: {error}", 0, ""))
    except (KeyboardInterrupt, SwapjobsError):
        if line:
            err.print(f"stopped after about line {line}: {_told(counts)}; what was accepted is kept", soft_wrap=True)
        raise
    if not as_json:
        out.print(_told(counts), soft_wrap=True)
    raise typer.Exit(1 if counts["invalid"] or counts["conflict"] else 0)


def _told(counts: Counter[str]) -> str:
    each = ", ".join(f"{counts[name]} {name}" for name in ("created", "existing", "conflict", "invalid"))
    return f"{counts.total()} jobs: {each}"


def _submit(
    client: SwapClient, rows: Iterator[Row], defaults: dict[str, Any]
) -> Iterator[tuple[int, str | None, str, str | None]]:
    """Yield line, id, outcome and error of every row, in the order of the file."""
    pending: deque[tuple[int, str | None]] = deque()  # line, and why it could not be read

    def good() -> Iterator[dict[str, Any]]:
        for line, row in rows:
            pending.append((line, row if isinstance(row, str) else None))
            if not isinstance(row, str):
                yield {**defaults, **row}

    def unreadable() -> Iterator[tuple[int, None, str, str]]:
        while pending and pending[0][1] is not None:
            line, problem = pending.popleft()
            yield line, None, "invalid", str(problem)

    for submission in client.submit_many(good()):
        yield from unreadable()
        error = submission.error
        if submission.outcome == "conflict":
            error = "business_task_id: was already used for a different request"
        yield pending.popleft()[0], submission.id, submission.outcome, error
    yield from unreadable()


@contextmanager
def _open(file: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = Path(file).open("rb")  # noqa: SIM115 - closed below
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{file}: cannot be read: {getattr(error, 'strerror', error)}") from None
    with stream:
        yield stream


@contextmanager
def _progress(stream: IO[bytes], *, shown: bool) -> Iterator[Callable[[int], None]]:
    facts = os.fstat(stream.fileno())
    is_file = stat.S_ISREG(facts.st_mode)
    columns = (TextColumn("submitting"), BarColumn(), TextColumn("{task.fields[line]} lines"), TimeRemainingColumn())
    visible = shown and err.is_terminal
    with Progress(*columns, console=err, transient=True, disable=not visible) as progress:
        task = progress.add_task("submit", total=facts.st_size if is_file else None, line=0)

        def advance(line: int) -> None:
            progress.update(task, completed=stream.tell() if is_file else line, line=line)

        yield advance
