"""Presigned URLs live shorter than a queue may be long: the same pictures signed anew, and those that are dead already.

A job that is submitted again with fresh URLs takes them, as long as it has no picture; one whose URLs are past their
time ends before a call is spent on it.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from swapjobs.contract.errors import IdempotencyConflict
from swapjobs.contract.job import SwapRequest
from swapjobs.store import keys, record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from swapjobs.store.jobs import JobStore
    from swapjobs.store.record import Record

PICTURES: Final = ("source_url", "target_url", "second_source_url")
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


def until_of(request: SwapRequest) -> str:
    """Return when the first of the pictures' URLs stops working, as `ms/ISO time`, or "-" where that can't be read."""
    given = request.model_dump(include=set(PICTURES), mode="json") | (request.model_extra or {})
    ends = [end for name in PICTURES if (url := given.get(name)) and (end := signed_until(str(url)))]
    return f"{int(min(ends).timestamp() * 1000)}/{min(ends):%Y-%m-%dT%H:%M:%SZ}" if ends else "-"


def take(store: JobStore, known: Iterable[Sequence[Any]]) -> None:
    """Let jobs that were submitted again have the URLs they came with now, unless they succeeded.

    Args:
        store: Where they lie.
        known: Their ids, and requests with the fingerprints of the old ones.
    """
    pairs = list(known)
    with store.redis.pipeline(transaction=False) as pipe:
        for id_, _ in pairs:
            pipe.get(keys.history(id_))
        histories = pipe.execute() if pairs else []
    for (id_, request), history in zip(pairs, histories, strict=True):
        if history:
            renew(store, id_, history, request)


def taken(store: JobStore, found: Record, urls: Mapping[str, str]) -> str:
    """Give a job the URLs named, `source_url` or `target_url`, and return its id; without any it stays as it is.

    Raises:
        InvalidRequest: a URL is none.
        IdempotencyConflict: it is another picture's.
    """
    if urls:
        request = SwapRequest.parse({**found.request, **urls})
        if request.fingerprint() != found.fields["fingerprint"]:
            raise IdempotencyConflict(f"job {found.id} is about other pictures: submit a new one", job_id=found.id)
        take(store, [(found.id, request)])
    return found.id


def renew(store: JobStore, id_: str, history: str, request: SwapRequest) -> bool:
    """Let one job, whose history was read, have the URLs of `request`; return whether they are others."""
    old = history.split("\n", 1)[0]
    before: dict[str, Any] = json.loads(old)
    now: dict[str, Any] = json.loads(record.pack(request))
    after = before | {name: now[name] for name in PICTURES if name in now}
    if after != before:
        store.renew_urls(id_, old, json.dumps(after, separators=(",", ":"), ensure_ascii=False), until_of(request))
    return after != before
