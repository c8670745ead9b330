"""What the gateway is measured beside: FastAPI endpoints that check a small body and make one Redis write.

    BENCH_REDIS_URL=... python ops/bench/bare.py PORT

`/async` writes with redis.asyncio, `/thread` in a thread, as the gateway does. Served just as the gateway is.
"""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import redis
import redis.asyncio
from fastapi import FastAPI
from pydantic import BaseModel

from swapjobs.gateway.server import serve
from swapjobs.settings import GatewaySettings

URL = os.environ["BENCH_REDIS_URL"]  # noqa: TID251 - a script of its own
app = FastAPI()
here, away = redis.Redis.from_url(URL), redis.asyncio.Redis.from_url(URL)


class Job(BaseModel):
    """The request of the benchmarks."""

    source_url: str
    target_url: str
    business_task_id: str


@app.post("/async", status_code=202)
async def awaited(job: Job) -> Job:
    """Write without a thread."""
    await away.set(f"bare:{job.business_task_id}", job.model_dump_json())
    return job


@app.post("/thread", status_code=202)
def threaded(job: Job) -> Job:
    """Write in a thread."""
    here.set(f"bare:{job.business_task_id}", job.model_dump_json())
    return job


if __name__ == "__main__":
    app.state.parts = SimpleNamespace(waiting=SimpleNamespace(stop=lambda: None))
    serve(app, "127.0.0.1", int(sys.argv[1]), GatewaySettings())
