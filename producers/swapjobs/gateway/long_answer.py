"""Answers that stay open for long, such as event streams: they hold on to nothing that they don't need.

A request passes some forty functions of FastAPI's and Starlette's, and each of them stays in memory until its answer is
complete: three quarters of what an idle stream took. So a long answer sends its head from within, where those
add what is theirs, and leaves the rest to the edge (`middleware.py`), when all of them have returned.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from swapjobs.gateway.job_watch import end_with_client

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractContextManager

    from starlette.types import Receive, Scope, Send

    from swapjobs.gateway.job_watch import Watch

_UNDER_WAY: Final = "long_answer"


class WatchedStream(Response):
    """An event stream that holds a waiter's place, and gives it back at its end, however early that is."""

    media_type = "text/event-stream"

    def __init__(self, place: AbstractContextManager[Watch], watch: Watch, content: AsyncGenerator[bytes]) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        self._rest = _Rest(place, watch, content)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        """Send the head; `finish` does the rest."""
        scope["state"][_UNDER_WAY] = self._rest
        headers = [header for header in self.raw_headers if header[0] != b"content-length"]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})


class _Rest:
    __slots__ = ("_content", "_place", "_watch")

    def __init__(self, place: AbstractContextManager[Watch], watch: Watch, content: AsyncGenerator[bytes]) -> None:
        self._place, self._watch, self._content = place, watch, content

    async def send(self, receive: Receive, send: Send) -> None:
        """Send what there is, until it is over or the client has gone."""
        listening = asyncio.create_task(end_with_client(receive, self._watch))
        try:
            async for part in self._content:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            listening.cancel()

    async def close(self) -> None:
        """Give the place back."""
        await self._content.aclose()
        self._place.__exit__(None, None, None)


async def finish(scope: Scope, receive: Receive, send: Send) -> None:
    """Finish a request's answer, where it is a long one."""
    rest: _Rest | None = scope["state"].get(_UNDER_WAY)
    if rest is not None:
        await rest.send(receive, send)


async def close(scope: Scope) -> None:
    """End a request's answer, where it is a long one, whether it is complete or not."""
    rest: _Rest | None = scope["state"].pop(_UNDER_WAY, None)
    if rest is not None:
        await rest.close()
