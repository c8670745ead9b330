"""The work itself, off the event loop: worker processes, and a cache of what they made.

OpenCV is imported by the worker processes only, so this module is cheap to import and needs no extra.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections import OrderedDict
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from swapsandbox.operations.made import Made, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

CACHE_BYTES: Final = 256 * 1024 * 1024


class SwapRefused(Exception):
    """Work that can't be done.

    Attributes:
        name: A stable word for programs, e.g. `TARGET_NO_FACE`.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


class EngineUnavailable(RuntimeError):
    """The face swap can't run here: an extra is not installed or a worker process does not start."""


@dataclass(frozen=True, slots=True)
class Work:
    """One operation with all that its result depends on.

    Attributes:
        operation: Its name in `swapsandbox.operations.run`.
        pictures: Encoded, in the order in which the operation takes them.
        options: What it needs to know besides.
    """

    operation: str
    pictures: tuple[bytes, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def digest(self) -> str:
        """Return a name for the result: the same work always has the same one."""
        options = json.dumps(self.options, sort_keys=True, default=str)
        parts = hashlib.sha256(repr((self.operation, options, len(self.pictures))).encode())
        for picture in self.pictures:
            parts.update(hashlib.sha256(picture).digest())
        return parts.hexdigest()[:32]


def do(work: Work) -> Made | tuple[str, str]:
    """Do the work and return what it gives, or name and message of the refusal.

    A refusal is a value of plain strings here: to unpickle the exception, the server would have to import opencv.
    """
    from swapsandbox.faces import FaceError  # noqa: PLC0415 - opencv stays out of the server process
    from swapsandbox.operations.run import OPERATIONS  # noqa: PLC0415 - the same

    try:
        return OPERATIONS[work.operation](work.pictures, work.options)
    except FaceError as error:
        name = str(error.name)
        return name, str(error).removeprefix(f"{name}: ")
    except Refused as refusal:
        name, _, message = str(refusal).partition(": ")
        return name, message
    except KeyError as missing:
        return "UNKNOWN_OPERATION", f"the sandbox has no operation {missing}"


def warm_up() -> None:
    """Load the networks, so that the first call is not slower than the others."""
    from swapsandbox import faces  # noqa: PLC0415 - see render

    faces.warm_up()


def _end_with_parent() -> None:
    # A killed server can't tell its workers to end; without this they would wait for work for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _begin_worker() -> None:
    # Ctrl-C reaches the whole process group; the server alone decides when its workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(Exception):  # the server asks for a warm_up, too, and is told the reason
        warm_up()


class Engine:
    """Runs operations in worker processes and keeps the newest results; use it as a context manager.

    Args:
        workers: Number of worker processes, each on one core.
        cache_bytes: Results beyond this sum are forgotten, the least recently used first.

    Raises:
        EngineUnavailable: there is no worker; on entry: a worker process can't load the face swap.
    """

    def __init__(self, workers: int = 1, *, cache_bytes: int = CACHE_BYTES) -> None:
        if workers < 1:
            raise EngineUnavailable(f"at least 1 process must swap faces, not {workers}")
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._results = ResultStore(cache_bytes)
        self._running: dict[str, asyncio.Task[Made]] = {}

    def __enter__(self) -> Self:
        self._pool = self._new_pool()
        try:
            self._pool.submit(warm_up).result()
        except (ImportError, BrokenProcessPool) as error:
            self._pool.shutdown()
            raise EngineUnavailable(
                f"the face swap can't be loaded ({error}): install swapjobs[demo], or start with --no-swap"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _new_pool(self) -> ProcessPoolExecutor:
        # spawn: a fork of a process with threads (uvicorn, OpenCV) may deadlock.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._workers, mp_context=context, initializer=_begin_worker)

    async def do(self, work: Work) -> tuple[str, Made]:
        """Return the name under which `picture` gives the pictures, and the whole result; the same work is done once.

        Raises:
            SwapRefused: it can't be done with these pictures, or the worker process died (`INTERNAL`).
        """
        name = work.digest()
        made = self._results.get(name)
        if made is None:
            running = self._running.get(name)
            if running is None:
                running = self._running[name] = asyncio.create_task(self._run(work))
                running.add_done_callback(lambda _: self._running.pop(name, None))
            made = await asyncio.shield(running)
            self._results.put(name, made)
        return name, made

    def picture(self, name: str) -> bytes | None:
        """Return a picture by the name of its result, or of one of several, `name-2`; None if it is not here."""
        result, _, number = name.partition("-")
        made, place = self._results.get(result), int(number or 1) if (number or "1").isdecimal() else 0
        return made.pictures[place - 1] if made and 1 <= place <= len(made.pictures) else None

    async def _run(self, work: Work) -> Made:
        pool = self._pool
        if pool is None:
            raise EngineUnavailable("the engine is not running; use it as a context manager")
        try:
            done = await asyncio.get_running_loop().run_in_executor(pool, do, work)
        except BrokenProcessPool:
            if self._pool is pool:
                self._pool = self._new_pool()
            raise SwapRefused("INTERNAL", "the process that works died") from None
        if isinstance(done, Made):
            return done
        raise SwapRefused(*done)


class ResultStore:
    """Results by name within a bound of bytes; the least recently used go first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._used = 0
        self._results: OrderedDict[str, Made] = OrderedDict()

    def get(self, name: str) -> Made | None:
        """Return the result, if it is still here."""
        if name in self._results:
            self._results.move_to_end(name)
        return self._results.get(name)

    def put(self, name: str, made: Made) -> None:
        """Keep the result, at the cost of older ones."""
        old = self._results.pop(name, None)
        self._used += made.size - (old.size if old else 0)
        self._results[name] = made
        while self._used > self._max_bytes and len(self._results) > 1:
            self._used -= self._results.popitem(last=False)[1].size
