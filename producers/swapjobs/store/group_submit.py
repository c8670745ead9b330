"""Several submits in one call: each gets its own outcome, its own error and its own record back.

That is what a group commit is to a database: the callers don't know of one another, so nothing that is wrong with one
of them may reach the others. `JobStore.submit` is for the many jobs of one caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import redis

from swapjobs.contract.errors import QueueFull, QueueUnavailable, SwapjobsError
from swapjobs.contract.signed_urls import until_of
from swapjobs.store import keys, record
from swapjobs.store.durability import on_disk
from swapjobs.store.redis_client import REDIS_AWAY
from swapjobs.tracing import NOWHERE, JobOrigin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.client import Pipeline

    from swapjobs.contract.request import Request
    from swapjobs.store.functions import Functions
    from swapjobs.store.jobs import JobStore
    from swapjobs.store.record import Record


@dataclass(frozen=True, slots=True)
class Packed:
    """One caller's job, as it goes to Redis."""

    request: Request
    id: str
    args: list[str]


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of it: created, existing, conflict or closed; without a record where the batch takes no more."""

    outcome: str
    record: Record | None


def pack(request: Request, origin: JobOrigin = NOWHERE) -> Packed:
    """Return a job as `GroupSubmit` takes it: made by each caller, so that what goes wrong here is that one's alone."""
    (id_,), args = record.packed([request], until_of, [origin])
    return Packed(request, id_, args)


class GroupSubmit:
    """Accepts jobs of several callers in one round trip."""

    def __init__(self, client: redis.Redis, functions: Functions, jobs: JobStore) -> None:
        self._redis = client
        self._functions = functions
        self._jobs = jobs

    def one(self, packed: Packed, *, durably: bool = False) -> Submitted:
        """Accept one job.

        Raises:
            QueueFull: Redis is at its memory limit.
            QueueUnavailable: `durably`, and it was accepted but is not known to be on disk.
            JobNotFound: it was there before, and is gone; `JobGone` when its record has expired.
            redis.RedisError: Redis did not do it, or that is not known.
        """
        (result,) = self.each([packed], durably=durably)
        if isinstance(result, Exception):
            raise result
        return result

    def each(self, packed: Sequence[Packed], *, durably: bool = False) -> list[Submitted | Exception]:
        """Accept the jobs; return for each what became of it, or what `one` would raise.

        Raises:
            redis.RedisError: Redis did none of it, or that is not known.
        """
        try:
            outcomes, replies, lost = self._call(packed, durably=durably)
        except redis.ResponseError as error:
            if len(packed) == 1 or isinstance(error, REDIS_AWAY):
                raise
            # One of them stumbles over what lies in Redis under its keys: the others are not to pay for that.
            return [self._alone(item, durably=durably) for item in packed]
        return [
            self._result(item, outcome, reply, lost)
            for item, outcome, reply in zip(packed, outcomes, replies, strict=True)
        ]

    def _alone(self, item: Packed, *, durably: bool) -> Submitted | Exception:
        try:
            (outcome,), (reply,), lost = self._call([item], durably=durably)
        except redis.RedisError as error:
            return error
        return self._result(item, outcome, reply, lost)

    def _call(self, packed: Sequence[Packed], *, durably: bool) -> tuple[list[str], list[Any], str]:
        """Return the outcomes, what Redis says of each record, and why it is not known to be on disk, if it isn't."""

        def queue(pipe: Pipeline) -> None:
            self._functions.queue(pipe, "jobs/submit", [text for item in packed for text in item.args])
            for item in packed:
                pipe.get(keys.job(item.id))

        def call() -> tuple[list[Any], str]:
            if durably:
                return on_disk(self._redis, queue)
            with self._redis.pipeline(transaction=False) as pipe:
                queue(pipe)
                # Not raised by redis-py, which would put the arguments into the error's text: URLs, with signatures.
                replies = pipe.execute(raise_on_error=False)
            if isinstance(replies[0], redis.RedisError):
                raise replies[0]
            return replies, ""

        (outcomes, *replies), lost = self._functions.with_library(call)
        return outcomes, replies, lost

    def _result(self, item: Packed, outcome: str, reply: Any, lost: str) -> Submitted | Exception:
        if lost:
            return QueueUnavailable(f"job {item.id} was {lost}")
        if outcome == "full":
            return QueueFull()
        if isinstance(reply, redis.RedisError):
            return reply
        try:
            if outcome == "existing" and self._jobs.renew_urls(item.id, reply, item.request):
                return Submitted(outcome, self._jobs.get(item.id))
        except (redis.RedisError, SwapjobsError) as error:
            return error
        return Submitted(outcome, record.unpack(item.id, reply) if reply else None)
