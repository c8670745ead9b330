"""What an upload's answer says when rows can't be taken, or don't come; with short patience, so in this process."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from swapjobs.gateway import batch_upload
from swapjobs.gateway.app import make_app
from swapjobs.gateway.upload_stream import Spool
from swapjobs.settings import GatewaySettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from swapjobs import SwapClient

ROW = b'{"source_url": "https://a.example/%d.jpg", "target_url": "https://b.example/t.jpg"}\n'


def post(settings: GatewaySettings, body: bytes | AsyncIterator[bytes], query: str = "") -> httpx.Response:
    """Send one upload to an app in this process."""

    async def send() -> httpx.Response:
        app = make_app(settings)
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=30) as http,
        ):
            return await http.post(
                f"/v1/batches{query}", content=body, headers={"Content-Type": "application/x-ndjson"}
            )

    return asyncio.run(send())


def rows_and_summary(answer: httpx.Response) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    *lines, last = map(json.loads, answer.text.splitlines())
    return lines, last["summary"]


def test_rows_without_room_are_refused_in_the_end_and_the_batch_stays_open(
    redis_url: str, client: SwapClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_upload, "HOLD_S", 0.0)
    body = b"".join(ROW % number for number in range(5)) + b"nonsense\n"
    crowded = GatewaySettings(redis_url=redis_url, gateway_max_queued=3)
    lines, summary = rows_and_summary(post(crowded, body, "?batch_id=b&close=true"))
    assert [line["outcome"] for line in lines] == [*["created"] * 3, "refused", "refused", "invalid"]
    assert lines[3]["error"] == "too_many_requests: 3 jobs are queued, 3 may be"
    assert (summary["state"], summary["complete"], summary["refused"]) == ("open", False, 2)
    assert summary["error"]["code"] == "too_many_requests"
    assert client.batches.get("b").total == 3
    roomy = GatewaySettings(redis_url=redis_url)
    lines, summary = rows_and_summary(post(roomy, body, "?batch_id=b&close=true"))
    assert [line["outcome"] for line in lines] == [*["existing"] * 3, "created", "created", "invalid"]
    assert (summary["state"], summary["complete"], summary["error"]) == ("closed", True, None)


def test_a_client_that_falls_silent_is_told_and_what_it_sent_is_kept(
    redis_url: str, client: SwapClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_upload, "_SILENCE_S", 0.2)
    settings = GatewaySettings(redis_url=redis_url)

    async def half() -> AsyncIterator[bytes]:
        yield ROW % 1
        yield (ROW % 2)[:10]
        await anyio.sleep(3)  # the other side's patience is what ends it
        yield (ROW % 2)[10:]

    lines, summary = rows_and_summary(post(settings, half(), "?batch_id=b&close=true"))
    assert [line["outcome"] for line in lines] == ["created"]
    assert (summary["state"], summary["complete"]) == ("open", False)
    assert summary["error"] == {"code": "request_timeout", "detail": "nothing came for 0.2 s"}
    assert client.batches.get("b").total == 1

    async def nothing() -> AsyncIterator[bytes]:
        await anyio.sleep(3)
        yield b""

    answer = post(settings, nothing())
    assert (answer.status_code, answer.json()["code"]) == (408, "request_timeout")


def test_too_many_uploads_at_once_are_refused(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_upload, "_uploads", anyio.CapacityLimiter(1))
    settings = GatewaySettings(redis_url=redis_url)

    async def both() -> list[int]:
        app = make_app(settings)
        held, begun = asyncio.Event(), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield ROW % 1
            begun.set()  # what came before is taken
            await held.wait()

        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost", timeout=30) as http,
        ):
            send = {"url": "/v1/batches", "headers": {"Content-Type": "application/x-ndjson"}}
            first = asyncio.ensure_future(http.post(content=slow(), **send))  # type: ignore[arg-type]  # all strings
            await begun.wait()
            second = await http.post(content=ROW % 2, **send)  # type: ignore[arg-type]  # all strings
            held.set()
            return [(await first).status_code, second.status_code, int(second.headers["retry-after"])]

    assert asyncio.run(both()) == [200, 429, 10]


def test_a_spool_gives_back_what_was_written_in_order_and_frees_what_was_read() -> None:
    async def check() -> tuple[bytes, int]:
        spool, got = Spool(), b""
        for number in range(200):
            await anyio.to_thread.run_sync(spool.write, b"%d," % number * 1000)
            got += await spool.take()
        size = len(spool._file.read()) + spool._file.tell()  # noqa: SLF001 - what it still takes
        spool.end()
        while piece := await spool.take():
            got += piece
        spool.close()
        return got, size

    got, size = asyncio.run(check())
    assert got == b"".join(b"%d," % number * 1000 for number in range(200))
    assert size < 300_000
