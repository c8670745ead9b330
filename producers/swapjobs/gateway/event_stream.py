"""A job's changes as server-sent events."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.concurrency import run_in_threadpool

from swapjobs.contract.errors import JobNotFound, QueueUnavailable
from swapjobs.contract.lifecycle import FINAL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager

    from starlette.types import Receive, Scope, Send

    from swapjobs.contract.job import Job
    from swapjobs.gateway.job_watch import Watch

_KEEP_ALIVE_S: Final = 15.0
_RETRY_MS: Final = 2000  # after which a browser connects again
_LOOK_AGAIN_S: Final = 1.0


class WatchedStream(EventSourceResponse):
    """An event stream that gives its waiter's place back, also where the client is gone before it begins."""

    def __init__(self, place: AbstractContextManager[Watch], content: AsyncIterator[bytes]) -> None:
        super().__init__(content, headers={"X-Accel-Buffering": "no"})
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._place.__exit__(None, None, None)


def version_of(job: Job) -> str:
    """Return what changes whenever the job does; its webhook, which goes on after the end, is left out."""
    return hashlib.blake2b(job.model_dump_json(exclude={"webhook"}).encode(), digest_size=8).hexdigest()


async def changes(job: Job, seen: str, watch: Watch, look: Callable[[], Job]) -> AsyncIterator[bytes]:
    """Yield the job as it stands and then each change, until it is final or the gateway ends.

    `seen` is the version that the reader has: it is not told again. `look` gets the job, and is called in a thread.
    """
    yield f"retry: {_RETRY_MS}\n\n".encode()
    while True:
        version = version_of(job)
        if version != seen:
            seen = version
            yield format_sse_event(data_str=job.model_dump_json(), event=str(job.state), id=version)
        if job.state in FINAL:
            return
        while not await watch.changed(_KEEP_ALIVE_S):
            yield KEEPALIVE_COMMENT
        while not watch.stopped:
            try:
                job = await run_in_threadpool(look)
                break
            except QueueUnavailable:
                await watch.changed(_LOOK_AGAIN_S)
            except JobNotFound:
                return
        if watch.stopped:
            return
