r"""URLs that we call ourselves: taken apart in one way only, where they are submitted and where they are called.

Parsers differ in what they make of `http://a\@b`, `http://0177.1` or a full-width digit, and an attack lives in the
gap between the one that checks and the one that connects. So there is one parser, strict: a host is a plain IP address
or a name of letters, digits, `-` and `_`, and what is written in any other way is refused instead of mended. Whether an
address may be called is not said here: that is known when it is looked up (`swapworker.delivery.address_guard`).
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from pydantic import AfterValidator

from swapjobs.contract.fetched_urls import Url

MAX_HOST_LENGTH: Final = 253  # DNS
_PORTS: Final = {"http": 80, "https": 443}
_HIGHEST_PORT: Final = 65_535
# White space, both ranges of control characters, halves of surrogate pairs; and what browsers take for a slash.
_UNSAFE: Final = re.compile("[\x00-\x20\x7f-\xa0\ud800-\udfff\\\\]")
_URL: Final = re.compile(r"(https?)://([^/?#]*)([^?#]*)((?:\?[^#]*)?)(?:#.*)?", re.IGNORECASE)
_AUTHORITY: Final = re.compile(r"(\[[^\[\]@]*\]|[^\[\]:@]*)(?::([0-9]*))?")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")  # by which resolvers tell an IPv4 address from a name
# Query parameters of presigned URLs (S3, GCS, Azure, CloudFront, Aliyun OSS, Tencent COS): they change with every
# signing of the same picture, so they are no part of what is asked for.
_SIGNATURE_PARAMETER: Final = re.compile(
    r"^(x-amz-|x-goog-|x-oss-|q-)|^(signature|expires|awsaccesskeyid|googleaccessid|ossaccesskeyid|security-token"
    r"|policy|key-pair-id|sig|se|sp|sv|sr|st|spr|skoid|sktid|skt|ske|sks|skv)$",
    re.IGNORECASE,
)
_KEPT: Final = "/?%:@!$&'()*+,;=-._~[]"  # not percent-encoded


class Target(NamedTuple):
    """A URL's parts: the host in ASCII, without brackets and final dot; path with query, neither encoded anew."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def encoded(self) -> bytes:
        """Path and query as a request has them, percent-encoded."""
        return quote(self.path, safe=_KEPT).encode("ascii")

    @property
    def site(self) -> str:
        """The host, with its port where that is not the usual one: one text for all ways to write it."""
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"


def target_of(url: str) -> Target:
    """Return the parts of an http or https URL.

    Raises:
        ValueError: it is none, or is written in a way that not everybody reads alike; the text does not repeat it.
    """
    if _UNSAFE.search(url):
        raise ValueError("holds white space, control characters or a backslash; percent-encode them")
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError("must begin with http:// or https://")
    scheme, authority, path, query = match.groups()
    if "@" in authority:
        raise ValueError("must not carry credentials (user:password@)")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise ValueError("is not a URL: after the host only :port may come")
    scheme = scheme.lower()
    host, port = _host(parts[1]), int((parts[2] or "")[:6] or _PORTS[scheme])
    if not 0 < port <= _HIGHEST_PORT:
        raise ValueError(f"has no possible port: it must be 1 to {_HIGHEST_PORT}")
    return Target(scheme, host, port, (path or "/") + query)


def check_callback_url(url: str) -> None:
    """Check what can be said of a URL to be called, without looking it up.

    Raises:
        ValueError: it could never be called; the text says why and does not repeat it.
    """
    target_of(url)


def _checked(url: str) -> str:
    check_callback_url(url)
    return url


CallbackUrl = Annotated[Url, AfterValidator(_checked)]


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            return str(ipaddress.IPv6Address("" if "%" in text else text[1:-1]))
        except ValueError:
            raise ValueError("has no IPv6 address between its brackets (zones are not allowed)") from None
    if len(text) > MAX_HOST_LENGTH + 1:
        raise ValueError(f"has a host name of more than {MAX_HOST_LENGTH} characters")
    host = _ascii(text).lower().removesuffix(".")
    if not host:
        raise ValueError("has no host name")
    labels = host.split(".")
    if len(host) > MAX_HOST_LENGTH or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("has no valid host name: labels of 1 to 63 letters, digits, - and _, with dots between")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise ValueError("has no valid IPv4 address: four decimal numbers without leading zeros") from None
    return host


def _ascii(host: str) -> str:
    """Return an internationalised name as DNS has it (IDNA 2008, as browsers do)."""
    if host.isascii():
        return host
    import idna  # noqa: PLC0415 - few need it, and its tables take some milliseconds

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except UnicodeError:
        raise ValueError("has no valid international host name") from None


def is_loopback(host: str) -> bool:
    """Whether a host's name or address means this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def without_signature(url: str) -> str:
    """Return a presigned URL without the parameters that change with every signing of the same picture."""
    if "?" not in url:
        return url
    parts = urlsplit(url)
    unsigned = [
        pair for pair in parse_qsl(parts.query, keep_blank_values=True) if not _SIGNATURE_PARAMETER.match(pair[0])
    ]
    return urlunsplit(parts._replace(query=urlencode(unsigned)))
