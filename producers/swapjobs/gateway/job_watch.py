"""Waiting for jobs without asking again and again: one pub/sub connection per process, a bounded number of waiters.

A waiter is notified that its job may have changed, and then reads it. That happens after every publish on the job's
channel, and whenever Redis confirms the subscription: so once at the beginning, which closes the gap between submitting
and subscribing, and after every break of the connection, which closes the gap that the break was.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Self

from anyio import CapacityLimiter, to_thread

from swapjobs.contract.errors import QueueUnavailable, TooManyRequests
from swapjobs.contract.lifecycle import FINAL
from swapjobs.settings.redis_url import address_of
from swapjobs.store import keys
from swapjobs.store.redis_client import RedisError, async_connections

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from starlette.requests import Request
    from starlette.types import Receive

    from swapjobs.contract.job import Job
    from swapjobs.settings import GatewaySettings

log = logging.getLogger(__name__)

_channel_of = keys.changed
_PING_EVERY_S: Final = 10.0
_SILENT_S: Final = 25.0  # a connection that sent nothing for so long, not even a pong, is taken for lost
_PAUSES_S: Final = (0.1, 0.2, 0.5, 1.0)
_CANCEL_AGAIN_S: Final = 0.5
_READERS: Final = 16  # threads; more would only wait for one another
_READ_AGAIN_S: Final = 1.0  # after a read that Redis did not answer


class Watch:
    """One waiter's place: notified of every change of one job."""

    __slots__ = ("_has_changed", "_waiter", "channel", "stopped")

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.stopped = False  # the gateway ends, or the client has gone: no notification comes any more
        self._has_changed = False
        self._waiter: asyncio.Future[None] | None = None

    def notify(self) -> None:
        """Say that the job may have changed."""
        self._has_changed = True
        if self._waiter is not None:
            _wake(self._waiter)

    def end(self) -> None:
        """Let the waiter go: nobody wants to know any more."""
        self.stopped = True
        self.notify()

    async def changed(self, timeout_s: float) -> bool:
        """Return once the job may have changed; False after `timeout_s` seconds without that."""
        if not self._has_changed:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()  # an Event and a Timeout would take four times the memory
            timer = loop.call_later(max(timeout_s, 0), _wake, self._waiter)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        result, self._has_changed = self._has_changed, False
        return result


class _Place:
    """A waiter's place, for as long as the block lasts; it knows no more than that, as thousands are open."""

    __slots__ = ("_owner", "_tenant", "_watch")

    def __init__(self, owner: JobWatch, tenant: str, watch: Watch) -> None:
        self._owner, self._tenant, self._watch = owner, tenant, watch

    def __enter__(self) -> Watch:
        self._owner.take(self._tenant, self._watch)
        return self._watch

    def __exit__(self, *_: object) -> None:
        self._owner.give_back(self._tenant, self._watch)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class JobWatch:
    """All waiters of this process. Only for the event loop's own thread."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._pool = async_connections(settings.redis_url)
        self._address = address_of(settings.redis_url)
        self._max_open = settings.gateway_max_waits
        self._open: Counter[str] = Counter()  # by tenant
        self._watches: dict[str, set[Watch]] = {}
        self._confirmed: set[str] = set()
        self._commands: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._readers = CapacityLimiter(_READERS)
        self.stopped = False

    # -- for waiters

    @property
    def open(self) -> int:
        """How many places are taken."""
        return self._open.total()

    def watch(self, job: Job) -> AbstractContextManager[Watch]:
        """Take a waiter's place for as long as the block lasts. A quarter of the places is left for other tenants.

        Raises:
            TooManyRequests: all places are taken.
        """
        return _Place(self, job.tenant, Watch(_channel_of(job.id)))

    async def read(self, look: Callable[[], Job]) -> Job:
        """Return what `look` reads from Redis: in a thread, of which a thousand waiters at once get a few."""
        return await to_thread.run_sync(look, limiter=self._readers)

    def take(self, tenant: str, watch: Watch) -> None:
        """Take a place; see `watch`."""
        if self.open >= self._max_open or self._open[tenant] >= self._max_open - self._max_open // 4:
            raise TooManyRequests("too many requests wait for jobs here; ask again without waiting", retry_after_s=5)
        watch.stopped = self.stopped
        self._open[tenant] += 1
        self._join(watch)

    def give_back(self, tenant: str, watch: Watch) -> None:
        """Give a place back that was taken."""
        self._open[tenant] -= 1
        self._leave(watch)

    async def until_final(
        self, job: Job, timeout_s: float, read: Callable[[], Job], request: Request | None = None
    ) -> Job:
        """Return the job once it is final, or as it stands after `timeout_s`; at once where no place is free.

        `read` gets the job from Redis, and is called in a thread. With `request` it ends when the client goes away.
        """
        if job.state in FINAL or timeout_s <= 0 or self.stopped:
            return job
        try:
            with self.watch(job) as watch:
                listening = asyncio.create_task(end_with_client(request.receive, watch)) if request else None
                try:
                    return await self._until_final(job, timeout_s, read, watch)
                finally:
                    if listening is not None:
                        listening.cancel()
        except TooManyRequests:
            return job

    async def _until_final(self, job: Job, timeout_s: float, read: Callable[[], Job], watch: Watch) -> Job:
        loop = asyncio.get_running_loop()
        until, patience = loop.time() + timeout_s, math.inf
        while (left := until - loop.time()) > 0:
            await watch.changed(min(left, patience))
            if watch.stopped:
                break
            try:
                job = await self.read(read)
            except QueueUnavailable:
                patience = _READ_AGAIN_S
                continue
            patience = math.inf
            if job.state in FINAL:
                break
        return job

    def _join(self, watch: Watch) -> None:
        others = self._watches.setdefault(watch.channel, set())
        if not others:
            self._commands.put_nowait(("SUBSCRIBE", watch.channel))
        elif watch.channel in self._confirmed:
            watch.notify()
        others.add(watch)

    def _leave(self, watch: Watch) -> None:
        others = self._watches[watch.channel]
        others.discard(watch)
        if not others:
            del self._watches[watch.channel]
            self._confirmed.discard(watch.channel)
            self._commands.put_nowait(("UNSUBSCRIBE", watch.channel))

    # -- the connection

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        while self._task is not None and not self._task.done():
            self._task.cancel()  # again, if need be: one that comes while redis-py connects may get lost there
            await asyncio.wait([self._task], timeout=_CANCEL_AGAIN_S)
        await self._pool.disconnect()

    def stop(self) -> None:
        """Let every waiter go, now; nobody waits any more after this."""
        self.stopped = True
        for watches in self._watches.values():
            for watch in watches:
                watch.end()

    async def _run(self) -> None:
        """Keep one connection up until the end."""
        failures = 0
        while not self.stopped:
            connection: Any = self._pool.make_connection()  # type: ignore[no-untyped-call]  # of redis-py
            try:
                await connection.connect()
                failures = 0
                await self._serve(connection)
            except* (RedisError, OSError) as errors:
                pause = _PAUSES_S[min(failures, len(_PAUSES_S) - 1)]
                if not failures:
                    log.warning(
                        "waits: no connection to Redis at %s (SWAPJOBS_REDIS_URL), trying again: %s",
                        self._address,
                        type(errors.exceptions[0]).__name__,
                    )
                failures += 1
                await asyncio.sleep(pause)
            finally:
                self._confirmed.clear()
                with contextlib.suppress(RedisError, OSError):
                    await connection.disconnect(nowait=True)

    async def _serve(self, connection: Any) -> None:
        self._commands = asyncio.Queue()
        for channel in self._watches:
            self._commands.put_nowait(("SUBSCRIBE", channel))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write(connection))
            group.create_task(self._read(connection))

    async def _write(self, connection: Any) -> None:
        """Send what is to be sent, and a ping where there are none.

        Until it is stopped: a cancel that comes while redis-py sends may get lost, and the group gives it once.
        """
        while not self.stopped:
            try:
                async with asyncio.timeout(_PING_EVERY_S):
                    command: tuple[str, ...] = await self._commands.get()
            except TimeoutError:
                command = ("PING",)
            try:
                await connection.send_command(*command, check_health=False)
            except AttributeError:  # the reader saw the end of the connection, and redis-py forgot its stream
                raise ConnectionError("closed while a command was sent") from None

    async def _read(self, connection: Any) -> None:
        while not self.stopped:
            kind, channel, *_ = await connection.read_response(timeout=_SILENT_S, push_request=True)
            if kind == "subscribe" and channel in self._watches:
                self._confirmed.add(channel)
            if kind in {"subscribe", "message"}:
                for watch in self._watches.get(channel, ()):
                    watch.notify()


async def end_with_client(receive: Receive, watch: Watch) -> None:
    """End the watch when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass
    watch.end()
