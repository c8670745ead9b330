"""The yardstick: plain Celery making the same POST, with the same kind of one-connection httpx clients.

Tuned as well as its documentation allows while results and acknowledgements are kept.
"""

from __future__ import annotations

import json
import os
from collections import deque
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
from celery import Celery
from standardwebhooks import Webhook

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@contextmanager
def _client() -> Iterator[httpx.Client]:
    try:
        client = _free.pop()
    except IndexError:
        client = httpx.Client(verify=_tls, trust_env=False, timeout=30)
    try:
        yield client
    finally:
        _free.append(client)


@app.task(name="swap")  # type: ignore[untyped-decorator]  # celery is untyped
def swap(source_url: str, target_url: str, business_task_id: str) -> Any:
    """Make the call and keep its answer as the result."""
    body = {"sourceUrl": source_url, "targetUrl": target_url, "businessTaskId": business_task_id}
    with _client() as client:
        return client.post(_URL, json=body).raise_for_status().json()


@app.task(  # type: ignore[untyped-decorator]  # celery is untyped
    name="swap_with_retry", autoretry_for=(httpx.HTTPError,), retry_backoff=True, retry_jitter=True, max_retries=5
)
def swap_with_retry(source_url: str, target_url: str, business_task_id: str) -> Any:
    """Do the same with Celery's own retries: six calls at most, full jitter, as swapjobs' default."""
    return swap(source_url, target_url, business_task_id)


@app.task(name="tell", autoretry_for=(httpx.HTTPError,), retry_backoff=True, retry_jitter=True, max_retries=5)  # type: ignore[untyped-decorator]  # celery is untyped
def tell(url: str, id_: str, answer: Any) -> None:
    """Deliver a signed webhook (Standard Webhooks), with Celery's own retries."""
    body, now = json.dumps(answer), datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": id_,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(os.environ["SWAPJOBS_WEBHOOK_SECRETS"]).sign(id_, now, body),  # noqa: TID251
    }
    with _client() as client:
        client.post(url, content=body, headers=headers).raise_for_status()


@app.task(name="swap_and_tell")  # type: ignore[untyped-decorator]  # celery is untyped
def swap_and_tell(callback_url: str, business_task_id: str, **urls: str) -> Any:
    """Make the call, keep its answer as the result, and have it delivered by a task of its own."""
    answer = swap(business_task_id=business_task_id, **urls)
    tell.apply_async(args=(callback_url, business_task_id, answer), queue="webhooks")
    return answer


def fill(first: int, jobs: int, **fields: str) -> None:
    """Send jobs, a thousand in a pipeline: the same messages as `apply_async`, sooner there."""
    from common import request  # noqa: PLC0415 - a worker does not need it

    task = swap_and_tell if "callback_url" in fields else swap
    with app.producer_pool.acquire(block=True) as producer:
        for start in range(first, first + jobs, 1000):
            with producer.batch(1000):
                for number in range(start, min(start + 1000, first + jobs)):
                    task.apply_async(kwargs=request(number, **fields), producer=producer)
