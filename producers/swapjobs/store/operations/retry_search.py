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

_KEYS_LOOKED_AT: Final = 1000  # by one SCAN; nearly all of them are records
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
    """Return those of `ids` that are meant."""
    texts: Any = client.mget([keys.job(id_) for id_ in ids]) if ids else []
    return [id_ for id_, text in zip(ids, texts, strict=True) if text and _fits(id_, text, chosen, until_ms)]


def _fits(id_: str, text: str, chosen: RetryFilter, until_ms: int) -> bool:
    """Tell whether the job of this record is meant: first by its fields, the history is read only where they fit."""
    fields = record.fields_of(text)
    if fields["state"] not in chosen.states or int(fields.get("finished_at", 0)) > until_ms:
        return False
    if chosen.tenant not in {None, fields["tenant"]} or chosen.batch_id not in {None, fields.get("batch")}:
        return False
    if chosen.error_code is None:
        return True
    error = record.unpack(id_, text).error
    return error is not None and error.code is chosen.error_code
