"""What an open event stream holds on to, and that it gives it back."""

from __future__ import annotations

import asyncio
import gc
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from support.builders import make_request, wait_until
from swapjobs.gateway.app import make_app
from swapjobs.settings import GatewaySettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

    from swapjobs import SwapClient

_STREAMS = 20


class Reader:
    """One who reads a job's events, and goes away when told to."""

    def __init__(self, app: FastAPI, job_id: str) -> None:
        self.text = b""
        self.head: Mapping[str, Any] = {}
        self.has_begun = asyncio.Event()
        self.goes = asyncio.Event()
        self.is_complete = False
        path = f"/v1/jobs/{job_id}/events"
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"origin", b"http://localhost")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        self.task = asyncio.create_task(app(self._scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self.goes.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.head = message
            return
        self.text += message["body"]
        self.is_complete = not message.get("more_body")
        if b"event: " in self.text:
            self.has_begun.set()


def coroutines() -> int:
    gc.collect()
    return sum(inspect.iscoroutine(item) for item in gc.get_objects())


@pytest.mark.parametrize("origins", [(), ("http://localhost",)])
def test_an_open_stream_holds_none_of_the_layers_it_came_through(
    redis_url: str, client: SwapClient, origins: tuple[str, ...]
) -> None:
    """Three dozen of them were, and are, each with all it refers to: 45 kB for a stream where 20 do."""
    ids = [client.submit(make_request()).id for _ in range(_STREAMS)]
    app = make_app(GatewaySettings(redis_url=redis_url, gateway_key_rate="1000/s", gateway_cors_origins=origins))

    async def look(app: FastAPI, readers: list[Reader], before: int) -> None:
        for reader in readers:
            await asyncio.wait_for(reader.has_begun.wait(), 20)
        # Each of them looks once more as soon as Redis tells that it listens; then nothing goes on.
        await asyncio.to_thread(wait_until, lambda: coroutines() - before <= 15 * _STREAMS, what="all are idle")
        job_watch = app.state.parts.job_watch
        assert job_watch.open == _STREAMS
        shown = dict(readers[0].head["headers"])
        assert shown[b"content-type"].startswith(b"text/event-stream")
        assert b"content-length" not in shown
        assert shown.get(b"access-control-allow-origin") == (b"http://localhost" if origins else None)
        await asyncio.to_thread(client.cancel, ids[0])
        await asyncio.wait_for(readers[0].task, 20)
        assert b"event: cancelled" in readers[0].text
        assert readers[0].is_complete
        for reader in readers[1:]:
            reader.goes.set()
        await asyncio.wait_for(asyncio.gather(*(reader.task for reader in readers)), 20)
        assert job_watch.open == 0

    async def run() -> None:
        async with app.router.lifespan_context(app):
            before = coroutines()
            readers = [Reader(app, id_) for id_ in ids]
            try:
                await look(app, readers, before)
            finally:  # what is open would keep the app from its end
                for reader in readers:
                    reader.task.cancel()
                await asyncio.gather(*(reader.task for reader in readers), return_exceptions=True)

    asyncio.run(run())
