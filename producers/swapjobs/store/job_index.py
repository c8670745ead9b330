"""Lists of jobs, newest first, by a stream for each tenant and each batch (`keys.index`).

Filters look at a bounded number of jobs for each page, so that a page costs some ten milliseconds at most, whatever is
asked for: one with a rare filter may be empty, and its cursor goes on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypedDict

from pydantic import TypeAdapter, ValidationError

from swapjobs.contract.errors import ErrorCode, InvalidRequest
from swapjobs.contract.job import Name
from swapjobs.contract.lifecycle import JobState
from swapjobs.contract.views import JobPage
from swapjobs.store import keys, record

if TYPE_CHECKING:
    from datetime import datetime

    import redis

MOST: Final = 500  # jobs of a page
LOOKED_AT: Final = 1000  # entries for one page
_BLOCK: Final = 200  # entries looked at in one round trip
_CURSOR: Final = re.compile(r"[1-9][0-9]{0,14}-[0-9]{1,15}")
_NAME: Final[TypeAdapter[str]] = TypeAdapter(Name)


class Wanted(TypedDict, total=False):
    """What `SwapClient.list` takes; see `Query`."""

    tenant: str
    state: str | None
    batch_id: str | None
    error_code: str | None
    created_after: datetime | None
    created_before: datetime | None
    cursor: str | None
    limit: int


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for: everything that is given holds. Times are inclusive."""

    tenant: str = "default"
    state: str | None = None
    batch_id: str | None = None
    error_code: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    cursor: str | None = None
    limit: int = 50

    def check(self) -> None:
        """Raise InvalidRequest where something can't be meant."""
        for field, name in (("tenant", self.tenant), ("batch_id", self.batch_id)):
            if name is not None and not _is_name(name):
                raise InvalidRequest(f"{field}: must be 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'", field=field)
        for field, value, known in (("state", self.state, JobState), ("error_code", self.error_code, ErrorCode)):
            if value is not None and value not in {str(each) for each in known}:
                raise InvalidRequest(f"{field}: must be one of {', '.join(known)}", field=field)
        for field, time in (("created_after", self.created_after), ("created_before", self.created_before)):
            if time is not None and time.tzinfo is None:
                raise InvalidRequest(f"{field}: must have a time zone, like 2026-01-31T12:00:00Z", field=field)
        if self.cursor is not None and not _CURSOR.fullmatch(self.cursor):
            raise InvalidRequest("cursor: is not one that a page gave as next_cursor", field="cursor")
        if not 1 <= self.limit <= MOST:
            raise InvalidRequest(f"limit: must be from 1 to {MOST}", field="limit")

    def fits(self, state: str, code: str | None) -> bool:
        """Tell whether a job with this state, and this code if it failed, is meant."""
        if self.state is not None and state != self.state:
            return False
        known = {JobState.FAILED: code, JobState.EXPIRED: str(ErrorCode.EXPIRED)}
        return self.error_code is None or known.get(JobState(state)) == self.error_code


def page(client: redis.Redis, query: Query) -> JobPage:
    """Return one page of jobs.

    Raises:
        InvalidRequest: something of the query is not valid.
    """
    query.check()
    newest, oldest = _ms(query.created_before, "+"), _ms(query.created_after, "-")
    if query.cursor is not None:
        # a cursor of another range does not lead out of this one
        newest = f"({query.cursor}" if newest == "+" or int(query.cursor.split("-")[0]) <= int(newest) else newest
    chosen: list[str] = []
    looked, last, more = 0, "", True
    while more and looked < LOOKED_AT and len(chosen) < query.limit:
        entries = _entries(client, query, newest, oldest)
        more = len(entries) == _BLOCK
        for (entry, id_), fits in zip(entries, _fitting(client, query, entries), strict=True):
            last, looked = entry, looked + 1
            if fits:
                chosen.append(id_)
                if len(chosen) == query.limit:
                    more = more or entry != entries[-1][0]
                    break
        newest = f"({last}"
    jobs = [each.to_job() for each in _records(client, chosen)]
    return JobPage(jobs=jobs, next_cursor=last if more else None)


def _entries(client: redis.Redis, query: Query, newest: str, oldest: str) -> list[tuple[str, str]]:
    rows: Any = client.xrevrange(keys.index(query.tenant, query.batch_id or ""), newest, oldest, count=_BLOCK)
    return [(entry, fields["j"]) for entry, fields in rows]


def _fitting(client: redis.Redis, query: Query, entries: list[tuple[str, str]]) -> list[bool]:
    """Look at the small fields only. An entry of a job that is gone is not that of the next one with its id."""
    with client.pipeline(transaction=False) as pipe:
        for _, id_ in entries:
            pipe.hmget(keys.job(id_), ["state", "code", "created_at", "listed_at", "batch"])
        rows = pipe.execute()
    return [
        state is not None
        and entry.partition("-")[0] == (listed_at or created_at)
        and query.batch_id in {None, batch}
        and query.fits(state, code)
        for (entry, _), (state, code, created_at, listed_at, batch) in zip(entries, rows, strict=True)
    ]


def _records(client: redis.Redis, ids: list[str]) -> list[record.Record]:
    with client.pipeline(transaction=True) as pipe:  # a record's two halves are of the same moment
        for id_ in ids:
            pipe.hgetall(keys.job(id_))
            pipe.get(keys.history(id_))
        found = pipe.execute()
    halves = zip(ids, found[::2], found[1::2], strict=True)
    return [record.unpack(id_, fields, history) for id_, fields, history in halves if fields and history]


def _ms(time: datetime | None, otherwise: str) -> str:
    return str(max(int(time.timestamp() * 1000), 0)) if time else otherwise


def _is_name(value: str) -> bool:
    try:
        _NAME.validate_python(value)
    except ValidationError:
        return False
    return True
