"""Routes for those who run the gateway: does it live, can it serve, how does dispatch stand."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from swapjobs.contract.dispatch_status import LearnedRate
from swapjobs.contract.errors import QueueUnavailable
from swapjobs.gateway.dependencies import Authenticated, Gateway, Reader
from swapjobs.monitoring.prometheus import exposition, tenant_exposition
from swapjobs.monitoring.readings import Readings
from swapjobs.store.redis_client import queue_errors

router = APIRouter(tags=["operation"])


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that this process answers."""
    return {"status": "ok"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz")
def readyz(gateway: Gateway) -> dict[str, str]:
    """Say that Redis answers, is fit, and takes new jobs; else 503 or 429 says what is wrong.

    Jobs are accepted without workers too: `no_worker` names the queues in which something waits and nobody works.
    """
    if gateway.job_watch.stopped:
        raise QueueUnavailable("the gateway is ending")
    with queue_errors():
        problems = [problem for problem in gateway.store.server_problems() if problem.fatal]
    for problem in problems:
        raise QueueUnavailable(f"Redis is not fit: {problem.what}; {problem.remedy}")
    gateway.pressure.check()
    unattended = gateway.unattended()
    return {"status": "ok", **({"no_worker": ", ".join(unattended)} if unattended else {})}


@router.get("/v1/rate")
def rate(_: Reader, gateway: Gateway) -> LearnedRate:
    """Tell the rate of calls to the vendor: the fleet's limit, what is used of it now, why, and since when."""
    with queue_errors():
        return LearnedRate.model_validate(gateway.store.dispatch.status())


@router.head("/metrics", include_in_schema=False)
@router.get("/metrics", response_class=PlainTextResponse)
def metrics(caller: Authenticated, gateway: Gateway) -> PlainTextResponse:
    """Tell Prometheus how dispatch stands and what was counted: of the whole fleet, with no job or URL.

    A key without the scope `metrics` is told of its own tenant only.
    """
    with queue_errors():
        if caller.scopes & {"metrics", "operate"}:
            text = exposition(Readings.read(gateway.store), gateway.settings.prices)
        else:
            caller.require("read")
            text = tenant_exposition(gateway.store.tenants.status(caller.tenant), gateway.store.metrics.read())
    return PlainTextResponse(text, media_type=CONTENT_TYPE_LATEST)
