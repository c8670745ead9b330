"""URLs that the vendor fetches: what may be stored and passed on, and what is mended of it."""

from __future__ import annotations

import re
from typing import Annotated, Final
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, WithJsonSchema

MAX_URL_LENGTH: Final = 8192  # a presigned one with a session token has nearly 3,000
# White space, both ranges of control characters, and halves of surrogate pairs, which no encoding can carry.
UNPRINTABLE: Final = re.compile("[\x00-\x20\x7f-\xa0\ud800-\udfff]")
_BLANKS: Final = " \t\r\n\f"
_NO_BREAKS: Final = dict.fromkeys(map(ord, "\t\r\n"))
_SPACE: Final = re.compile(" ")
_BEYOND_ASCII: Final = re.compile("[^\x00-\x7f]+")
_HEAD: Final = re.compile(r"[^/?#]*//[^/?#]*")  # scheme and host
# What nearly all URLs look like: taken at once, as urlsplit was half of what a bulk submit cost. It lets nothing pass
# that the slow way would refuse.
_PLAIN: Final = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,4})?(?:[/?#][!-~]*)?")


def check_url(value: str, max_length: int = MAX_URL_LENGTH) -> str:
    """Return `value` if it is an http or https URL that may be stored and passed on.

    Blanks around it and line breaks in it are dropped, blanks behind the host percent-encoded, as browsers do (WHATWG
    URL Standard); all else stays as it is. One of the vendor's own examples holds a raw space.

    Raises:
        ValueError: too long, another scheme, no host, credentials in it, or control characters.
    """
    if len(value) <= max_length and _PLAIN.fullmatch(value):
        return value
    value = _tidied(value)
    if len(value) > max_length:
        raise ValueError(f"is {len(value)} characters long; at most {max_length} are allowed")
    if _PLAIN.fullmatch(value):
        return value
    if UNPRINTABLE.search(value):
        raise ValueError("holds white space or control characters; percent-encode them")
    try:
        parts = urlsplit(value)
        has_host = bool(parts.hostname)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"is not a URL: {error}") from None
    if parts.scheme not in {"http", "https"}:
        raise ValueError("must begin with http:// or https://")
    if not has_host:
        raise ValueError("has no host name")
    if "@" in parts.netloc:
        raise ValueError("must not carry credentials (user:password@)")
    return value


def _tidied(value: str) -> str:
    value = value.strip(_BLANKS).translate(_NO_BREAKS)
    return _encoded(value, _SPACE) if " " in value else value


def _encoded(value: str, what: re.Pattern[str]) -> str:
    """Return the URL with what stands behind its host percent-encoded."""
    head = _HEAD.match(value)
    length = len(head[0]) if head else 0
    return value[:length] + what.sub(lambda match: quote(match[0]), value[length:])


def in_ascii(url: str) -> str:
    """Return a URL as the vendor gets it: what it makes of letters beyond ASCII is not known, so they are encoded."""
    return url if url.isascii() else _encoded(url, _BEYOND_ASCII)


Url = Annotated[str, AfterValidator(check_url), WithJsonSchema({"type": "string", "format": "uri"})]
