"""Reading the rows of a CSV or JSON lines file: one bad line costs itself only, whatever is in it."""

from __future__ import annotations

import csv
import json
from collections import deque
from dataclasses import dataclass
from itertools import chain
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast

from swapjobs.contract.errors import InvalidRequest
from swapjobs.contract.job import SwapRequest
from swapjobs.contract.vendor_tools import TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator


class Readable(Protocol):
    """What rows are read from: a file, or the body of a request."""

    def readline(self, limit: int, /) -> bytes:
        """Return a line, or its first `limit` bytes; nothing at the end."""


class Position(NamedTuple):
    """How far a stream was read: in bytes and in lines."""

    offset: int
    line: int


class Row(NamedTuple):
    """One row: the number of its first line, a mapping or what is wrong with the line, and where the row ends."""

    line: int
    content: dict[str, Any] | str
    after: Position


START: Final = Position(0, 0)
MAX_LINE_BYTES: Final = 65_536  # far more than the longest valid request
_OPEN_QUOTE: Final = "is not CSV: a quote is left open"
_BOM: Final = b"\xef\xbb\xbf"
_COLUMNS: Final = frozenset(SwapRequest.model_fields).union(*(tool.model_fields for tool in TOOLS.values()))


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str
    end: int  # its offset in the stream
    problem: str = ""

    @property
    def after(self) -> Position:
        return Position(self.end, self.number)


def read_rows(
    stream: Readable, name: str, start: Position = START, *, max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[Row]:
    """Return the rows of a CSV or JSON lines stream; a line that cannot be read is its error text.

    JSON lines when the first character is `{`, else CSV with a header. A CSV record may have line breaks in the
    quoted cell `metadata` and nowhere else, so that a quote left open costs its own line and not the rest of the file.
    With `start`, the `after` of a row, the rows behind that one; then the stream must be a file that can be sought.
    A line longer than `max_line_bytes` costs itself only.

    Raises:
        InvalidRequest: the first line is neither a CSV header with `source_url` and `target_url` nor a JSON object.
    """
    lines = _lines(stream, START, max_line_bytes)
    first = next(lines, None)
    if first is None:
        raise InvalidRequest(f"{name}: is empty; a CSV header or JSON objects, one on each line, are expected")
    if first.problem:
        raise InvalidRequest(f"{name}: the first line {first.problem}; a CSV or JSON lines file in UTF-8 is expected")
    begin = first.text.lstrip()
    if not begin:
        raise InvalidRequest(f"{name}: the first line is empty; a CSV header or a JSON object is expected")
    if begin.startswith("["):
        raise InvalidRequest(f"{name}: is a JSON array; JSON lines are expected: one object on each line")
    header = None if begin.startswith("{") else _header(first.text, name)
    if start != START:
        cast("IO[bytes]", stream).seek(start.offset)
        lines = _lines(stream, start, max_line_bytes)
    elif header is None:
        lines = chain([first], lines)
    return _json_rows(lines) if header is None else _csv_rows(header, lines, max_line_bytes)


def _lines(stream: Readable, start: Position, limit: int) -> Iterator[_Line]:
    end, number = start
    while raw := stream.readline(limit + 1):
        number += 1
        end += len(raw)
        if len(raw) > limit:
            while raw and not raw.endswith(b"\n"):
                raw = stream.readline(limit)
                end += len(raw)
            yield _Line(number, "", end, f"is longer than {limit} bytes")
            continue
        try:
            yield _Line(number, (raw.removeprefix(_BOM) if number == 1 else raw).decode("utf-8"), end)
        except UnicodeDecodeError:
            yield _Line(number, "", end, "is not UTF-8")


def _json_rows(lines: Iterator[_Line]) -> Iterator[Row]:
    for line in lines:
        if line.problem:
            yield Row(line.number, line.problem, line.after)
        elif line.text.strip():
            yield Row(line.number, _json_row(line.text), line.after)


def _json_row(text: str) -> dict[str, Any] | str:
    try:
        row = json.loads(text, parse_constant=_refuse)
        if "\\u" in text:
            json.dumps(row, ensure_ascii=False).encode()  # half a surrogate pair is JSON, but no text
    except json.JSONDecodeError as error:
        return f"is not JSON: {error.msg} at column {error.colno}"
    except UnicodeEncodeError:
        return "is not JSON: holds half of a surrogate pair"
    except (ValueError, RecursionError) as error:
        return f"is not JSON: {str(error).partition(';')[0]}"
    return row if isinstance(row, dict) else "is not a JSON object"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def _header(text: str, name: str) -> list[str]:
    try:
        header = [column.strip() for column in next(csv.reader([text], strict=True))]
    except csv.Error as error:
        raise InvalidRequest(f"{name}: the first line {_csv_problem(error)}") from None
    missing = {"source_url", "target_url"} - set(header)
    if missing:
        raise InvalidRequest(f"{name}: the CSV header lacks {', '.join(sorted(missing))} (columns have commas between)")
    named = [column for column in header if column]
    unknown = sorted(set(named) - _COLUMNS)
    if unknown:
        known = ", ".join(sorted(_COLUMNS))
        raise InvalidRequest(f"{name}: the CSV header names {', '.join(unknown)}, which is unknown; known are {known}")
    if len(named) > len(set(named)):
        twice = sorted({column for column in named if named.count(column) > 1})
        raise InvalidRequest(f"{name}: the CSV header names {', '.join(twice)} more than once")
    return header


def _csv_rows(header: list[str], lines: Iterator[_Line], limit: int) -> Iterator[Row]:
    ahead: deque[_Line] = deque()  # lines taken for a record that came to nothing: they are looked at again
    while True:
        taken: list[_Line] = []
        row: dict[str, Any] | str
        try:
            cells = next(csv.reader(_record(ahead, lines, taken, limit), strict=True), [])
            row = _csv_row(header, cells)
        except csv.Error as error:
            row = _OPEN_QUOTE if taken[1:] else _csv_problem(error)
        if not taken:
            return
        first, last = taken[0], taken[-1]
        if isinstance(row, str):
            ahead.extendleft(reversed(taken[1:]))
            last = first
        if row or first.problem:
            yield Row(first.number, first.problem or row, last.after)


def _record(ahead: deque[_Line], lines: Iterator[_Line], taken: list[_Line], limit: int) -> Iterator[str]:
    """Yield line after line for as long as the CSV reader asks for more of its record, within reason."""
    size = 0
    while size < limit:
        line = ahead.popleft() if ahead else next(lines, None)
        if line is None:
            return
        if line.problem and taken:
            ahead.appendleft(line)
            return
        taken.append(line)
        if line.problem:
            return
        size += len(line.text)
        yield line.text


def _csv_row(header: list[str], cells: list[str]) -> dict[str, Any] | str:
    if len(cells) > len(header) and any(cells[len(header) :]):
        return f"has {len(cells)} cells, the header has {len(header)}; quote cells that hold commas"
    row: dict[str, Any] = {column: cell for column, cell in zip(header, cells, strict=False) if cell}
    for column, cell in row.items():
        if column != "metadata" and ("\n" in cell or "\r" in cell):
            return f"{column}: holds a line break; is a quote left open?"
    if "" in row:
        return "has a cell under an empty column name"
    if "metadata" in row:
        read = _json_row(row["metadata"])
        if isinstance(read, str):
            return f"metadata: {read}"
        row["metadata"] = read
    return row


def _csv_problem(error: csv.Error) -> str:
    if "unexpected end of data" in str(error):
        return _OPEN_QUOTE
    return f"is not CSV: {str(error).partition(' - ')[0]}"
