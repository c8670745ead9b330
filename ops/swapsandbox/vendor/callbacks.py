"""The vendor's callbacks: the end of a task, posted to the `callbackUrl` of its call until it is taken.

The vendor's page (Multiple Face Swap): a delivery counts only when the answer is JSON with `code` "200"; pauses of 3,
5, 15, 30, 60, 600 and 3,600 s, at most ten retries.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from swapsandbox.vendor.ledger import Ledger

PAUSES_S: Final = (3.0, 5.0, 15.0, 30.0, 60.0, 600.0, 3600.0, 3600.0, 3600.0, 3600.0)
_TIMEOUT_S: Final = 10.0
_NO_PROXY: Final = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}


class Callbacks:
    """Sends them, each as a task of its own."""

    def __init__(self, ledger: Ledger, stopping: asyncio.Event, pauses_s: Sequence[float] = PAUSES_S) -> None:
        self._ledger = ledger
        self._stopping = stopping
        self._pauses_s = pauses_s
        self._client = httpx.AsyncClient(mounts=_NO_PROXY, timeout=_TIMEOUT_S)
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something run beside the calls, until the server ends."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def send(self, url: str, body: dict[str, Any], after_s: float = 0.0) -> None:
        """Post the body until it is taken."""
        for pause_s in (after_s, *self._pauses_s):
            if await self._stopped_within(pause_s):
                return
            if await self._is_taken(url, body):
                return

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._client.aclose()

    async def _is_taken(self, url: str, body: dict[str, Any]) -> bool:
        try:
            answer = await self._client.post(url, json=body)
            taken = answer.is_success and str(answer.json().get("code")) == "200"
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError):
            taken = False
        self._ledger.called_back(taken=taken)
        return taken

    async def _stopped_within(self, seconds: float) -> bool:
        if seconds <= 0:
            return self._stopping.is_set()
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True
