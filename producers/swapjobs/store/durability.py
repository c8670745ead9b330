"""Accepted means on disk: waits until Redis has written to its append-only file what it was just told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import redis

from swapjobs.contract.errors import QueueUnavailable
from swapjobs.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.client import Pipeline

# Shorter than a producer's patience with one command, so that Redis' own answer comes first.
PATIENCE_S: Final = 4.0


def on_disk(client: redis.Redis, queue: Callable[[Pipeline], Any], what: str) -> Any:
    """Do the one command that `queue` puts into a pipeline and return its answer once it is on Redis' disk.

    One pipeline, so one connection: on another one, opened after a break, Redis would have nothing to wait for and
    say so at once.

    Raises:
        QueueUnavailable: it was done, but is not known to be on disk; the text calls it `what`.
        redis.RedisError: it was not done, or that is not known.
    """
    with client.pipeline(transaction=False) as pipe:
        queue(pipe)
        # A submit that only finds what an earlier one wrote writes nothing, and WAITAOF would not wait for the other's.
        pipe.set(keys.disk(), 1, ex=60)
        pipe.waitaof(1, 0, int(PATIENCE_S * 1000))
        # Not raised by redis-py, which would put the arguments into the error's text: URLs, perhaps with signatures.
        answer, barrier, waited = pipe.execute(raise_on_error=False)
    if isinstance(answer, redis.RedisError):
        raise answer
    for result in (barrier, waited):
        if isinstance(result, redis.RedisError):
            remedy = "CONFIG SET appendonly yes turns the append-only file on; or set SWAPJOBS_SUBMIT_DURABILITY=memory"
            raise _unknown(what, f"Redis says: {result}", remedy) from None
    if waited[0] < 1:
        remedy = "look at its disk, and at its appendfsync, which must not be no"
        raise _unknown(what, f"Redis did not have it there within {PATIENCE_S:g} s", remedy)
    return answer


def _unknown(what: str, why: str, remedy: str) -> QueueUnavailable:
    again = "to submit again with the same business_task_id is safe"
    return QueueUnavailable(f"{what} accepted, but not known to be on disk: {why}; {again}; {remedy}")
