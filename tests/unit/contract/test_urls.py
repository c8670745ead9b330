"""URLs to be called: one strict parser; what it lets pass is read alike by everybody."""

from __future__ import annotations

import contextlib
import ipaddress
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapjobs import SwapRequest
from swapjobs.contract.errors import InvalidRequest
from swapjobs.contract.urls import Target, check_callback_url, target_of

# what attacks on parsers are made of
_WORDS = "http https :// // a example 127.0.0.1 127 0x7f 0177 1 0 ::1 ::ffff: localhost user 80 %2f %00 %40 xn--"
_SIGNS = "/\\@:#?.%[]&;,~-_ \t\r\n\0\u3002\uff11\uff0f\u2215\u00df\u0430\ud800\u200b\u00ad\u0130"
PIECES = st.lists(st.sampled_from([*_SIGNS, *_WORDS.split()]), max_size=12).map("".join)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://a.example", Target("https", "a.example", 443, "/")),
        ("HTTP://A.Example.:8080?b=c#d", Target("http", "a.example", 8080, "/?b=c")),
        ("http://[::1]:81/x", Target("http", "::1", 81, "/x")),
        ("http://[2001:DB8:0:0::1]/", Target("http", "2001:db8::1", 80, "/")),
        ("http://my_service:8000/hook", Target("http", "my_service", 8000, "/hook")),
        ("http://1.2.3.4.example/", Target("http", "1.2.3.4.example", 80, "/")),
        ("http://\uff11\uff12\uff17.0.0.1/", Target("http", "127.0.0.1", 80, "/")),
        ("https://a.example:/", Target("https", "a.example", 443, "/")),
        (f"https://{'a.' * 126}b/", Target("https", f"{'a.' * 126}b", 443, "/")),
    ],
)
def test_a_url_is_taken_apart(url: str, target: Target) -> None:
    assert target_of(url) == target


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "must begin with http:// or https://"),
        ("ftp://a.example", "must begin with http:// or https://"),
        ("http://", "has no host name"),
        ("http:///a.example", "has no host name"),
        ("http://a b.example", "holds white space, control characters or a backslash; percent-encode them"),
        ("http://a\\b.example", "holds white space, control characters or a backslash; percent-encode them"),
        ("http://me:secret@a.example", "must not carry credentials (user:password@)"),
        ("http://a.example:port", "is not a URL: after the host only :port may come"),
        ("http://a.example:0", "has no possible port: it must be 1 to 65535"),
        ("http://a.example:65536", "has no possible port: it must be 1 to 65535"),
        ("http://a..example", "has no valid host name: labels of 1 to 63 letters, digits, - and _, with dots between"),
        (f"http://{'a.' * 127}b", "has a host name of more than 253 characters"),
        ("http://0177.0.0.1", "has no valid IPv4 address: four decimal numbers without leading zeros"),
        ("http://1.2.3", "has no valid IPv4 address: four decimal numbers without leading zeros"),
        ("http://[::1%25eth0]", "has no IPv6 address between its brackets (zones are not allowed)"),
        ("http://\U0001f600.example", "has no valid international host name"),
    ],
)
def test_a_url_that_could_never_be_called_is_refused_when_it_is_submitted(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        check_callback_url(url)
    assert str(caught.value) == reason
    with pytest.raises(InvalidRequest, match=r"^callback_url: ") as refused:
        SwapRequest.parse({"source_url": "http://a.example", "target_url": "http://a.example", "callback_url": url})
    assert refused.value.field == "callback_url"
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/hook", "http://localhost/", "https://10.0.0.1:22/"])
def test_whether_an_address_may_be_called_is_not_said_when_it_is_submitted(url: str) -> None:
    """That is for the worker's settings."""
    request = SwapRequest(source_url="http://a.example", target_url="http://a.example", callback_url=url)
    assert request.callback_url == url


def plainly(host: str) -> str:
    """Return a host without its final dot, an IPv6 address in its shortest form."""
    return str(ipaddress.ip_address(host)) if ":" in host else host.removesuffix(".")


@given(st.sampled_from(["http://", "https://", ""]), PIECES)
def test_what_is_let_pass_is_read_alike_by_others(scheme: str, rest: str) -> None:
    """By the standard library and by httpx; a host that looks like an address in any way is one, written plainly."""
    try:
        target = target_of(scheme + rest)
    except ValueError:
        return
    assert target.host.isascii()
    assert target.encoded.startswith(b"/")
    assert not set(target.encoded) & set(b" \t\r\n\0\\#")
    with contextlib.suppress(httpx.InvalidURL):  # it knows fewer international names
        assert plainly(httpx.URL(scheme + rest).raw_host.decode("ascii")) == target.host
    assert urlsplit(scheme + rest).port in {None, target.port}
    last = target.host.rpartition(".")[2]
    if ":" in target.host or last.isdigit() or last.startswith("0x"):
        assert str(ipaddress.ip_address(target.host)) == target.host


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/x",
        "HTTPS://A.example:443",
        "https://a.example./y?z",
        "https://\uff41.example",
        "http://a.example:80",
    ],
)
def test_all_ways_to_write_a_host_are_one_site(url: str) -> None:
    assert target_of(url).site == "a.example"


def test_another_port_is_another_site() -> None:
    assert target_of("https://a.example:8443/x").site == "a.example:8443"
