"""The URL of the finished picture: what can be mended of it is mended, for it was paid for. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, Final
from urllib.parse import quote

from swapjobs.contract.fetched_urls import UNPRINTABLE, check_url

MAX_LENGTH: Final = 8192  # of a URL, and of what is kept of one that can't be used
_DROPPED: Final = re.compile("[\t\r\n]")  # as browsers do (WHATWG URL, "basic URL parser")
_AROUND: Final = "".join(map(chr, range(0x21))) + "\xa0\ufeff"  # the same, and what is as invisible


def picture_url(value: Any, site: str) -> str:
    """Return the picture's URL made of what the vendor sent.

    `//host/path` is read as https, `/path` against `site` (scheme and host of the vendor's API); what no URL may hold
    is percent-encoded, as a browser does. Everything else stays byte for byte as it is: it may be signed.

    Raises:
        ValueError: it is no http or https URL even so; the text says why and quotes nothing.
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str):
        what = _KINDS.get(type(value), "no text")
        raise ValueError(f"is {what}, where a URL was expected")  # noqa: TRY004 - the vendor's value, not our caller's
    url = UNPRINTABLE.sub(_encoded, _DROPPED.sub("", value.strip(_AROUND)))
    if url.startswith("//"):
        url = f"https:{url}"
    elif url.startswith("/") and site:
        url = site + url
    return check_url(url, MAX_LENGTH)


def as_it_came(value: Any) -> str:
    """Return what the vendor sent, for the user's eyes: a text as it is, else as JSON, cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 1]}…"


_KINDS: Final = {dict: "an object", list: "a list", int: "a number", float: "a number", bool: "true"}


def _encoded(match: re.Match[str]) -> str:
    return quote(match[0].encode("utf-8", "replace"))
