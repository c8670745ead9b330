"""Starts the dispatcher with the worker. A Celery bootstep."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from celery import bootsteps

from swapjobs.store import keys
from swapjobs.store.redis_advice import advice
from swapjobs.store.redis_client import RedisError, in_our_words
from swapworker.process.dispatcher import Dispatcher

if TYPE_CHECKING:
    from swapworker.runtime import Runtime


class DispatcherStep(bootsteps.StartStopStep):  # type: ignore[misc]  # celery is untyped
    """Checks what the worker stands on, sets the fleet's limits, and runs the dispatcher."""

    def __init__(self, worker: Any, **options: Any) -> None:
        self._dispatcher: Dispatcher | None = None
        super().__init__(worker, **options)

    def start(self, worker: Any) -> None:
        """Refuse a Redis that is unfit or not there, else begin."""
        runtime: Runtime = worker.app.runtime()
        try:
            problems = [problem for problem in runtime.store.server_problems() if problem.fatal]
        except RedisError as error:
            # Whoever supervises the worker starts it again.
            raise SystemExit(f"swapjobs: {in_our_words(error, 'Redis cannot be used: ')}; {advice(error)}") from None
        if problems:
            raise SystemExit("swapjobs: " + "; ".join(f"{problem.what}: {problem.remedy}" for problem in problems))
        runtime.store.dispatch.set_limits(runtime.settings)
        kinds = tuple(
            queue for queue in (keys.SWAPS_QUEUE, keys.WEBHOOKS_QUEUE) if queue in worker.app.amqp.queues.consume_from
        )
        usage = partial(runtime.slot_usage.read, worker.concurrency, kinds)
        self._dispatcher = Dispatcher(runtime.store, worker.hostname, runtime.settings.lease_s, runtime.watchdog, usage)
        runtime.watchdog.watch("dispatcher")
        self._dispatcher.start()

    def stop(self, _worker: Any) -> None:
        """Stop dispatching."""
        if self._dispatcher is not None:
            self._dispatcher.stop()
            self._dispatcher = None

    terminate = stop
