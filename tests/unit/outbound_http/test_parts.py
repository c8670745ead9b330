"""The parts of `net` that need no network: URLs, the Host header, Retry-After."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapworker.outbound_http import Deadline, Origin, retry_after_s, split_url

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("url", "origin", "host", "target"),
    [
        ("http://a.example", Origin("http", "a.example", 80), b"a.example", b"/"),
        ("https://A.example:443/x?y=z#f", Origin("https", "a.example", 443), b"a.example", b"/x?y=z"),
        ("http://a.example:8080/%20", Origin("http", "a.example", 8080), b"a.example:8080", b"/%20"),
        ("http://[::1]:81/", Origin("http", "::1", 81), b"[::1]:81", b"/"),
        ("https://bücher.example/ü", Origin("https", "xn--bcher-kva.example", 443), None, b"/%C3%BC"),
        ('https://a.example/a?b="c"&d={e}', Origin("https", "a.example", 443), None, b"/a?b=%22c%22&d=%7Be%7D"),
    ],
)
def test_a_url_is_split(url: str, origin: Origin, host: bytes | None, target: bytes) -> None:
    assert split_url(url) == (origin, target)
    assert host is None or origin.header == host


@given(st.text())
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        origin, target = split_url(f"http://{text}")
    except ValueError:
        return
    assert origin.header
    assert target.startswith(b"/")


def test_a_deadline_runs_out() -> None:
    assert 9 < Deadline(10).left_s() <= 10
    with pytest.raises(TimeoutError):
        Deadline(0).left_s()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("999999", 3600.0),
        ("-1", None),
        ("1e3", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 13:00:30 +0100", 30.0),
        ("Sun, 22 Nov 2026 12:00:30 -0000", 30.0),
        ("Sun Nov 22 12:00:30 2026", 30.0),
        ("Sun, 22 Nov 2026 11:59:59 GMT", None),
        ("Sun, 22 Nov 2099 12:00:30 GMT", 3600.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": value}, NOW) == seconds


def test_without_the_header_there_is_no_wish() -> None:
    assert retry_after_s({}, NOW) is None


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,5} [A-Z][a-z]{2} [0-9]{1,6} [0-9:]{1,10} [A-Z0-9+-]{1,7}"))
def test_any_retry_after_gives_a_sane_wait_or_none(value: str) -> None:
    seconds = retry_after_s({"retry-after": value}, NOW)
    assert seconds is None or 0 <= seconds <= 3600


@given(st.integers(0, 3600), st.integers(-12, 12))
def test_a_date_is_read_in_its_own_time_zone(seconds: int, hours: int) -> None:
    at = (NOW + timedelta(seconds=seconds)).astimezone(timezone(timedelta(hours=hours)))
    assert retry_after_s({"retry-after": format_datetime(at)}, NOW) == seconds
