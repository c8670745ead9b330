"""A job's changes as server-sent events."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from swapjobs.contract.errors import JobNotFound, QueueUnavailable
from swapjobs.contract.lifecycle import FINAL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from swapjobs.contract.job import Job
    from swapjobs.gateway.job_watch import Watch

_KEEP_ALIVE_S: Final = 15.0
_RETRY_MS: Final = 2000  # after which a browser connects again
_LOOK_AGAIN_S: Final = 1.0


def version_of(job: Job) -> str:
    """Return what changes whenever the job does; its webhook, which goes on after the end, is left out."""
    return hashlib.blake2b(job.model_dump_json(exclude={"webhook"}).encode(), digest_size=8).hexdigest()


async def changes(job: Job, seen: str, watch: Watch, look: Callable[[], Awaitable[Job]]) -> AsyncGenerator[bytes]:
    """Yield the job as it stands and then each change, until it is final or the gateway ends.

    `seen` is the version that the reader has: it is not told again. `look` gets the job.
    """
    yield f"retry: {_RETRY_MS}\n\n".encode()
    current: Job | None = job
    del job  # the next change is all that matters: a job takes as much memory as the rest of its stream
    while current is not None:
        version, is_over = version_of(current), current.state in FINAL
        if version != seen:
            seen = version
            yield format_sse_event(data_str=current.model_dump_json(), event=str(current.state), id=version)
        if is_over:
            return
        current = None
        while not await watch.changed(_KEEP_ALIVE_S):
            yield KEEPALIVE_COMMENT
        current = await _looked(watch, look)


async def _looked(watch: Watch, look: Callable[[], Awaitable[Job]]) -> Job | None:
    """Return the job, once Redis tells; None where it is gone, or nobody waits for it any more."""
    while not watch.stopped:
        try:
            job = await look()
        except QueueUnavailable:
            await watch.changed(_LOOK_AGAIN_S)
        except JobNotFound:
            return None
        else:
            return None if watch.stopped else job
    return None
