"""A product's own Celery app, as its users have it: its tasks, its worker (`celery -A support.product worker`)."""

from __future__ import annotations

import gc
import os
from typing import Any

import redis
from celery import Celery
from kombu import pools

URL = os.environ.get("PRODUCT_REDIS_URL", "redis://127.0.0.1:1/0")  # noqa: TID251 - of a product, which has no settings
app = Celery("product", broker=URL, backend=URL)
app.conf.broker_connection_retry_on_startup = True


def use(url: str) -> None:
    """Let the app of this process send to this Redis."""
    leave()
    app.conf.update(broker_url=url, result_backend=url)


def leave() -> None:
    """Close what the app of this process has open; Celery makes an app once, so its inside is emptied."""
    gc.collect()  # results that are gone stop to listen, while there is still something to listen to
    pools.reset()
    backend = app._backend_cache or getattr(app._local, "backend", None)  # noqa: SLF001 - see above
    if backend is not None:
        backend.result_consumer.stop()
        backend.result_consumer.cancel_for = lambda _: None  # of a result that goes later
        backend.client.connection_pool.disconnect()
    app._pool = app.amqp._producer_pool = app._backend_cache = None  # noqa: SLF001 - see above
    app._local.__dict__.clear()  # noqa: SLF001 - see above


def note(name: str, value: Any) -> None:
    """Write down what a task was told."""
    with redis.Redis.from_url(URL) as client:
        client.rpush(f"product:{name}", str(value))


@app.task  # type: ignore[untyped-decorator]  # celery is untyped
def url_of(name: str) -> str:
    """Return a picture's URL: what a product's own step before the swap brings."""
    return f"https://pictures.example/{name}.jpg"


@app.task  # type: ignore[untyped-decorator]  # celery is untyped
def keep(job: dict[str, Any], where: str = "kept") -> str:
    """Take a job's result, as a link or the next task of a chain; return its picture."""
    note(where, job["business_task_id"])
    return str(job["output_url"])


@app.task  # type: ignore[untyped-decorator]  # celery is untyped
def gather(jobs: list[Any], where: str = "gathered") -> int:
    """Take the results of a chord's parts."""
    note(where, len(jobs))
    return len(jobs)


@app.task  # type: ignore[untyped-decorator]  # celery is untyped
def told_of_failure(task_id: str, where: str = "failed") -> None:
    """Take the id of a task that failed: an errback."""
    note(where, task_id)
