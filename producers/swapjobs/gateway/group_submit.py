"""Submits that come while a call to Redis is under way go together in the next one: a group commit.

Nobody waits for a clock: a gateway that has nothing under way sends at once, so a lone submit is as quick as ever.
Under load a call takes as many as came meanwhile, and one thread does the work of many.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, cast

from swapjobs import tracing
from swapjobs.client.accept import accepted, note, submitting
from swapjobs.client.bulk import BLOCK
from swapjobs.store.group_submit import pack
from swapjobs.store.grouped_calls import own_copy
from swapjobs.store.redis_client import queue_errors

if TYPE_CHECKING:
    from swapjobs.client.swap_client import SwapClient
    from swapjobs.contract.job import Job
    from swapjobs.contract.request import Request
    from swapjobs.store.group_submit import Packed, Submitted

_CALLS: Final = 8  # at once, where they are slow
_SLOW_S: Final = 0.1  # waiting for Redis' disk, or for a Redis that is silent: the next ones don't wait for that


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    packed: Packed
    answer: asyncio.Future[Submitted | Exception]


class GroupSubmit:
    """Accepts jobs; a context manager, for the event loop's own thread."""

    def __init__(self, client: SwapClient) -> None:
        self._client = client
        self._waiting: list[_Waiting] = []
        self._calls: set[asyncio.Task[None]] = set()
        self._last_at = 0.0
        self._threads = ThreadPoolExecutor(_CALLS, thread_name_prefix="submit")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()

    async def accept(self, request: Request) -> tuple[Job, bool]:
        """Accept one job as `SwapClient.accept` does, with its errors."""
        with queue_errors(), submitting(request) as span:
            submitted = await self._submitted(pack(request, tracing.current()))
            note(span, submitted)
        return accepted(request, submitted)

    async def _submitted(self, packed: Packed) -> Submitted:
        waiting = _Waiting(packed, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if not self._calls or (len(self._calls) < _CALLS and time.monotonic() - self._last_at > _SLOW_S):
            # In a context of its own: it is no part of the request that happened to come first.
            self._calls.add(asyncio.create_task(self._send_all(), context=Context()))
        result = await waiting.answer
        if isinstance(result, Exception):
            raise own_copy(result)
        return result

    async def _send_all(self) -> None:
        """Send what waits, until nothing does."""
        try:
            while self._waiting:
                block, self._waiting = self._waiting[:BLOCK], self._waiting[BLOCK:]
                self._last_at = time.monotonic()
                for waiting, result in zip(block, await self._send([item.packed for item in block]), strict=True):
                    if not waiting.answer.cancelled():
                        waiting.answer.set_result(result)
        finally:
            # At once, not by a callback: whoever comes next is to see that nobody would send for him.
            self._calls.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _send(self, packed: list[Packed]) -> list[Submitted | Exception]:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._client.accept_each, packed)
        except Exception as error:  # noqa: BLE001 - whatever it is, each of them is told
            return [error] * len(packed)
