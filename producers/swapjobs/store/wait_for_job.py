"""Waiting for a job's end: told by Redis, without polling."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.errors import WaitTimeout
from swapjobs.contract.lifecycle import FINAL
from swapjobs.store import keys

if TYPE_CHECKING:
    import redis

    from swapjobs.contract.job import Job
    from swapjobs.store.jobs import JobStore

_LOOK_EVERY_S: Final = 5.0  # whatever was told: a message may be lost with its connection


def until_final(client: redis.Redis, jobs: JobStore, job_id: str, timeout_s: float, tenant: str) -> Job:
    """Return the job once it is final.

    Raises:
        WaitTimeout: it is not final after `timeout_s` seconds.
        JobNotFound: there is no such job.
    """
    deadline = time.monotonic() + timeout_s
    pubsub: Any = client.pubsub  # untyped in redis-py
    with pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe(keys.changed(job_id))
        while True:
            # asked only after subscribing: what was published before would be missed
            job = jobs.find(job_id, tenant).to_job()
            if job.state in FINAL:
                return job
            if job.id != job_id:  # a Celery task's id was given, or the product's own
                job_id = job.id
                channel.subscribe(keys.changed(job_id))
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                raise WaitTimeout(f"job {job_id} is {job.state} after {timeout_s:g} s")
            _listen(channel, min(left, _LOOK_EVERY_S))


def _listen(channel: Any, seconds: float) -> None:
    """Return when a final state is told, or the time is over."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        message = channel.get_message(timeout=left)
        if message and message["data"] in FINAL:
            return
