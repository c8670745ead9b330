"""The swap itself, off the event loop: worker processes, and a cache of what they made.

OpenCV is imported by the worker processes only, so this module is cheap to import and needs no extra.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import multiprocessing
import os
import signal
import threading
from collections import OrderedDict
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Final, Self

CACHE_BYTES: Final = 256 * 1024 * 1024


class SwapRefused(Exception):
    """A swap that can't be done.

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
class SwapInputs:
    """All that the picture depends on.

    Attributes:
        sources: One or two encoded pictures that give the faces.
        target: The encoded picture that receives them.
        face_index: Which face of the target, 1-based from the left; None leaves it to the swap.
        fidelity: 0 to 1; at 1 the source's skin is left as it is.
    """

    sources: tuple[bytes, ...]
    target: bytes
    face_index: int | None = None
    fidelity: float = 1.0

    def digest(self) -> str:
        """Return a name for the result: the same inputs always have the same one."""
        parts = hashlib.sha256(repr((self.face_index, self.fidelity, len(self.sources))).encode())
        for picture in (*self.sources, self.target):
            parts.update(hashlib.sha256(picture).digest())
        return parts.hexdigest()[:32]


def render(inputs: SwapInputs) -> bytes | tuple[str, str]:
    """Swap the faces and return the picture, or name and message of the refusal.

    A refusal is a value of plain strings here: to unpickle the exception, the server would have to import opencv.
    """
    from swapsandbox import faces  # noqa: PLC0415 - opencv stays out of the server process

    try:
        return faces.swap_faces(inputs.sources, inputs.target, face_index=inputs.face_index, fidelity=inputs.fidelity)
    except faces.FaceError as error:
        name = str(error.name)
        return name, str(error).removeprefix(f"{name}: ")


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
    """Runs swaps in worker processes and keeps the newest results; use it as a context manager.

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
        self._running: dict[str, asyncio.Task[bytes]] = {}

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

    async def swap(self, inputs: SwapInputs) -> str:
        """Return the name under which `result` gives the picture; the same inputs are swapped once.

        Raises:
            SwapRefused: the pictures don't allow it, or the worker process died (`INTERNAL`).
        """
        name = inputs.digest()
        if self._results.get(name) is None:
            running = self._running.get(name)
            if running is None:
                running = self._running[name] = asyncio.create_task(self._run(inputs))
                running.add_done_callback(lambda _: self._running.pop(name, None))
            self._results.put(name, await asyncio.shield(running))
        return name

    def result(self, name: str) -> bytes | None:
        """Return a finished picture, or None if there never was one or it was forgotten."""
        return self._results.get(name)

    async def _run(self, inputs: SwapInputs) -> bytes:
        pool = self._pool
        if pool is None:
            raise EngineUnavailable("the engine is not running; use it as a context manager")
        try:
            done = await asyncio.get_running_loop().run_in_executor(pool, render, inputs)
        except BrokenProcessPool:
            if self._pool is pool:
                self._pool = self._new_pool()
            raise SwapRefused("INTERNAL", "the swap process died") from None
        if isinstance(done, bytes):
            return done
        raise SwapRefused(*done)


class ResultStore:
    """Pictures by name within a bound of bytes; the least recently used go first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._used = 0
        self._pictures: OrderedDict[str, bytes] = OrderedDict()

    def get(self, name: str) -> bytes | None:
        """Return the picture, if it is still here."""
        if name in self._pictures:
            self._pictures.move_to_end(name)
        return self._pictures.get(name)

    def put(self, name: str, picture: bytes) -> None:
        """Keep the picture, at the cost of older ones."""
        self._used += len(picture) - len(self._pictures.pop(name, b""))
        self._pictures[name] = picture
        while self._used > self._max_bytes and len(self._pictures) > 1:
            self._used -= len(self._pictures.popitem(last=False)[1])
