"""Accepted means on disk: waits until Redis has written to its append-only file what it was just told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import redis

from swapjobs.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.client import Pipeline

# Shorter than a producer's patience with one command, so that Redis' own answer comes first.
PATIENCE_S: Final = 4.0


def on_disk(client: redis.Redis, queue: Callable[[Pipeline], Any]) -> tuple[list[Any], str]:
    """Do the commands that `queue` puts into a pipeline; return their replies once the first one is on Redis' disk.

    The text beside them is empty; or it says why that is not known, as the end of a sentence that begins with what was
    accepted. One pipeline, so one connection: on another one, opened after a break, Redis would have nothing to wait
    for and say so at once.

    Raises:
        redis.RedisError: the first command was not done, or that is not known. Errors of others are among the replies.
    """
    with client.pipeline(transaction=False) as pipe:
        queue(pipe)
        # A submit that only finds what an earlier one wrote writes nothing, and WAITAOF would not wait for the other's.
        pipe.set(keys.disk(), 1, ex=60)
        pipe.waitaof(1, 0, int(PATIENCE_S * 1000))
        # Not raised by redis-py, which would put the arguments into the error's text: URLs, perhaps with signatures.
        *replies, barrier, waited = pipe.execute(raise_on_error=False)
    if isinstance(replies[0], redis.RedisError):
        raise replies[0]
    for result in (barrier, waited):
        if isinstance(result, redis.RedisError):
            remedy = "CONFIG SET appendonly yes turns the append-only file on; or set SWAPJOBS_SUBMIT_DURABILITY=memory"
            return replies, _unknown(f"Redis says: {result}", remedy)
    if waited[0] < 1:
        remedy = "look at its disk, and at its appendfsync, which must not be no"
        return replies, _unknown(f"Redis did not have it there within {PATIENCE_S:g} s", remedy)
    return replies, ""


def _unknown(why: str, remedy: str) -> str:
    again = "to submit again with the same business_task_id is safe"
    return f"accepted, but not known to be on disk: {why}; {again}; {remedy}"
