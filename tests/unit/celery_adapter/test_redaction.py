"""What a task raises leaves nothing for the garbage collector: each traceback would be 200 kB, until it looks."""

from __future__ import annotations

import gc
from threading import Semaphore
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from celery.exceptions import Ignore, Retry

from swapworker.celery_adapter.redaction import QuietRequest, RedactedTask

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS = 20


def failing() -> None:
    try:
        int("what led to it")
    except ValueError as error:
        raise RuntimeError("it went wrong") from error


def again() -> None:
    raise Retry("again", exc=ValueError("why"), when=None)


def for_nothing() -> None:
    raise Ignore


ended = Semaphore(0)


class Counted(QuietRequest):
    """A request whose end is counted."""

    def on_failure(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().on_failure(*args, **kwargs)
        finally:
            ended.release()


class CountedTask(RedactedTask):
    """A task that has such requests."""

    Request = Counted


@pytest.fixture(scope="module")
def app() -> Iterator[Celery]:
    app = Celery("t", broker="memory://", backend="disabled", set_as_current=False)
    app.conf.broker_transport_options = {"polling_interval": 0.01}
    for raising in (failing, again, for_nothing):
        app.task(name=raising.__name__, base=CountedTask, shared=False)(raising)
    with start_worker(app, pool="threads", concurrency=2, perform_ping_check=False, loglevel="CRITICAL"):
        yield app
    app.close()


def run(app: Celery, name: str, times: int) -> None:
    for _ in range(times):
        app.send_task(name)
    for _ in range(times):
        assert ended.acquire(timeout=20)


@pytest.mark.parametrize("name", ["failing", "again", "for_nothing"])
def test_what_a_task_raises_is_gone_with_it(app: Celery, name: str) -> None:
    run(app, name, 1)
    gc.collect()
    gc.disable()
    try:
        run(app, name, RUNS)
        assert gc.collect() < 50 * RUNS, "billiard notes some thousand positions in bytecode for each"
    finally:
        gc.enable()
