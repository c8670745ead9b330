"""Finished failures: found by batch, error code or tenant, and retried.

There is no index of them, so that no job costs a byte more; all records are looked through instead. That takes
seconds for 100,000 jobs, which an operator can wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.errors import ErrorCode, InvalidRequest
from swapjobs.contract.lifecycle import MOVES, Event, JobState
from swapjobs.store import keys, record

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from swapjobs.store.jobs import JobStore

RETRYABLE: Final = MOVES[Event.RETRY][0]
_KEYS_LOOKED_AT: Final = 1000  # by one SCAN; about a third of them are records
_BLOCK: Final = 25  # retried by one script, for whose 2 ms or so everybody else waits


@dataclass(frozen=True, slots=True)
class Chosen:
    """The jobs meant: everything that is given holds for them."""

    states: frozenset[JobState]
    batch_id: str | None
    error_code: ErrorCode | None
    tenant: str | None

    def fits(self, job: record.Record) -> bool:
        """Tell whether the job is meant, of whose record the state and the history were read."""
        if self.batch_id is not None and job.batch_id != self.batch_id:
            return False
        return self.error_code is None or (job.error is not None and job.error.code is self.error_code)


def choose(
    *, batch_id: str | None, error_code: str | None, tenant: str | None, states: Collection[JobState] | None
) -> Chosen:
    """Return the checked choice; without `states` the failed jobs, or the expired ones for the code `expired`.

    Raises:
        InvalidRequest: no criterion is given, or one that can fit no job.
    """
    if batch_id is None and error_code is None and tenant is None:
        raise InvalidRequest("give a batch_id, an error_code or a tenant: all failures at once is hardly meant")
    if error_code is not None and error_code not in set(ErrorCode):
        raise InvalidRequest(f"error_code: must be one of {', '.join(ErrorCode)}", field="error_code")
    if states is None:
        states = {JobState.EXPIRED if error_code == ErrorCode.EXPIRED else JobState.FAILED}
    if not RETRYABLE.issuperset(states):
        raise InvalidRequest(f"states: must be of {', '.join(sorted(RETRYABLE))}", field="states")
    return Chosen(frozenset(states), batch_id, ErrorCode(error_code) if error_code is not None else None, tenant)


def retry_chosen(store: JobStore, chosen: Chosen) -> Iterator[list[str]]:
    """Retry the jobs that had ended when this began, block after block; yield the ids of those put back in line.

    None is retried twice: SCAN may show a record twice, but then its job has no end any more, or a later one.
    """
    seconds, microseconds = store.redis.time()
    until_ms = seconds * 1000 + microseconds // 1000
    cursor: Any = None
    while cursor != 0:
        cursor, found = store.redis.scan(cursor or 0, match=keys.job("*"), count=_KEYS_LOOKED_AT)
        ids = list(dict.fromkeys(str(key).removeprefix(keys.job("")) for key in found))
        # All of this page before the next is read: see above.
        fitting = iter(_fitting(store, ids, chosen, until_ms))
        while block := list(islice(fitting, _BLOCK)):
            yield [id_ for id_, answer in zip(block, store.retry(block), strict=True) if answer == "ok"]


def _fitting(store: JobStore, ids: list[str], chosen: Chosen, until_ms: int) -> list[str]:
    """Return those of `ids` that are meant: first by what is small, the histories only where that fits."""
    with store.redis.pipeline(transaction=False) as pipe:
        for id_ in ids:
            pipe.hmget(keys.job(id_), ["state", "tenant", "finished_at", "batch"])
        rows = zip(ids, pipe.execute(), strict=True)
    found = {
        id_: {"state": state, "batch": batch}
        for id_, (state, tenant, finished_at, batch) in rows
        if state in chosen.states and int(finished_at or 0) <= until_ms and chosen.tenant in {None, tenant}
    }
    if chosen.batch_id is None and chosen.error_code is None:
        return list(found)
    with store.redis.pipeline(transaction=False) as pipe:
        for id_ in found:
            pipe.get(keys.history(id_))
        histories = zip(found.items(), pipe.execute(), strict=True)
    return [id_ for (id_, fields), history in histories if history and chosen.fits(record.unpack(id_, fields, history))]
