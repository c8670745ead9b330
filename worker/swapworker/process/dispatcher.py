"""The dispatcher: looks at what is due, publishes lost hints again, refills the runways. A Celery bootstep.

Its thread also tells the fleet how busy this worker is.

Every worker has one; the script lets only one of them work at a time, the others stand by for its 2 s lease.
"""

from __future__ import annotations

import contextlib
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import redis
from celery import bootsteps

from swapjobs.store import keys, worker_usage
from swapjobs.store.redis_advice import advice
from swapjobs.store.redis_health import server_problems

if TYPE_CHECKING:
    from collections.abc import Callable

    from swapjobs.store.jobs import JobStore
    from swapjobs.store.worker_usage import Usage
    from swapworker.process.watchdog import Progress
    from swapworker.runtime import Runtime

_STAND_BY_S: Final = 0.5


class Dispatcher:
    """One worker's dispatcher thread; `usage` is read for the fleet now and then: also a sign of life."""

    def __init__(
        self, store: JobStore, name: str, lease_s: float, progress: Progress, usage: Callable[[], Usage] | None = None
    ) -> None:
        self._store = store
        self._progress = progress
        self._name = name
        self._lease_s = lease_s
        self._usage = usage
        self._told_at = -worker_usage.EVERY_S
        self._stayed = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and make way for another worker's dispatcher."""
        self._stopping.set()
        self._thread.join(5)
        with contextlib.suppress(redis.RedisError):
            self._store.step_down(self._name)
            worker_usage.leave(self._store.redis, self._name)

    def step(self) -> float:
        """Dispatch once and return the seconds until the next look."""
        stayed, self._stayed = self._stayed, True
        handled, pause_s = self._store.wake(self._name, self._lease_s, stayed=stayed)
        self._progress.made("dispatcher")
        if self._usage and time.monotonic() - self._told_at >= worker_usage.EVERY_S:
            self._told_at = time.monotonic()
            with contextlib.suppress(redis.RedisError):  # a full one, say: nothing hangs on it
                worker_usage.tell(self._store.redis, self._name, self._usage())
        return pause_s if handled >= 0 else _STAND_BY_S

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopping.wait(pause_s):
            try:
                pause_s = self.step()
            except Exception as error:  # noqa: BLE001 - the thread must not die: everything due hangs on it
                self._progress.failed("dispatcher", error)
                pause_s = 1.0


class DispatcherStep(bootsteps.StartStopStep):  # type: ignore[misc]  # celery is untyped
    """Checks what the worker stands on, tells the fleet its limits, and runs the dispatcher."""

    def __init__(self, worker: Any, **options: Any) -> None:
        self._dispatcher: Dispatcher | None = None
        super().__init__(worker, **options)

    def start(self, worker: Any) -> None:
        """Refuse a Redis that is unfit or not there, else begin."""
        runtime: Runtime = worker.app.runtime()
        try:
            problems = [problem for problem in server_problems(runtime.store.redis) if problem.fatal]
        except redis.RedisError as error:
            # Whoever supervises the worker starts it again.
            raise SystemExit(f"swapjobs: Redis can't be used ({error}); {advice(error)}") from None
        if problems:
            raise SystemExit("swapjobs: " + "; ".join(f"{problem.what}: {problem.remedy}" for problem in problems))
        runtime.store.set_limits(runtime.settings)
        kinds = tuple(
            queue for queue in (keys.SWAPS_QUEUE, keys.WEBHOOKS_QUEUE) if queue in worker.app.amqp.queues.consume_from
        )
        usage = partial(runtime.meter.read, worker.concurrency, kinds)
        self._dispatcher = Dispatcher(runtime.store, worker.hostname, runtime.settings.lease_s, runtime.progress, usage)
        runtime.progress.watch("dispatcher")
        self._dispatcher.start()

    def stop(self, _worker: Any) -> None:
        """Stop dispatching."""
        if self._dispatcher is not None:
            self._dispatcher.stop()
            self._dispatcher = None

    terminate = stop
