"""The batches: the atomic operations on them, and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, cast

from swapjobs.contract.batch import Batch
from swapjobs.contract.errors import BatchNotFound, ErrorCode, QueueFull
from swapjobs.contract.lifecycle import FINAL, JobState
from swapjobs.contract.timestamps import from_ms, time_of
from swapjobs.store import keys

if TYPE_CHECKING:
    import builtins
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import redis

    from swapjobs.store.functions import Functions

RATE_ENDS: Final = 64  # as in lua/shared/batches/counts.lua: the mean is over about so many jobs
Command = Literal["close", "pause", "resume", "cancel", "retry"]
Fields = dict[str, str]


class BatchStore:
    """The batches in one Redis."""

    def __init__(self, client: redis.Redis, functions: Functions) -> None:
        self._redis = client
        self._functions = functions

    def open(self, tenant: str, batch_id: str, callback_url: str = "") -> None:
        """Make the batch, unless it is there; a `callback_url` takes the place of the one it had.

        Raises:
            QueueFull: Redis is at its memory limit.
        """
        if self._functions.call("batches/open", tenant, batch_id, callback_url) == "full":
            raise QueueFull

    def start_operation(self, tenant: str, batch_id: str, command: Command, error_code: str = "") -> None:
        """Do what can be done at once, and begin the rest.

        Raises:
            BatchNotFound: there is no such batch.
        """
        if self._functions.call("batches/start_operation", tenant, batch_id, command, error_code) == "gone":
            raise _not_found(tenant, batch_id)

    def continue_operation(self, tenant: str, batch_id: str) -> str:
        """Go on with what was begun; return `more`, `done`, or `full`: nothing can be retried now."""
        return str(self._functions.call("batches/continue_operation", tenant, batch_id))

    def get(self, tenant: str, batch_id: str) -> Fields:
        """Return a batch as it lies in Redis, with the time as `as_of`.

        Raises:
            BatchNotFound: there is no such batch.
        """
        (fields,) = self._read(tenant, [batch_id]) or [{}]
        if not fields:
            raise _not_found(tenant, batch_id)
        return fields

    def list(self, tenant: str, after: tuple[int, str] | None, limit: int) -> builtins.list[tuple[str, int, Fields]]:
        """Return id, creation time and fields of batches, newest first; `after` is the last one of the page before.

        It may be gone by now. The fields are empty where a batch is gone and not taken out of the list yet.
        """
        key, start = keys.batches(tenant), 0
        if after:
            created_ms, batch_id = after
            same_ms: Any = self._redis.zrangebyscore(key, created_ms, created_ms)
            later: Any = self._redis.zcount(key, f"({created_ms}", "+inf")
            start = later + sum(other >= batch_id for other in same_ms)
        rows: Any = self._redis.zrevrange(key, start, start + limit - 1, withscores=True)
        ids = [str(id_) for id_, _ in rows]
        return [
            (id_, int(created), fields) for (id_, created), fields in zip(rows, self._read(tenant, ids), strict=True)
        ]

    def newest(self, tenants: Sequence[str], limit: int) -> builtins.list[Batch]:
        """Return the newest batches of many tenants, newest first."""
        with self._redis.pipeline(transaction=False) as pipe:
            for tenant in tenants:
                pipe.zrevrange(keys.batches(tenant), 0, limit - 1, withscores=True)
            answers = pipe.execute()
        places = [(ms, tenant, id_) for tenant, rows in zip(tenants, answers, strict=True) for id_, ms in rows]
        newest = sorted(places, reverse=True)[:limit]
        read = ((tenant, str(id_), self._read(tenant, [str(id_)])[0]) for _, tenant, id_ in newest)
        return [batch_of(tenant, id_, fields) for tenant, id_, fields in read if fields]

    def _read(self, tenant: str, batch_ids: Sequence[str]) -> builtins.list[Fields]:
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            for batch_id in batch_ids:
                pipe.hgetall(keys.batch(tenant, batch_id))
            (seconds, microseconds), *rows = pipe.execute()
        now = str(seconds * 1000 + microseconds // 1000)
        return [{**fields, "as_of": now} if "created_at" in fields else {} for fields in rows]


def _not_found(tenant: str, batch_id: str) -> BatchNotFound:
    return BatchNotFound(f"tenant {tenant!a} has no batch {batch_id!a}")


def batch_of(tenant: str, batch_id: str, fields: Mapping[str, str]) -> Batch:
    """Return the batch made of what Redis holds; `fields` may tell the time of reading as `as_of`."""
    counts = {state: int(fields.get(state, 0)) for state in JobState}
    left = sum(number for state, number in counts.items() if state not in FINAL)
    codes = {ErrorCode(name[5:]): int(number) for name, number in fields.items() if name.startswith("code:")}
    codes[ErrorCode.EXPIRED] = counts[JobState.EXPIRED]
    completed, closed = "completed_at" in fields, "closed_at" in fields
    gap_ms = _gap_ms(fields) if left else None
    end_ms = float(fields["as_of"]) + left * gap_ms if gap_ms is not None and "paused" not in fields else None
    return Batch(
        id=batch_id,
        tenant=tenant,
        state="completed" if completed else "closed" if closed else "open",
        paused="paused" in fields,
        operation=cast("Any", None if completed else fields.get("operation")),
        round=int(fields.get("round", 1)),
        total=sum(counts.values()),
        counts=counts,
        errors={code: number for code, number in codes.items() if number > 0},
        rate_per_s=round(1000 / max(gap_ms, 0.001), 3) if gap_ms is not None else None,
        estimated_end=from_ms(end_ms) if end_ms is not None else None,
        callback_url=fields.get("callback_url"),
        created_at=cast("datetime", time_of(fields, "created_at")),
        closed_at=time_of(fields, "closed_at"),
        completed_at=time_of(fields, "completed_at"),
    )


def _gap_ms(fields: Mapping[str, str]) -> float | None:
    """Return the mean time between two ends, as it were if the next job ended now."""
    if "gap" not in fields or "as_of" not in fields:
        return None
    gap = float(fields["gap"])
    since = float(fields["as_of"]) - float(fields.get("last_end", fields["as_of"]))
    gaps = int(fields.get("gaps", RATE_ENDS))
    return gap + max(since - gap, 0) / min(gaps + 1, RATE_ENDS)
