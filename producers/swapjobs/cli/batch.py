"""The command submit-batch: a CSV or JSON lines file of any length, line by line."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter, deque
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from swapjobs.cli.output import JsonFlag, err, out, print_json
from swapjobs.client import SwapClient
from swapjobs.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = tuple[int, dict[str, Any] | str]  # line number, and a mapping or what is wrong with the line


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(submit_batch)


def submit_batch(
    file: Annotated[str, typer.Argument(help="a file, or - for standard input", show_default=False)],
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
    defaults = {"tenant": tenant, "priority": priority, "callback_url": callback_url, "batch_id": batch_id}
    given = {name: value for name, value in defaults.items() if value is not None}
    counts: Counter[str] = Counter()
    with _open(file) as stream, SwapClient() as client, _progress(stream) as advance:
        for line, id_, outcome, error in _submit(client, read_rows(stream, file), given):
            counts[outcome] += 1
            advance(stream)
            if as_json:
                print_json({"line": line, "id": id_, "outcome": outcome, "error": error})
            if outcome in {"invalid", "conflict"}:
                err.print(f"line {line}: {error}", markup=False, soft_wrap=True)
    if not as_json:
        told = ", ".join(f"{counts[name]} {name}" for name in ("created", "existing", "conflict", "invalid"))
        out.print(f"{counts.total()} lines: {told}")
    raise typer.Exit(1 if counts["invalid"] or counts["conflict"] else 0)


def read_rows(stream: IO[bytes], name: str) -> Iterator[Row]:
    """Yield the rows of a CSV or JSON lines stream; a line that cannot be read is its error text.

    JSON lines when the first character is `{`, else CSV with a header.

    Raises:
        InvalidRequest: the file is empty, or a CSV header lacks `source_url` or `target_url`.
    """
    first = stream.readline()
    first = first.removeprefix(b"\xef\xbb\xbf")
    if not first.strip():
        raise InvalidRequest(f"{name}: the first line is empty; a CSV header or a JSON object is expected")
    numbered = _numbered(first, stream)
    if first.lstrip().startswith(b"{"):
        return _json_rows(numbered)
    return _csv_rows(numbered, name)


def _submit(
    client: SwapClient, rows: Iterator[Row], defaults: dict[str, Any]
) -> Iterator[tuple[int, str | None, str, str | None]]:
    lines: deque[int] = deque()
    unreadable: deque[tuple[int, str]] = deque()

    def good() -> Iterator[dict[str, Any]]:
        for line, row in rows:
            if isinstance(row, str):
                unreadable.append((line, row))
            else:
                lines.append(line)
                yield {**defaults, **row}

    for submission in client.submit_many(good()):
        while unreadable:
            line, error = unreadable.popleft()
            yield line, None, "invalid", error
        error_text = submission.error
        if submission.outcome == "conflict":
            error_text = "business_task_id: was already used for a different request"
        yield lines.popleft(), submission.id, submission.outcome, error_text
    for line, error in unreadable:
        yield line, None, "invalid", error


def _numbered(first: bytes, stream: IO[bytes]) -> Iterator[tuple[int, str | None]]:
    for number, raw in enumerate(_chain(first, stream), 1):
        try:
            yield number, raw.decode("utf-8")
        except UnicodeDecodeError:
            yield number, None


def _chain(first: bytes, stream: IO[bytes]) -> Iterator[bytes]:
    yield first
    yield from stream


def _json_rows(lines: Iterator[tuple[int, str | None]]) -> Iterator[Row]:
    for number, text in lines:
        if text is None:
            yield number, "is not UTF-8"
        elif text.strip():
            try:
                row = json.loads(text)
            except (ValueError, RecursionError) as error:
                yield number, f"is not JSON: {error}"
                continue
            yield number, row if isinstance(row, dict) else "is not a JSON object"


def _csv_rows(lines: Iterator[tuple[int, str | None]], name: str) -> Iterator[Row]:
    at = [0]

    def texts() -> Iterator[str]:
        for number, text in lines:
            at[0] = number
            # U+FFFD is refused below, so that a bad byte costs its line only
            yield "\ufffd\n" if text is None else text

    reader = csv.reader(texts(), strict=True)
    header = [column.strip() for column in next(reader)]
    missing = {"source_url", "target_url"} - set(header)
    if missing:
        raise InvalidRequest(f"{name}: the CSV header lacks {', '.join(sorted(missing))}")
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield at[0], f"is not CSV: {error}"
            continue
        if any(cells):
            yield at[0], _csv_row(header, cells)


def _csv_row(header: list[str], cells: list[str]) -> dict[str, Any] | str:
    if any("\ufffd" in cell for cell in cells):
        return "is not UTF-8"
    if len(cells) > len(header):
        return f"has {len(cells)} cells, the header has {len(header)}; quote cells that hold commas"
    row: dict[str, Any] = {column: cell for column, cell in zip(header, cells, strict=False) if cell}
    if "metadata" in row:
        try:
            row["metadata"] = json.loads(row["metadata"])
        except ValueError:
            return "metadata: is not JSON"
    return row


@contextmanager
def _open(file: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = Path(file).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise InvalidRequest(f"{file}: cannot be read: {error.strerror}") from None
    with stream:
        yield stream


@contextmanager
def _progress(stream: IO[bytes]) -> Iterator[Any]:
    size = Path(stream.name).stat().st_size if isinstance(stream.name, str) and stream.seekable() else None
    columns = (TextColumn("submitting"), BarColumn(), MofNCompleteColumn(), TextColumn("bytes"), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("submit", total=size)

        def advance(stream: IO[bytes]) -> None:
            if size is not None:
                progress.update(task, completed=stream.tell())
            else:
                progress.advance(task)

        yield advance
