"""Reading CSV and JSON lines: one bad line costs itself only, whatever is in it."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapjobs import InvalidRequest
from swapjobs.ingest.row_reader import MAX_LINE_BYTES, read_rows

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
        (b"\nsource_url,target_url\n", "the first line is empty"),
        (b"source_url\n", "the CSV header lacks target_url"),
        (b"source_url;target_url\n", "the CSV header lacks source_url, target_url"),
        (b"source_url,target_url,sourceUrl\n", "the CSV header names sourceUrl, which is unknown; known are batch_id"),
        (b"source_url,target_url,tool,tool\n", "the CSV header names tool more than once"),
        (b'"source_url,target_url\n', "the first line is not CSV: a quote is left open"),
        (b"source_url,target_url\rhttp://s,http://t\r", "the first line is not CSV: new-line character seen"),
        ("source_url,target_url\n".encode("utf-16"), "the first line is not UTF-8"),
        (b"x" * (MAX_LINE_BYTES + 1), "the first line is longer than"),
        (json.dumps([{"source_url": "http://s"}]).encode(), "is a JSON array; JSON lines are expected"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_is_refused_by_name(data: bytes, problem: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_rows(io.BytesIO(data), "the-file")
    assert str(refused.value).startswith(f"the-file: {problem}")
