"""The yardstick: plain Celery making the same POST, with the same kind of one-connection httpx clients.

Tuned as well as its documentation allows while results and acknowledgements are kept.
"""

from __future__ import annotations

import os
from collections import deque
from typing import Any

import httpx
from celery import Celery

_REDIS = os.environ["BENCH_REDIS_URL"]  # noqa: TID251 - a script of its own
_URL = os.environ["BENCH_API_URL"] + "/AIGCImgOpenServ/saas/tool/roop"  # noqa: TID251 - a script of its own

app = Celery("plain_celery", broker=_REDIS, backend=_REDIS)
app.conf.update(
    result_expires=86_400,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    result_backend_thread_safe=True,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "priority_steps": [0],
        "max_connections": 1000,
        "visibility_timeout": int(os.environ.get("BENCH_VISIBILITY_TIMEOUT_S", "3600")),  # noqa: TID251
    },
    redis_max_connections=1000,
    task_reject_on_worker_lost=True,
    task_annotations={"swap": {"rate_limit": os.environ.get("BENCH_RATE_LIMIT") or None}},  # noqa: TID251
)
_tls = httpx.create_ssl_context()
_free: deque[httpx.Client] = deque()


@app.task(name="swap")  # type: ignore[untyped-decorator]  # celery is untyped
def swap(source_url: str, target_url: str, business_task_id: str) -> Any:
    """Make the call and keep its answer as the result."""
    try:
        client = _free.pop()
    except IndexError:
        client = httpx.Client(verify=_tls, trust_env=False, timeout=30)
    body = {"sourceUrl": source_url, "targetUrl": target_url, "businessTaskId": business_task_id}
    try:
        return client.post(_URL, json=body).raise_for_status().json()
    finally:
        _free.append(client)


@app.task(  # type: ignore[untyped-decorator]  # celery is untyped
    name="swap_with_retry", autoretry_for=(httpx.HTTPError,), retry_backoff=True, retry_jitter=True, max_retries=5
)
def swap_with_retry(source_url: str, target_url: str, business_task_id: str) -> Any:
    """Do the same with Celery's own retries: six calls at most, full jitter, as swapjobs' default."""
    return swap(source_url, target_url, business_task_id)


def fill(first: int, jobs: int) -> None:
    """Send jobs, a thousand in a pipeline: the same messages as `apply_async`, sooner there."""
    from common import request  # noqa: PLC0415 - a worker does not need it

    with app.producer_pool.acquire(block=True) as producer:
        for start in range(first, first + jobs, 1000):
            with producer.batch(1000):
                for number in range(start, min(start + 1000, first + jobs)):
                    swap.apply_async(kwargs=request(number), producer=producer)
