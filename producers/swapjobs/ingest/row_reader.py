"""Reading the rows of a CSV or JSON lines file: one bad line costs itself only, whatever is in it."""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from dataclasses import dataclass, field
from itertools import chain
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, cast

from swapjobs.contract.errors import InvalidRequest
from swapjobs.ingest.columns import Columns, gathered, is_blank, is_inside, read_header, separator_of
from swapjobs.ingest.line_reader import START, Line, LineReader, Position, Readable, format_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE_BYTES: Final = 65_536  # far more than the longest valid request
_OPEN_QUOTE: Final = "is not CSV: a quote is left open"
_DECIMAL_COMMA: Final = re.compile(r"(\d+),(\d+)")
_JSON_CELLS: Final = ("metadata", "input")
_QUOTED: Final = re.compile(r'["\r\n]')  # what csv.reader looks at beside the separator
_ROUNDED: Final = re.compile(r"\d(?:[.,]\d+)?E\+\d+")


class Row(NamedTuple):
    """One row: the number of its first line, a mapping or what is wrong with the line, and where the row ends."""

    line: int
    content: dict[str, Any] | str
    after: Position


class _Header(NamedTuple):
    """What a CSV file's first line says: the separator, the field of each column; whether any is a part of one."""

    separator: str
    names: list[str | None]
    has_parts: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read: what its own columns mean, the encoding where it is none of Unicode's, a line's limit."""

    columns: Columns = field(default_factory=Columns)
    encoding: str | None = None
    max_line_bytes: int = MAX_LINE_BYTES


def read_rows(stream: Readable, name: str, start: Position = START, reading: Reading | None = None) -> Iterator[Row]:
    """Return the rows of a CSV or JSON lines stream; a line that cannot be read is its error text.

    JSON lines when the first character is `{`, else CSV with a header, its cells between commas, semicolons, tabs or
    bars. Blank rows are passed over. A CSV record may have line breaks in the quoted cells `metadata` and
    `input` and nowhere else, so that a quote left open costs its own line and not the rest of the file.
    With `start`, the `after` of a row, the rows behind that one; then the stream must be a file that can be sought.
    A line longer than `max_line_bytes` costs itself only.

    Raises:
        InvalidRequest: the first line is neither a CSV header with `source_url` and `target_url`, or with `input`,
            nor a JSON object.
    """
    reading = reading or Reading()
    head = stream.readline(reading.max_line_bytes + 1)
    if not head:
        raise InvalidRequest(f"{name}: is empty; a CSV header or JSON objects, one on each line, are expected")
    try:
        kind = format_of(head, reading.encoding)
    except ValueError as problem:
        raise InvalidRequest(f"{name}: {problem}") from None
    lines = iter(LineReader(stream, kind, reading.max_line_bytes, ahead=head))
    first, separator = _first(lines, name)
    header: list[str | None] | None = None
    if first.text.lstrip().startswith("["):
        raise InvalidRequest(f"{name}: is a JSON array; JSON lines are expected: one object on each line")
    if not first.text.lstrip().startswith("{"):
        separator, header = read_header(first.text, separator, reading.columns, name)
    if start != START:
        cast("IO[bytes]", stream).seek(start.offset)
        lines = iter(LineReader(stream, kind, reading.max_line_bytes, start))
    elif header is None:
        lines = chain([first], lines)
    if header is None:
        return _json_rows(lines, reading.columns)
    has_parts = any(name is not None and is_inside(name) for name in header)
    return _csv_rows(_Header(separator or ",", header, has_parts), lines, reading.max_line_bytes)


def _first(lines: Iterator[Line], name: str) -> tuple[Line, str | None]:
    """Return the first line that is not blank, and the separator where one is named."""
    separator = None
    for line in lines:
        if line.problem:
            raise InvalidRequest(f"{name}: the first line {line.problem}")
        named = separator_of(line.text)
        separator = named or separator
        if not named and not is_blank(line.text):
            return line, separator
    raise InvalidRequest(f"{name}: has only blank lines; a CSV header or JSON objects, one on each line, are expected")


def _json_rows(lines: Iterator[Line], columns: Columns) -> Iterator[Row]:
    for line in lines:
        if line.problem:
            yield Row(line.number, line.problem, line.after)
        elif line.text.strip():
            row = _json_row(line.text)
            yield Row(line.number, row if isinstance(row, str) else columns.of_object(row), line.after)


def _json_row(text: str) -> dict[str, Any] | str:
    try:
        row = _decode(text) if not text.startswith("\ufeff") else json.loads(text)  # which says what is wrong with that
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


_decode: Final = json.JSONDecoder(parse_constant=_refuse).decode  # made once: json.loads would make one for each line


def _csv_rows(header: _Header, lines: Iterator[Line], limit: int) -> Iterator[Row]:
    ahead: deque[Line] = deque()  # lines taken for a record that came to nothing: they are looked at again
    while True:
        if not ahead:
            line = next(lines, None)
            if line is None:
                return
            if not (line.problem or _QUOTED.search(line.text)):  # nearly all: in those csv.reader would find no more
                if row := _csv_row(header, line.text.split(header.separator)):
                    yield Row(line.number, row, line.after)
                continue
            ahead.append(line)
        taken: list[Line] = []
        try:
            record = _record(ahead, lines, taken, limit)
            cells = next(csv.reader(record, delimiter=header.separator, strict=True), [])
            row = _csv_row(header, cells, may_hold_breaks=True)
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


def _record(ahead: deque[Line], lines: Iterator[Line], taken: list[Line], limit: int) -> Iterator[str]:
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
        yield line.text + "\n"


def _csv_row(header: _Header, cells: list[str], *, may_hold_breaks: bool = False) -> dict[str, Any] | str:
    names, separator = header.names, header.separator
    if len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
        named = {",": "commas", ";": "semicolons", "\t": "tabs"}.get(separator, f"{separator}")
        return f"has {len(cells)} cells, the header has {len(names)}; quote cells that hold {named}"
    named_cells = zip(names, cells, strict=False)
    row: dict[str, Any] = {name: cell for name, cell in named_cells if name is not None and cell.strip()}
    if header.has_parts:
        row = gathered(row.items())
    for name, cell in _single_cells(row) if may_hold_breaks else ():
        if "\n" in cell.strip() or "\r" in cell.strip():
            return f"{name}: holds a line break; is a quote left open?"
    if "" in row:
        return "has a cell under an empty column name"
    return _meant(row, separator)


def _single_cells(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the cells that have no line breaks; a text of many lines is given as JSON, in the whole cell."""
    for name, cell in row.items():
        if name not in _JSON_CELLS:
            yield name, cell
        elif name == "input" and isinstance(cell, dict):
            yield from ((f"{name}.{part}", value) for part, value in cell.items())


def _meant(row: dict[str, Any], separator: str) -> dict[str, Any] | str:
    """Return what a spreadsheet's cells mean, or what it did to them."""
    if _ROUNDED.fullmatch(row.get("business_task_id", "")):
        return (
            f"business_task_id: {row['business_task_id']} is what a spreadsheet makes of a long number; format the"
            " column as text and enter it again"
        )
    if separator != ",":  # where cells end with a semicolon, numbers have a comma
        if "fidelity_weight" in row:
            row["fidelity_weight"] = _with_point(row["fidelity_weight"])
        if isinstance(row.get("input"), dict):
            row["input"] = {name: _with_point(cell) for name, cell in row["input"].items()}
    for name in _JSON_CELLS:
        if isinstance(row.get(name), str):
            read = _json_row(row[name])
            if isinstance(read, str):
                return f"{name}: {read}"
            row[name] = read
    return row


def _with_point(cell: str) -> str:
    number = _DECIMAL_COMMA.fullmatch(cell.strip())
    return f"{number[1]}.{number[2]}" if number else cell


def _csv_problem(error: csv.Error) -> str:
    if "unexpected end of data" in str(error):
        return _OPEN_QUOTE
    return f"is not CSV: {str(error).partition(' - ')[0]}"
