"""The part of soak.py's jobs that comes over HTTP: submits at a rate, then waits, event streams, or nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Final

import httpx
from common import request

KEY: Final = "the-key-of-the-benchmark"
SETTINGS: Final = {"SWAPJOBS_GATEWAY_KEYS": f"bench:{KEY}", "SWAPJOBS_GATEWAY_KEY_RATE": "1000000/s"}
FIRST: Final = 10**8  # numbers of these jobs begin here
ENDS: Final = ("event: succeeded", "event: failed", "event: cancelled", "event: expired")
ACCEPTED: Final = 202
MOST_OPEN: Final = 200  # else httpx, whose pool looks at each for each, would keep a slow minute slow for ever


class HttpJobs(threading.Thread):
    """Submits so many jobs per second until it is stopped; then waits for what is open."""

    def __init__(self, url: str, rate: float) -> None:
        super().__init__()
        self._url, self._rate, self._stopping = url, rate, threading.Event()
        self.submitted = self.waited = self.watched = 0
        self.errors: list[str] = []

    def stop(self) -> None:
        """Submit no more, and return when all that were waited for have ended."""
        self._stopping.set()
        self.join(120)

    def run(self) -> None:
        """Feed, in a loop of its own."""
        asyncio.run(self._feed())

    async def _feed(self) -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        async with httpx.AsyncClient(
            base_url=self._url, headers=headers, trust_env=False, timeout=90, limits=limits
        ) as http:
            started, number, open_ = time.monotonic(), 0, set[asyncio.Task[None]]()
            while not self._stopping.is_set():
                while number < (time.monotonic() - started) * self._rate and len(open_) < MOST_OPEN:
                    task = asyncio.create_task(self._one(http, number))
                    open_.add(task)
                    task.add_done_callback(open_.discard)
                    number += 1
                await asyncio.sleep(0.01)
            await asyncio.gather(*open_)

    async def _one(self, http: httpx.AsyncClient, number: int) -> None:
        try:
            answer = await http.post("/v1/jobs", json=request(FIRST + number))
            if answer.status_code != ACCEPTED:
                self._note("submit", answer)
                return
            self.submitted += 1
            place = f"/v1/jobs/{answer.json()['id']}"
            if number % 3 == 0:
                await self._wait(http, place)
            elif number % 3 == 1:
                await self._watch(http, place)
        except httpx.HTTPError as error:
            self.errors.append(f"{type(error).__name__} {error}")

    def _note(self, what: str, answer: httpx.Response) -> None:
        self.errors.append(f"{what}: {answer.status_code} {answer.text[:200]}")

    async def _wait(self, http: httpx.AsyncClient, place: str) -> None:
        answer = await http.get(place, headers={"Prefer": "wait=60"})
        if answer.json().get("state") == "succeeded":
            self.waited += 1
        else:
            self._note("wait", answer)

    async def _watch(self, http: httpx.AsyncClient, place: str) -> None:
        async with http.stream("GET", f"{place}/events") as answer:
            async for line in answer.aiter_lines():
                if line.startswith(ENDS):
                    self.watched += 1
                    return
            self.errors.append(f"events: {answer.status_code}, ended before the job")
