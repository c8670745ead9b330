"""One job: its pictures, what happened to it, why it waits, and what can be done."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.concurrency import run_in_threadpool

from swapjobs import tracing
from swapjobs.contract.batch import Batch
from swapjobs.contract.dispatch_status import DispatchStatus
from swapjobs.contract.errors import JobGone, JobNotFound, QueueUnavailable
from swapjobs.contract.job import Job
from swapjobs.contract.lifecycle import FINAL, MOVES, UNFINISHED, Event, JobState
from swapjobs.contract.output import ImageOutput
from swapjobs.contract.tenant import TenantStatus
from swapjobs.contract.webhook import Delivery
from swapjobs.gateway.console.pages import page, render, see
from swapjobs.gateway.console.routing import ConsoleRoute
from swapjobs.gateway.console.session import Changing, Viewer, Viewing, is_still_there
from swapjobs.gateway.console.timeline import cost_of, steps_of
from swapjobs.gateway.dependencies import Gateway, Parts
from swapjobs.gateway.long_answer import WatchedStream
from swapjobs.store.record import Record
from swapjobs.store.redis_client import queue_errors

router = APIRouter(prefix="/jobs/{job_id}", route_class=ConsoleRoute)

_LOOK_EVERY_S: Final = 2.0  # for what nobody publishes, such as tries to deliver
_DELIVERIES: Final = 50
_AT_ONCE: Final = timedelta(seconds=5)


@router.get("")
def job(request: Request, gateway: Gateway, viewer: Viewing, job_id: str, done: str = "") -> Response:
    """Show a job."""
    return page(request, viewer, "job.html", done=done, **_seen(gateway, viewer, job_id))


@router.get("/live")
async def live(request: Request, gateway: Gateway, viewer: Viewing, job_id: str) -> Response:
    """Tell the job again whenever it changes, until nothing more can happen to it by itself."""
    first = await run_in_threadpool(_record, gateway, viewer, job_id)
    places = gateway.job_watch.watch(first.to_job())
    watch = places.__enter__()

    def look() -> tuple[str, bool]:
        seen = _seen(gateway, viewer, job_id)
        waits = any(delivery.state == "pending" for delivery in seen["deliveries"])
        return render(request, viewer, "job_live.html", **seen), seen["job"].state in FINAL and not waits

    async def events() -> AsyncGenerator[bytes]:
        shown = ""
        while not watch.stopped:
            if not await is_still_there(gateway, viewer):
                yield format_sse_event(data_str="", event="signed-out")
                return
            try:
                drawn, is_over = await run_in_threadpool(look)
            except QueueUnavailable:
                drawn, is_over = shown, False
            except JobNotFound:
                return
            yield KEEPALIVE_COMMENT if drawn == shown else format_sse_event(data_str=drawn)
            shown = drawn
            if is_over:
                yield format_sse_event(data_str="", event="over")
                return
            await watch.changed(_LOOK_EVERY_S)

    return WatchedStream(places, watch, events())


@router.post("/cancel")
def cancel(request: Request, gateway: Gateway, viewer: Viewing, job_id: str, _: Changing) -> Response:
    """Cancel it; one that has ended meanwhile stays as it is."""
    ended = gateway.client.cancel(_record(gateway, viewer, job_id).id)
    return see(request, f"/jobs/{job_id}" + ("?done=cancelled" if ended.state is JobState.CANCELLED else ""))


@router.post("/retry")
def retry(request: Request, gateway: Gateway, viewer: Viewing, job_id: str, _: Changing) -> Response:
    """Queue it again."""
    gateway.client.retry(_record(gateway, viewer, job_id).id)
    return see(request, f"/jobs/{job_id}?done=retried")


@router.post("/forget")
def forget(request: Request, gateway: Gateway, viewer: Viewing, job_id: str, _: Changing) -> Response:
    """Delete what is kept of it."""
    gateway.client.forget(_record(gateway, viewer, job_id).id)
    return see(request, "/jobs?done=forgotten")


@router.post("/replay")
def replay(request: Request, gateway: Gateway, viewer: Viewing, job_id: str, form: Changing) -> Response:
    """Deliver one of its webhooks again."""
    tenant = _record(gateway, viewer, job_id).fields["tenant"]
    gateway.client.webhooks.replay(form["delivery"], tenant=tenant)
    return see(request, f"/jobs/{job_id}?done=replayed")


def _record(gateway: Parts, viewer: Viewer, job_id: str) -> Record:
    """Return the record of a job that the viewer may see.

    Raises:
        JobNotFound: there is none; `JobGone` where there was one.
    """
    try:
        with queue_errors():
            record = gateway.store.jobs.get(job_id)
    except JobGone as gone:
        if viewer.may_see(gone.tenant):
            raise
        raise JobNotFound(f"no job has the id {job_id}") from None
    if not viewer.may_see(record.fields["tenant"]):
        raise JobNotFound(f"no job has the id {job_id}")
    return record


def _seen(gateway: Parts, viewer: Viewer, job_id: str) -> dict[str, Any]:
    """Return what the page shows."""
    record = _record(gateway, viewer, job_id)
    job, prices = record.to_job(), gateway.settings.prices
    status, tenant, batch = _around(gateway, job) if job.state in UNFINISHED else (None, None, None)
    origin = record.origin
    result = record.last("result")
    return {
        "job": job,
        "given": job.input_urls,
        "made": [output for output in job.outputs if isinstance(output, ImageOutput)],
        "words": [output for output in job.outputs if not isinstance(output, ImageOutput)],
        "results": [("output_url", output.url) for output in job.outputs if isinstance(output, ImageOutput)],
        "extra": _plain_fields(job),
        "steps": steps_of(record, prices),
        "cost": cost_of(record, prices),
        "deliveries": _deliveries(gateway, job.tenant, record),
        "trace_id": tracing.trace_id_of(origin),
        "request_id": origin.request_id,
        "vendor_task_id": result.get("vendor_task_id") if result else None,
        "status": status,
        "tenant": tenant,
        "batch": batch,
        "may": {
            "cancel": job.state in UNFINISHED,
            "retry": job.state in MOVES[Event.RETRY][0],
            "forget": job.state in FINAL,
        },
        "may_change": viewer.may_change(job.tenant),
    }


def _around(gateway: Parts, job: Job) -> tuple[DispatchStatus, TenantStatus, Batch | None]:
    """Return what an unfinished job may wait for."""
    with queue_errors():
        status, tenant = gateway.store.dispatch.status(), gateway.store.tenants.status(job.tenant)
    return status, tenant, gateway.client.batches.get(job.batch_id, tenant=job.tenant) if job.batch_id else None


def _plain_fields(job: Job) -> dict[str, Any]:
    """Return what the tool was given that is no URL."""
    urls = {name for name, _ in job.input_urls}
    return {name: value for name, value in job.input.items() if name not in urls and value is not None}


def _deliveries(gateway: Parts, tenant: str, record: Record) -> list[Delivery]:
    """Return the deliveries of the job's end: to its callback_url, and to endpoints. They began when it ended."""
    ended = record.time("finished_at")
    if ended is None:
        return []
    log = gateway.client.webhooks.deliveries(
        tenant=tenant, subject=record.id, after=ended - _AT_ONCE, before=ended + _AT_ONCE, limit=_DELIVERIES
    )
    return log.deliveries
