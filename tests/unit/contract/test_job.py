"""Only what is allowed gets in, and the message names the field."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from support.builders import make_request
from swapjobs import InvalidRequest, SwapRequest
from swapjobs.contract.fetched_urls import check_url
from swapjobs.contract.job import job_id
from swapjobs.contract.request import Request
from swapjobs.contract.vendor_tools.table import swap_tools

GOOD = {"source_url": "https://a.example/s.jpg", "target_url": "https://a.example/t.jpg"}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("source_url", "ftp://a.example/s.jpg", "http:// or https://"),
        ("source_url", "https://user:secret@a.example/s.jpg", "credentials"),
        ("source_url", "https://a.example/" + "x" * 8192, "8192"),
        ("source_url", "https:///s.jpg", "host"),
        ("source_url", "https://with space.example/s.jpg", "white space"),
        ("source_url", "https://a.example/with\x0bcontrol.jpg", "control"),
        ("source_url", "https://a.example/s.jpg\x00", "control"),
        ("source_url", "https://a.example:99999/s.jpg", "not a URL"),
        ("target_url", "javascript:alert(1)", "http:// or https://"),
        ("target_url", "", "http:// or https://"),
        ("callback_url", "https://a.example\\b/", "backslash"),
        ("business_task_id", "", "1 to 255"),
        ("business_task_id", "x" * 256, "1 to 255"),
        ("business_task_id", "Bestellung-ä", "ASCII"),
        ("business_task_id", "line\nbreak", "printable"),
        ("tenant", "a b", "must be 1 to 64 of A-Z"),
        ("priority", "urgent", "interactive"),
        ("tool", "roop3", "roop, v2/roop, face/fusion"),
        ("metadata", {"x": "y" * 5000}, "4096"),
        ("expires_at", "2030-01-01T00:00:00", "time zone"),
        ("source_url", "https://a.example/\ud800", "control"),
        ("source_url", "https://a.example/\x9b", "control"),
        ("metadata", {"a": float("inf")}, "infinity"),
        ("metadata", {"a": "\ud800"}, "surrogate"),
        ("metadata", {"\ud800": 1}, "surrogate"),
        ("colour", "red", "colour"),
        ("fidelity_weight", 0.5, "tool roop"),
    ],
)
def test_what_is_not_allowed_is_refused_and_the_message_says_what_would_be(field: str, value: Any, words: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        SwapRequest.parse({**GOOD, field: value})
    assert words in str(refusal.value)
    assert field in str(refusal.value)


def test_the_message_never_repeats_the_value() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        SwapRequest.parse({**GOOD, "source_url": "https://user:hunter2@a.example/s.jpg"})
    assert "hunter2" not in str(refusal.value)


def test_requests_are_frozen() -> None:
    request = make_request()
    with pytest.raises(ValidationError):
        request.tool = "v2/roop"  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(
    ("tool", "fields", "body"),
    [
        ("roop", {}, {}),
        ("v2/roop", {"fidelity_weight": 0.25}, {"fidelityWeight": "0.25"}),
        ("v2/roop", {}, {}),
        ("face/fusion", {"face_idx": "2"}, {"sourceUrl": [GOOD["source_url"]], "faceIdx": 2}),
        (
            "face/fusion",
            {"second_source_url": "https://a.example/s2.jpg"},
            {"sourceUrl": [GOOD["source_url"], "https://a.example/s2.jpg"]},
        ),
    ],
)
def test_each_tool_makes_the_vendors_body(tool: str, fields: dict[str, Any], body: dict[str, Any]) -> None:
    request = SwapRequest.parse({**GOOD, "tool": tool, **fields})
    expected = {"sourceUrl": GOOD["source_url"], "targetUrl": GOOD["target_url"], **body}
    assert request.tool_input.body() == expected


@pytest.mark.parametrize(
    ("tool", "fields"),
    [
        ("v2/roop", {"fidelity_weight": 1.5}),
        ("face/fusion", {"face_idx": 0}),
        ("face/fusion", {"second_source_url": "file:///etc/passwd"}),
        ("face/fusion", {"fidelity_weight": 0.5}),
    ],
)
def test_a_tools_own_fields_are_checked_too(tool: str, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(fields))):
        SwapRequest.parse({**GOOD, "tool": tool, **fields})


def test_a_new_signature_of_the_same_picture_is_the_same_request() -> None:
    first = make_request(
        source_url="https://b.s3.example/p.jpg?v=1&X-Amz-Signature=aa&X-Amz-Date=1", target_url="https://t.example/"
    )
    again = make_request(
        source_url="https://b.s3.example/p.jpg?v=1&X-Amz-Signature=bb&X-Amz-Date=2", target_url="https://t.example/"
    )
    other = make_request(
        source_url="https://b.s3.example/p.jpg?v=2&X-Amz-Signature=aa&X-Amz-Date=1", target_url="https://t.example/"
    )
    assert first.fingerprint() == again.fingerprint()
    assert first.fingerprint() != other.fingerprint()


def test_the_same_value_written_differently_is_the_same_request() -> None:
    same = {"source_url": "https://a.example/s", "target_url": "https://a.example/t", "tool": "v2/roop"}
    prints = {make_request(**same, fidelity_weight=weight).fingerprint() for weight in (0.5, "0.5", "0.50")}
    assert len(prints) == 1
    assert make_request(**same, fidelity_weight=None).fingerprint() == make_request(**same).fingerprint()


def test_tool_and_its_fields_are_part_of_what_is_asked_for() -> None:
    same = {"source_url": "https://a.example/s", "target_url": "https://a.example/t"}
    prints = {
        make_request(**same, **fields).fingerprint()
        for fields in ({}, {"tool": "v2/roop"}, {"tool": "v2/roop", "fidelity_weight": 0.5}, {"tool": "face/fusion"})
    }
    assert len(prints) == 4
    assert make_request(**same, metadata={"a": 1}, priority="bulk").fingerprint() in prints


@pytest.mark.parametrize(
    ("fields", "fingerprint"),
    [
        ({}, "075363e78c12e732"),
        ({"tool": "v2/roop"}, "04f2018916c735d3"),
        ({"tool": "v2/roop", "fidelity_weight": 0.5}, "cb2a852b77a1031a"),
        ({"tool": "face/fusion", "second_source_url": "https://a.example/2?sig=1", "face_idx": 2}, "55cfd780c6526f88"),
    ],
)
def test_a_fingerprint_never_changes(fields: dict[str, Any], fingerprint: str) -> None:
    """Else a job that an older version accepted would be a conflict when it is submitted again."""
    urls = {"source_url": "https://a.example/s.jpg?v=1&X-Amz-Signature=aa", "target_url": "https://a.example/ä.jpg"}
    assert SwapRequest.parse({**urls, **fields}).fingerprint() == fingerprint


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://a.example/s.jpg\n", "https://a.example/s.jpg"),
        (" \t https://a.example/s.jpg \r\n", "https://a.example/s.jpg"),
        ("https://a.example/with space.jpg?q=a b#c d", "https://a.example/with%20space.jpg?q=a%20b#c%20d"),
        ("https://a.example/two\nlines\t.jpg", "https://a.example/twolines.jpg"),
        ("https://a.example/%7e%2F%2f?a=%20+&b=1;2|3", "https://a.example/%7e%2F%2f?a=%20+&b=1;2|3"),
        ("HTTPS://A.Example/ä/人?x=[1]&y={2}", "HTTPS://A.Example/ä/人?x=[1]&y={2}"),
        ("https://a.example/x'(y)!*\\z`^", "https://a.example/x'(y)!*\\z`^"),
        ("https://a.example/" + "x" * 8174, "https://a.example/" + "x" * 8174),
    ],
)
def test_a_url_is_tidied_as_browsers_do_and_otherwise_left_byte_for_byte(given: str, kept: str) -> None:
    assert SwapRequest.parse({**GOOD, "source_url": given}).source_url == kept


def is_allowed(url: str) -> bool:
    """Return what `check_url` must find, by the standard library alone; but for what browsers mend."""
    url = url.strip(" \n").replace("\n", "")
    try:
        parts = urlsplit(url)
        port_is_right = parts.port is None or parts.port < 2**16
    except ValueError:
        return False
    named = parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
    return named and port_is_right and not any(char <= " " or "\x7f" <= char <= "\xa0" for char in url)


@given(
    st.sampled_from(["http://", "https://", "HTTP://", "http:/", "//", ""]),
    st.text("aZ0.-_@:[]/?#%\\ é\x00\xa0\n", max_size=12),
    st.sampled_from(["", ":80", ":9999", ":99999", ":-1", "/p?q#f", "/ä"]),
)
def test_common_urls_are_taken_quickly_but_by_the_same_rules(scheme: str, host: str, rest: str) -> None:
    url = scheme + host + rest
    try:
        check_url(url)
    except ValueError:
        assert not is_allowed(url)
    else:
        assert is_allowed(url)


@given(
    st.sampled_from([tool.name for tool in swap_tools()]),
    st.sampled_from(["", "?", "?a=1&X-Amz-Signature=2", '"<source>"', "<target>", "%(source)s", "%", "\xe4\\"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs"]), max_size=5),
)
def test_the_quick_fingerprint_of_two_urls_is_that_of_any_request(tool: str, special: str, more: str) -> None:
    request = SwapRequest.parse(
        {"tool": tool, "source_url": f"https://a.example/{special}{more}", "target_url": f"HTTP://b.example/{more}"}
    )
    assert request.fingerprint() == Request.fingerprint(request)


names = st.text("abc.-", min_size=1, max_size=4)


@given(names, names)
def test_a_job_id_is_base_32(tenant: str, business_task_id: str) -> None:
    digest = hashlib.blake2b(f"{tenant}~{business_task_id}".encode(), digest_size=15).digest()
    assert job_id(tenant, business_task_id) == base64.b32encode(digest).decode().lower()


@given(st.tuples(names, names), st.tuples(names, names))
def test_job_ids_differ_when_tenant_or_business_id_differ(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (job_id(*one) == job_id(*other)) == (one == other)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"tool": "v2/roop", "fidelity_weight": 7}, "fidelity_weight"),
        ({"tool": "face/fusion", "second_source_url": "nonsense"}, "second_source_url"),
        ({"tool": "nonsense"}, "tool"),
        ({"source_url": "nonsense"}, "source_url"),
    ],
)
def test_a_refusal_names_its_field_also_when_it_is_a_tools_own(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        SwapRequest.parse({"source_url": "https://a.example/s", "target_url": "https://a.example/t", **fields})
    assert refusal.value.field == field
    assert str(refusal.value).startswith(f"{field}: ")
