"""Finished failures: found by batch, error code or tenant, and retried.

There is no index of them, so that no job costs a byte more; all records are looked through instead. That takes
seconds for 100,000 jobs, which an operator can wait.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from swapjobs.store import keys, record
from swapjobs.store.redis_client import time_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from swapjobs.contract.filters import RetryFilter
    from swapjobs.store.jobs import JobStore

_KEYS_LOOKED_AT: Final = 1000  # by one SCAN; about a third of them are records
_BLOCK: Final = 25  # retried by one function, for whose 2 ms or so everybody else waits


def retry_matching(client: redis.Redis, jobs: JobStore, chosen: RetryFilter) -> Iterator[list[str]]:
    """Retry the jobs that had ended when this began, block after block; yield the ids of those that are queued again.

    None is retried twice: SCAN may show a record twice, but then its job has no end any more, or a later one.
    """
    until_ms = time_ms(client)
    cursor: Any = None
    while cursor != 0:
        cursor, found_keys = client.scan(cursor or 0, match=keys.job("*"), count=_KEYS_LOOKED_AT)
        ids = list(dict.fromkeys(str(key).removeprefix(keys.job("")) for key in found_keys))
        # All of this page before the next is read: see above.
        fitting = iter(_fitting(client, ids, chosen, until_ms))
        while block := list(islice(fitting, _BLOCK)):
            yield [id_ for id_, answer in zip(block, jobs.retry(block), strict=True) if answer == "ok"]


def _fitting(client: redis.Redis, ids: list[str], chosen: RetryFilter, until_ms: int) -> list[str]:
    """Return those of `ids` that are meant: first by what is small, the histories only where that fits."""
    with client.pipeline(transaction=False) as pipe:
        for id_ in ids:
            pipe.hmget(keys.job(id_), ["state", "tenant", "finished_at", "batch"])
        rows = zip(ids, pipe.execute(), strict=True)
    candidates = {
        id_: {"state": state, "batch": batch}
        for id_, (state, tenant, finished_at, batch) in rows
        if state in chosen.states and int(finished_at or 0) <= until_ms and chosen.tenant in {None, tenant}
    }
    if chosen.batch_id is None and chosen.error_code is None:
        return list(candidates)
    with client.pipeline(transaction=False) as pipe:
        for id_ in candidates:
            pipe.get(keys.history(id_))
        histories = zip(candidates.items(), pipe.execute(), strict=True)
    return [
        id_ for (id_, fields), history in histories if history and _fits(record.unpack(id_, fields, history), chosen)
    ]


def _fits(job: record.Record, chosen: RetryFilter) -> bool:
    """Tell whether the job is meant, of whose record the state and the history were read."""
    if chosen.batch_id is not None and job.batch_id != chosen.batch_id:
        return False
    return chosen.error_code is None or (job.error is not None and job.error.code is chosen.error_code)
