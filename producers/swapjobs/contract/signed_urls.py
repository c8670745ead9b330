"""Presigned URLs live shorter than a queue may be long: until when a picture can be had, as its signature tells.

A job that is submitted again with fresh URLs takes them, as long as it has no picture; one whose URLs are past their
time ends before a call is spent on it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from swapjobs.contract.request import Request

_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
# Parameters that go with a time in seconds since 1970: without one of them it may mean anything.
_WITH_EPOCH: Final = {
    "expires": {"signature", "awsaccesskeyid", "ossaccesskeyid", "googleaccessid", "key-pair-id"},
    "e": {"token"},
}


def signed_until(url: str) -> datetime | None:
    """Return when a presigned URL stops working; None where that can't be read.

    Sources: AWS Signature V4 query authentication (also Google's and Aliyun's V4), Signature V2 and CloudFront's canned
    policy (`Expires`), Azure's shared access signatures (`se`), Qiniu's download tokens (`e`).
    """
    if "?" not in url:
        return None
    query = {name.lower(): value for name, value in parse_qsl(urlsplit(url).query)}
    ends = [*_by_duration(query), *_by_time(query)]
    return min((end for end in ends if _EARLIEST < end < _LATEST), default=None)


def _by_duration(query: Mapping[str, str]) -> Iterable[datetime]:
    for vendor in ("amz", "goog", "oss"):
        date, seconds = query.get(f"x-{vendor}-date", ""), query.get(f"x-{vendor}-expires", "")
        if re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", date) and re.fullmatch("[0-9]{1,7}", seconds):
            try:
                began = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            except ValueError:
                continue
            yield began + timedelta(seconds=int(seconds))


def _by_time(query: Mapping[str, str]) -> Iterable[datetime]:
    for name, companions in _WITH_EPOCH.items():
        if re.fullmatch("[0-9]{9,10}", query.get(name, "")) and companions & query.keys():
            yield datetime.fromtimestamp(int(query[name]), UTC)
    if "sig" in query and "se" in query:
        try:
            until = datetime.fromisoformat(query["se"])
        except ValueError:
            return
        yield until if until.tzinfo else until.replace(tzinfo=UTC)


def until_of(request: Request) -> str:
    """Return when the first of the pictures' URLs stops working, as `ms/ISO time`, or "-" where that can't be read."""
    ends = [end for url in request.urls() if (end := signed_until(url))]
    return f"{int(min(ends).timestamp() * 1000)}/{min(ends):%Y-%m-%dT%H:%M:%SZ}" if ends else "-"
