"""BatchStore: the atomic operations on batches, and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

from swapjobs.contract.errors import BatchNotFound, QueueFull
from swapjobs.contract.job import Submission
from swapjobs.store import keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis

    from swapjobs.store.functions import Scripts

Command = Literal["close", "pause", "resume", "cancel", "retry"]
Fields = dict[str, str]


class BatchStore:
    """The batches in one Redis; a part of `JobStore`."""

    redis: redis.Redis
    _scripts: Scripts

    def open_batch(self, tenant: str, batch_id: str, callback_url: str = "") -> None:
        """Make the batch, unless it is there; a `callback_url` takes the place of the one it had.

        Raises:
            QueueFull: Redis is at its memory limit.
        """
        if self._scripts.run("open_batch", tenant, batch_id, callback_url) == "full":
            raise QueueFull

    def steer_batch(self, tenant: str, batch_id: str, command: Command, error_code: str = "") -> None:
        """Do what can be done at once, and begin the rest.

        Raises:
            BatchNotFound: there is no such batch.
        """
        if self._scripts.run("steer_batch", tenant, batch_id, command, error_code) == "gone":
            raise _not_found(tenant, batch_id)

    def step_batch(self, tenant: str, batch_id: str) -> str:
        """Go on with what was begun; return `more`, `done`, or `full`: nothing can be retried now."""
        return str(self._scripts.run("step_batch", tenant, batch_id))

    def batch(self, tenant: str, batch_id: str) -> Fields:
        """Return a batch as it lies in Redis, with the time as `as_of`.

        Raises:
            BatchNotFound: there is no such batch.
        """
        (fields,) = self._batches(tenant, [batch_id]) or [{}]
        if not fields:
            raise _not_found(tenant, batch_id)
        return fields

    def batches(self, tenant: str, after: tuple[int, str] | None, limit: int) -> list[tuple[str, int, Fields]]:
        """Return id, creation time and fields of batches, newest first; `after` is the last one of the page before.

        It may be gone by now. The fields are empty where a batch is gone and not taken out of the list yet.
        """
        key, start = keys.batches(tenant), 0
        if after:
            created_ms, batch_id = after
            same_ms: Any = self.redis.zrangebyscore(key, created_ms, created_ms)
            later: Any = self.redis.zcount(key, f"({created_ms}", "+inf")
            start = later + sum(each >= batch_id for each in same_ms)
        rows: Any = self.redis.zrevrange(key, start, start + limit - 1, withscores=True)
        ids = [str(id_) for id_, _ in rows]
        return [
            (id_, int(created), fields) for (id_, created), fields in zip(rows, self._batches(tenant, ids), strict=True)
        ]

    def _batches(self, tenant: str, batch_ids: Sequence[str]) -> list[Fields]:
        with self.redis.pipeline(transaction=False) as pipe:
            pipe.time()
            for batch_id in batch_ids:
                pipe.hgetall(keys.batch(tenant, batch_id))
            (seconds, microseconds), *found = pipe.execute()
        now = str(seconds * 1000 + microseconds // 1000)
        return [{**fields, "as_of": now} if "created_at" in fields else {} for fields in found]


def submission(id_: str, told: str) -> Submission:
    """Return what became of a request, of which submit.lua told this."""
    if told == "closed":
        return Submission(id=None, outcome="invalid", error="batch_id: this batch is closed, it takes no more jobs")
    return Submission(id=id_, outcome=cast("Any", told))


def _not_found(tenant: str, batch_id: str) -> BatchNotFound:
    return BatchNotFound(f"tenant {tenant!a} has no batch {batch_id!a}")
