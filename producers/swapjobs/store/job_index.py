"""Lists of jobs, newest first, by a stream for each tenant and each batch (`keys.index`).

Filters look at a bounded number of jobs for each page, so that a page costs some ten milliseconds at most, whatever is
asked for: one with a rare filter may be empty, and its cursor goes on. The jobs of all tenants are merged from their
streams; of most of these only the newest entry is read.
"""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.job import job_id
from swapjobs.contract.page import JobPage
from swapjobs.store import keys, record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    import redis

    from swapjobs.contract.filters import JobQuery
    from swapjobs.contract.job import Job

LOOKED_AT: Final = 1000  # entries for one page
_BLOCK: Final = 200  # entries looked at in one round trip
_PIPELINED: Final = 500  # commands in one round trip
_SMALL_STEP: Final = 10

# Where an entry stands among those of all tenants: minus its time in ms, minus its number in that, the tenant; and the
# job's id. The smallest is the newest.
_Entry = tuple[int, int, str, str]


def page(client: redis.Redis, query: JobQuery) -> JobPage:
    """Return one page of jobs.

    Raises:
        InvalidRequest: something of the query is not valid.
    """
    query.check()
    if query.business_task_id is not None and query.tenant is not None:
        return _the_one(client, query, job_id(query.tenant, query.business_task_id))
    entries = _entries(client, query)
    chosen: list[str] = []
    looked, last = 0, None
    while looked < LOOKED_AT and len(chosen) < query.limit:
        block = list(islice(entries, _BLOCK if query.is_selective else query.limit))
        if not block:
            last = None
            break
        for entry, fits in zip(block, _fitting(client, query, block), strict=True):
            last, looked = entry, looked + 1
            if fits:
                chosen.append(entry[3])
                if len(chosen) == query.limit:
                    break
    is_last = last is None or (last == block[-1] and next(entries, None) is None)
    return JobPage(jobs=read(client, chosen), next_cursor=None if is_last or last is None else _cursor(query, last))


def read(client: redis.Redis, ids: Sequence[str]) -> list[Job]:
    """Return those of these jobs that have records, in this order."""
    return [item.to_job() for item in _records(client, ids)]


def _the_one(client: redis.Redis, query: JobQuery, id_: str) -> JobPage:
    """Return the job of a business id, which needs no index: its id is a function of it."""
    jobs = read(client, [id_])
    after, before = query.created_after, query.created_before
    return JobPage(
        jobs=[
            job
            for job in jobs
            if query.fits(job.state, job.error.code if job.error else None, job.tool)
            and query.batch_id in {None, job.batch_id}
            and (after is None or job.created_at >= after)
            and (before is None or job.created_at <= before)
        ]
    )


def _entries(client: redis.Redis, query: JobQuery) -> Iterator[_Entry]:
    """Yield what stands in the index, newest first, from the cursor on; it is read as it is needed."""
    size = _BLOCK if query.is_selective else query.limit
    if query.tenant is not None:
        return _stream(client, query, query.tenant, [], size)
    tenants = [str(name) for name in client.smembers(keys.listed_tenants())]
    heads = _read_ahead(client, query, tenants, 1)
    with_some = [name for name in tenants if heads[name]]
    # A page holds entries of no other tenants than these. They may be all of one, or some of each: two of each and more
    # are read at once, and what goes on beyond that in small steps.
    wanted = LOOKED_AT if query.is_selective else query.limit
    newest = heapq.nsmallest(wanted, with_some, key=lambda name: heads[name][0])
    for_each = 2 * wanted // max(len(newest), 1) + 2
    heads |= _read_ahead(client, query, newest, min(for_each, size))
    step = min(size, max(for_each, _SMALL_STEP))
    return heapq.merge(*(_stream(client, query, name, heads[name], step) for name in with_some))


def _stream(client: redis.Redis, query: JobQuery, tenant: str, first: list[_Entry], size: int) -> Iterator[_Entry]:
    """Yield the entries of one tenant, or of its batch; `first` were read before."""
    newest, oldest = _range(query, tenant)
    entries, is_last = first, False
    while True:
        yield from entries
        if is_last:
            return
        if entries:
            newest = f"({-entries[-1][0]}-{-entries[-1][1]}"
        rows: Any = client.xrevrange(keys.index(tenant, query.batch_id or ""), newest, oldest, count=size)
        entries, is_last = _parsed(tenant, rows), len(rows) < size


def _read_ahead(client: redis.Redis, query: JobQuery, tenants: list[str], number: int) -> dict[str, list[_Entry]]:
    """Return the first entries of many tenants."""
    answers: list[Any] = []
    for start in range(0, len(tenants), _PIPELINED):
        with client.pipeline(transaction=False) as pipe:
            for tenant in tenants[start : start + _PIPELINED]:
                pipe.xrevrange(keys.index(tenant), *_range(query, tenant), count=number)
            answers += pipe.execute()
    return {tenant: _parsed(tenant, rows) for tenant, rows in zip(tenants, answers, strict=True)}


def _range(query: JobQuery, tenant: str) -> tuple[str, str]:
    """Return from which entry of a tenant on, and down to which, the query goes."""
    newest, oldest = _ms(query.created_before, "+"), _ms(query.created_after, "-")
    if query.cursor is not None:
        entry, _, of = query.cursor.partition("~")
        # a cursor of another range does not lead out of this one
        if newest == "+" or int(entry.split("-")[0]) <= int(newest):
            newest = entry if of and tenant > of else f"({entry}"
    return newest, oldest


def _parsed(tenant: str, rows: Any) -> list[_Entry]:
    places = [(entry.split("-"), fields["j"]) for entry, fields in rows]
    return [(-int(ms), -int(number), tenant, id_) for (ms, number), id_ in places]


def _cursor(query: JobQuery, entry: _Entry) -> str:
    ms, number, tenant, _ = entry
    return f"{-ms}-{-number}" + ("" if query.tenant is not None else f"~{tenant}")


def _fitting(client: redis.Redis, query: JobQuery, entries: list[_Entry]) -> list[bool]:
    """Look at the fields only. An entry of a job that is gone is not that of the next one with its id."""
    with client.pipeline(transaction=False) as pipe:
        for *_, id_ in entries:
            pipe.get(keys.job(id_))
        texts = pipe.execute()
    return [
        text is not None and _fits(query, entry, record.fields_of(text))
        for entry, text in zip(entries, texts, strict=True)
    ]


def _fits(query: JobQuery, entry: _Entry, fields: Mapping[str, str]) -> bool:
    return (
        str(-entry[0]) == fields.get("listed_at", fields["created_at"])
        and query.batch_id in {None, fields.get("batch")}
        and query.fits(fields["state"], fields.get("code"), fields.get("tool"))
    )


def _records(client: redis.Redis, ids: Sequence[str]) -> list[record.Record]:
    texts: Any = client.mget([keys.job(id_) for id_ in ids]) if ids else []
    return [record.unpack(id_, text) for id_, text in zip(ids, texts, strict=True) if text]


def _ms(time: datetime | None, otherwise: str) -> str:
    return str(max(int(time.timestamp() * 1000), 0)) if time else otherwise
