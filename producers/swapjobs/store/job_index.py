"""Lists of jobs, newest first, by a stream for each tenant and each batch (`keys.index`).

Filters look at a bounded number of jobs for each page, so that a page costs some ten milliseconds at most, whatever is
asked for: one with a rare filter may be empty, and its cursor goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.job import job_id
from swapjobs.contract.page import JobPage
from swapjobs.store import keys, record

if TYPE_CHECKING:
    from datetime import datetime

    import redis

    from swapjobs.contract.filters import JobQuery

LOOKED_AT: Final = 1000  # entries for one page
_BLOCK: Final = 200  # entries looked at in one round trip


def page(client: redis.Redis, query: JobQuery) -> JobPage:
    """Return one page of jobs.

    Raises:
        InvalidRequest: something of the query is not valid.
    """
    query.check()
    if query.business_task_id is not None:
        return _the_one(client, query, job_id(query.tenant, query.business_task_id))
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
    jobs = [item.to_job() for item in _records(client, chosen)]
    return JobPage(jobs=jobs, next_cursor=last if more else None)


def _the_one(client: redis.Redis, query: JobQuery, id_: str) -> JobPage:
    """Return the job of a business id, which needs no index: its id is a function of it."""
    jobs = [item.to_job() for item in _records(client, [id_])]
    after, before = query.created_after, query.created_before
    return JobPage(
        jobs=[
            job
            for job in jobs
            if query.fits(job.state, job.error.code if job.error else None)
            and query.batch_id in {None, job.batch_id}
            and (after is None or job.created_at >= after)
            and (before is None or job.created_at <= before)
        ]
    )


def _entries(client: redis.Redis, query: JobQuery, newest: str, oldest: str) -> list[tuple[str, str]]:
    rows: Any = client.xrevrange(keys.index(query.tenant, query.batch_id or ""), newest, oldest, count=_BLOCK)
    return [(entry, fields["j"]) for entry, fields in rows]


def _fitting(client: redis.Redis, query: JobQuery, entries: list[tuple[str, str]]) -> list[bool]:
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
        replies = pipe.execute()
    halves = zip(ids, replies[::2], replies[1::2], strict=True)
    return [record.unpack(id_, fields, history) for id_, fields, history in halves if fields and history]


def _ms(time: datetime | None, otherwise: str) -> str:
    return str(max(int(time.timestamp() * 1000), 0)) if time else otherwise
