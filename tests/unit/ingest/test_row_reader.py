"""Reading CSV and JSON lines: one bad line costs itself only, whatever is in it."""

from __future__ import annotations

import csv
import io
import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapjobs import InvalidRequest
from swapjobs.ingest.columns import Columns
from swapjobs.ingest.line_reader import check_encoding
from swapjobs.ingest.row_reader import MAX_LINE_BYTES, Reading, read_rows

HEADER = b"source_url,target_url,business_task_id,metadata\n"
GOOD = b'http://a.example/s,http://a.example/t,good-%d,"{""n"": %d}"'
GOOD_JSON = b'{"source_url": "http://a.example/s", "business_task_id": "good-%d"}'

# Bytes that are likely to hurt, in any order, besides any bytes at all.
NASTY = st.lists(
    st.sampled_from([b'"', b",", b"\r", b"\n", b"\xff", b"\x00", b"{", b"}", b"[", b"\xef\xbb\xbf", b"\\ud800", b"x"])
).map(b"".join)
BYTES = st.binary(max_size=60) | NASTY


def rows(data: bytes) -> list[tuple[int, Any]]:
    return [(row.line, row.content) for row in read_rows(io.BytesIO(data), "the-file")]


def problems(data: bytes) -> dict[int, str]:
    return {line: row for line, row in rows(data) if isinstance(row, str)}


def good_ids(data: bytes) -> list[str]:
    result = [row.get("business_task_id") for _, row in rows(data) if isinstance(row, dict)]
    return [id_ for id_ in result if isinstance(id_, str) and id_.startswith("good-")]


@given(st.sampled_from([b"", HEADER, b"{", GOOD_JSON % 0 + b"\n"]), BYTES)
def test_any_bytes_raise_nothing_but_invalid_request(begin: bytes, data: bytes) -> None:
    try:
        numbers = [line for line, _ in rows(begin + data)]
    except InvalidRequest:
        return
    assert numbers == sorted(set(numbers))


@given(st.sampled_from([HEADER, GOOD_JSON % 0 + b"\n"]), st.lists(BYTES | st.just(GOOD % (1, 1)), max_size=8))
def test_reading_goes_on_behind_any_row_as_if_it_had_not_stopped(begin: bytes, lines: list[bytes]) -> None:
    data = begin + b"\n".join(lines)
    whole = list(read_rows(io.BytesIO(data), "the-file"))
    for number, row in enumerate(whole):
        assert list(read_rows(io.BytesIO(data), "the-file", row.after)) == whole[number + 1 :]


@given(st.lists(BYTES, max_size=8))
def test_every_good_csv_line_survives_whatever_the_bad_ones_are(bad: list[bytes]) -> None:
    lines = [line for number, item in enumerate(bad) for line in (item, GOOD % (number, number))]
    assert good_ids(HEADER + b"\n".join(lines)) == [f"good-{number}" for number in range(len(bad))]


@given(st.lists(BYTES, max_size=8))
def test_every_good_json_line_survives_whatever_the_bad_ones_are(bad: list[bytes]) -> None:
    lines = [GOOD_JSON % 0, *(line for number, item in enumerate(bad, 1) for line in (item, GOOD_JSON % number))]
    assert good_ids(b"\n".join(lines)) == [f"good-{number}" for number in range(len(bad) + 1)]


class Typed:
    """A terminal: who asks again after its end has to wait for a second end."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)
        self.is_over = False

    def readline(self, limit: int, /) -> bytes:
        assert not self.is_over
        line = self._stream.readline(limit)
        self.is_over = not line
        return line


@pytest.mark.parametrize("begin", [HEADER, GOOD_JSON % 0 + b"\n"])
def test_the_end_is_asked_for_once(begin: bytes) -> None:
    stream = Typed(begin + GOOD % (1, 1) + b"\n")
    assert len(list(read_rows(stream, "the-file"))) >= 1
    assert stream.is_over


PLAIN = st.text(st.characters(exclude_characters='"\r\n,;\t|', codec="utf-8"), max_size=6)


@given(
    st.sampled_from(",;\t|"),
    st.sampled_from(["business_task_id,fidelity_weight", "metadata.a,input.b", ",business_task_id", "metadata,"]),
    st.lists(PLAIN | st.sampled_from(["", " ", "1,5", "1E+15", "{}"]), max_size=6),
)
def test_a_line_without_quotes_is_read_as_it_is_with_them(separator: str, columns: str, cells: list[str]) -> None:
    """The first are split, csv.reader looks at the second: nearly all lines are of the first kind."""
    header = f"source_url,target_url,{columns}".replace(",", separator)
    bare = [cell.replace(separator, "") for cell in cells]
    quoted = [f'"{cell}"' for cell in bare]
    lines = ["http://s", "http://t"]
    one, other = (rows("\n".join([header, separator.join([*lines, *more])]).encode()) for more in (bare, quoted))
    assert one == other


def test_rows_have_the_number_of_their_first_line_and_no_empty_cells() -> None:
    data = b'\xef\xbb\xbfsource_url,target_url, metadata ,\r\nhttp://s,,"{\r\n""a"": 1}"\r\n\r\n,http://t,\r\n'
    assert rows(data) == [(2, {"source_url": "http://s", "metadata": {"a": 1}}), (5, {"target_url": "http://t"})]
    data = b'\xef\xbb\xbf{"source_url": "http://s"}\r\n\r\n {"target_url": "\xc3\xa9"}'
    assert rows(data) == [(1, {"source_url": "http://s"}), (3, {"target_url": "\xe9"})]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"http://\xff,http://t,1", "is not UTF-8"),
        (b"http://s,http://t,1,,5", "has 5 cells, the header has 4; quote cells that hold commas"),
        (b'"http://s,http://t,1', "is not CSV: a quote is left open"),
        (b'"http://s"x,http://t,1', "is not CSV: ',' expected after '\"'"),
        (b"http://s\rx,http://t", "is not CSV: new-line character seen in unquoted field"),
        (b'"http://\rs",http://t', "source_url: holds a line break; is a quote left open?"),
        (b"http://s,http://t,1,{", "metadata: is not JSON: Expecting property name"),
        (b"http://s,http://t,1,[1]", "metadata: is not a JSON object"),
        (b'http://s,http://t,1,"{""a"": NaN}"', "metadata: is not JSON: NaN is not a JSON number"),
        (b"x" * (MAX_LINE_BYTES + 1), f"is longer than {MAX_LINE_BYTES} bytes"),
        (b"x" * (3 * MAX_LINE_BYTES), f"is longer than {MAX_LINE_BYTES} bytes"),
    ],
)
def test_a_bad_csv_line_is_told_with_its_number(line: bytes, problem: str) -> None:
    result = problems(HEADER + GOOD % (1, 1) + b"\n" + line + b"\n" + GOOD % (2, 2) + b"\n")
    assert list(result) == [3]
    assert result[3].startswith(problem)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"[1]", "is not a JSON object"),
        (b"nonsense", "is not JSON: Expecting value at column 1"),
        (b'{"a": 1} x', "is not JSON: Extra data at column 10"),
        (b'{"a": "\\ud800"}', "is not JSON: holds half of a surrogate pair"),
        (b'{"a": Infinity}', "is not JSON: Infinity is not a JSON number"),
        (b'{"a": ' + b"1" * 5000 + b"}", "is not JSON: Exceeds the limit (4300 digits)"),
        (b'{"a":' * 10_000, "is not JSON: maximum recursion depth exceeded"),
        (b'{"a": "\xff"}', "is not UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "is not JSON: Unexpected UTF-8 BOM"),
    ],
)
def test_a_bad_json_line_is_told_with_its_number(line: bytes, problem: str) -> None:
    result = problems(GOOD_JSON % 1 + b"\n" + line + b"\n" + GOOD_JSON % 2)
    assert list(result) == [2]
    assert result[2].startswith(problem)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty"),
        (b"\n ; ;\n,,\n\n", "has only blank lines"),
        (b"source_url\n", "the CSV header lacks target_url"),
        (
            b"url;picture\n",
            "the CSV header lacks source_url, target_url (or tool and input.FIELD); it has 'url, picture'. A column",
        ),
        (
            b"source_ulr,target_url\n",
            "the CSV header lacks source_url (or tool and input.FIELD); it has 'source_ulr, target_url'; did you mean",
        ),
        (b"source_url,target_url,sku\n", "the CSV header names sku, which is unknown: leave such columns out by --ign"),
        (b"source_url,target_url,tool,tool\n", "the CSV header names tool more than once"),
        (b'"source_url,target_url\n', "the first line is not CSV: a quote is left open"),
        (
            b"source_url,target_url,K\xf6nig\n",
            'the first line is not UTF-8; save the file as "CSV UTF-8", or say which',
        ),
        (b"PK\x03\x04\x14\x00", "is a workbook (Excel, LibreOffice, Numbers) or a zip file; save the sheet as"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "is an Excel workbook; save the sheet as"),
        (b"\x1f\x8b\x08", "is packed with gzip; unpack it first"),
        (b"x" * (MAX_LINE_BYTES + 1), "the first line is longer than"),
        (json.dumps([{"source_url": "http://s"}]).encode(), "is a JSON array; JSON lines are expected"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_is_refused_by_name(data: bytes, problem: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_rows(io.BytesIO(data), "the-file")
    assert str(refused.value).startswith(f"the-file: {problem}")


@pytest.mark.parametrize(
    "line",
    [
        "https://s3.example/a.jpg?X-Amz-Signature=HUSH,https://s3.example/b.jpg?X-Amz-Signature=HUSH",
        "https://s3.example/a.jpg?a=1;sig=HUSH",
        "order-1\thttps://s3.example/a.jpg?sig=HUSH",
        '"https://s3.example/a.jpg?sig=HUSH"|"HUSH"',
        "source_url,target_url,https://s3.example/a.jpg?sig=HUSH",
    ],
)
def test_a_first_line_that_is_data_is_told_so_and_not_repeated(line: str) -> None:
    """A signed URL is a secret."""
    with pytest.raises(InvalidRequest) as refused:
        read_rows(io.BytesIO(line.encode()), "the-file")
    text = "the-file: the first line must name the columns (source_url,target_url); it looks like data"
    assert str(refused.value) == text


SHEET = (
    ("source_url", "target_url", "business_task_id", "fidelity_weight", "metadata"),
    (
        "https://a.example/s.jpg?a=1,2;3|4",
        "https://a.example/t.jpg",
        "größe-1",
        "0,5",
        '{"shop": "Köln, \u00bbMitte\u00ab"}',
    ),
    ("https://a.example/s.jpg", "https://a.example/t.jpg", "2", "", ""),
)
SEEN = [
    {
        "source_url": "https://a.example/s.jpg?a=1,2;3|4",
        "target_url": "https://a.example/t.jpg",
        "business_task_id": "größe-1",
        "fidelity_weight": "0.5",
        "metadata": {"shop": "Köln, »Mitte«"},
    },
    {"source_url": "https://a.example/s.jpg", "target_url": "https://a.example/t.jpg", "business_task_id": "2"},
]


def sheet(separator: str, end: str, *, quoting: int = csv.QUOTE_MINIMAL, before: str = "") -> str:
    """Return the sheet as a spreadsheet writes it: with blank rows, which it kept though they are empty."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    header, first, second = SHEET
    writer.writerow([*header, ""])
    writer.writerow([*first[:3], first[3] if separator != "," else "0.5", *first[4:], ""])
    writer.writerow([""] * 6)
    writer.writerow([])
    writer.writerow([*second, " "])
    writer.writerow(["", " ", "", "", "", ""])
    return before + text.getvalue()


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("utf-16", None),
        ("utf-16-le", None),
        ("utf-16-be", None),
        ("windows-1252", "windows-1252"),
        ("mac-roman", "macintosh"),
        ("cp850", "cp850"),
        ("gb18030", "gb18030"),
        ("utf-8", "utf-8"),
    ],
)
def test_files_are_read_as_spreadsheets_write_them(encoding: str, named: str | None) -> None:
    reading = Reading(encoding=check_encoding(named) if named else None)
    ends = ["\n", "\r\n"] if encoding.startswith("utf-16") else ["\n", "\r\n", "\r"]
    befores = [("", 0), ("sep={}{}", 1), ("{0}{0}{0}{1}{1}", 2)]
    quotings = [csv.QUOTE_MINIMAL, csv.QUOTE_ALL]
    for separator, end, quoting, (before, lines) in itertools.product([",", ";", "\t", "|"], ends, quotings, befores):
        text = sheet(separator, end, quoting=quoting, before=before.format(separator, end))
        data = text.encode(encoding)
        whole = list(read_rows(io.BytesIO(data), "the-file", reading=reading))
        assert [row.content for row in whole] == SEEN, text
        assert [row.line for row in whole] == [lines + 2, lines + 5], text
        for number, row in enumerate(whole):
            assert list(read_rows(io.BytesIO(data), "the-file", row.after, reading)) == whole[number + 1 :]


@pytest.mark.parametrize("size", [3, 4, 7, 1000])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
def test_bytes_may_come_in_any_pieces(size: int, encoding: str) -> None:
    data = sheet(";", "\r\n").encode(encoding)

    class Pieces(io.BytesIO):
        def readline(self, limit: int | None = -1, /) -> bytes:
            return super().readline(min(size, limit or size))

    assert [row.content for row in read_rows(Pieces(data), "the-file")] == SEEN


def test_a_line_of_utf_16_that_is_too_long_costs_itself_only() -> None:
    lines = ["source_url;target_url", "http://s;http://t", "x" * MAX_LINE_BYTES, "\u0a0a" * 10, "http://s;http://t"]
    result = rows("\r\n".join(lines).encode("utf-16"))
    assert [line for line, _ in result] == [2, 3, 4, 5]
    assert result[1][1] == f"is longer than {MAX_LINE_BYTES} bytes"
    assert result[3][1] == result[0][1]


def test_columns_of_a_products_own() -> None:
    columns = Columns.parse(["url=source_url", "Ziel URL=target_url", "sku=metadata.sku", "shop=metadata.shop"])
    data = "url;Ziel URL;SKU;sku;shop;Business Task ID\nhttp://s;http://t;;4;Köln;o-1\n".encode()
    with pytest.raises(InvalidRequest, match=r"the CSV header names SKU, which is unknown: .*--ignore-unknown"):
        read_rows(io.BytesIO(data), "the-file", reading=Reading(columns))
    ignoring = Reading(replace(columns, ignore_unknown=True))
    (row,) = read_rows(io.BytesIO(data), "the-file", reading=ignoring)
    assert row.content == {
        "source_url": "http://s",
        "target_url": "http://t",
        "business_task_id": "o-1",
        "metadata": {"sku": "4", "shop": "Köln"},
    }
    data = b'{"url": "http://s", "Ziel URL": "http://t", "sku": 4, "other": 5, "metadata": {"a": 1}}\n'
    (row,) = read_rows(io.BytesIO(data), "the-file", reading=ignoring)
    assert row.content == {"source_url": "http://s", "target_url": "http://t", "metadata": {"a": 1, "sku": 4}}
    (row,) = read_rows(io.BytesIO(data), "the-file", reading=Reading(columns))
    assert isinstance(row.content, dict)
    assert row.content["other"] == 5, "and is refused, as any unknown field"


@pytest.mark.parametrize(
    ("pair", "problem"),
    [
        ("url", "write it as OWN=FIELD"),
        ("=source_url", "write it as OWN=FIELD"),
        ("url=", "write it as OWN=FIELD"),
        ("url=src", "src is no field; known are batch_id, "),
        ("url=metadata.", "metadata. is no field"),
    ],
)
def test_a_map_that_says_nothing_is_refused(pair: str, problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        Columns.parse([pair])


def test_what_a_spreadsheet_did_to_a_number_is_told() -> None:
    data = b"source_url;target_url;business_task_id\nhttp://s;http://t;4,7112E+15\n"
    assert problems(data)[2].startswith("business_task_id: 4,7112E+15 is what a spreadsheet makes of a long number")


@pytest.mark.parametrize("name", ["utf-7", "utf-32", "cp037", "rot13", "base64", "no-such", "\0"])
def test_an_encoding_in_which_no_lines_are_found_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="must be one like utf-8"):
        check_encoding(name)
