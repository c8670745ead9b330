"""Routes of single jobs: submit, look, list, cancel, retry, and be told of changes."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import WithJsonSchema
from starlette.concurrency import run_in_threadpool

from swapjobs.contract.attempt import AttemptList
from swapjobs.contract.errors import ErrorCode, JobGone, JobNotFound
from swapjobs.contract.fetched_urls import Url
from swapjobs.contract.job import BusinessId, Job, Name
from swapjobs.contract.job import job_id as id_of
from swapjobs.contract.lifecycle import FINAL, JobState
from swapjobs.contract.page import JobPage
from swapjobs.contract.timestamps import Time
from swapjobs.contract.vendor_tools.table import TOOLS
from swapjobs.contract.wrong_values import form
from swapjobs.gateway.auth import Caller
from swapjobs.gateway.dependencies import Actor, Gateway, Parts, Reader, Submitter, parts_of
from swapjobs.gateway.direct_route import DirectRoute, json_answer
from swapjobs.gateway.event_stream import changes, version_of
from swapjobs.gateway.json_body import read_object
from swapjobs.gateway.long_answer import WatchedStream
from swapjobs.gateway.openapi import (
    BODY_PROBLEMS,
    DONE_EXAMPLE,
    EVENTS_EXAMPLE,
    JOB_EXAMPLE,
    SWAP_EXAMPLES,
    body,
    job_answer,
    problems,
)
from swapjobs.gateway.parameters import PLAIN_KEY, PLAIN_URL, WRONG_CURSOR, request_of, wait_of
from swapjobs.gateway.problems import HttpProblem

if TYPE_CHECKING:
    from collections.abc import Callable

# The document names those of a swap; other tools have others.
_URLS: Final = dict.fromkeys(("source_url", "target_url", "second_source_url"), PLAIN_URL)
FreshUrls = Annotated[
    dict[str, Url], WithJsonSchema({"type": "object", "properties": _URLS, "additionalProperties": False})
]


router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
direct = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=DirectRoute)

_SOON_S: Final = 2  # after which it makes sense to ask again how an unfinished job stands
_LATEST_S: Final = 60

JobId = Annotated[str, Path(description="the job's id, or your own: its `business_task_id`")]
Prefer = Annotated[str | None, Header(description="`wait=N`: answer when the job is final, or after N seconds (0..60)")]


@direct.post(
    "",
    status_code=202,
    response_model=Job,
    openapi_extra=body("JobRequest", SWAP_EXAMPLES),
    responses={
        200: job_answer("It is final", DONE_EXAMPLE),
        202: job_answer("It is accepted, and not final yet", JOB_EXAMPLE),
        **problems("idempotency_conflict", "queue_full", *BODY_PROBLEMS),
    },
)
async def submit(
    request: Request,
    caller: Submitter,
    *,
    prefer: Prefer = None,
    idempotency_key: Annotated[
        str | None, Header(description="the same as `business_task_id` in the body", json_schema_extra=PLAIN_KEY)
    ] = None,
) -> Response:
    """Accept a job: from now on it reaches a final state. 202 while it is not final, 200 when it is.

    `Idempotent-Replayed: true` tells that it was accepted before; `Swapjobs-No-Worker: swaps`, after a wait, that no
    worker has been seen for 20 s, so that the job waits until one is started.
    """
    if len(request.headers.getlist("idempotency-key")) > 1:
        raise HttpProblem(400, "Idempotency-Key: is there more than once", field="Idempotency-Key")
    swap = request_of(await read_object(request), caller.tenant, idempotency_key)
    wait_s = wait_of(prefer)  # a wish that can't be understood is refused before the job is accepted
    gateway = parts_of(request)
    await gateway.pressure.admit()
    job, is_new = await gateway.submits.accept(swap)
    request.state.job_id = job.id
    response = await _waited(job, wait_s, caller, gateway, request)
    if not is_new:
        response.headers["Idempotent-Replayed"] = "true"
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return response


@router.get("")
def list_jobs(
    caller: Reader,
    gateway: Gateway,
    *,
    business_task_id: Annotated[BusinessId | None, Query(description="your own id: at most one job")] = None,
    state: JobState | None = None,
    batch_id: Name | None = None,
    error_code: ErrorCode | None = None,
    tool: Annotated[str | None, Query(json_schema_extra={"enum": [*TOOLS]})] = None,
    created_after: Time | None = None,
    created_before: Time | None = None,
    cursor: Annotated[str | None, Query(pattern=form(r"^[1-9][0-9]{0,14}-[0-9]{1,15}$", WRONG_CURSOR))] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> JobPage:
    """List jobs, newest first; all filters given must hold. `next_cursor` gives the next page."""
    return gateway.client.list(
        tenant=caller.tenant,
        business_task_id=business_task_id,
        state=state,
        batch_id=batch_id,
        error_code=error_code,
        tool=tool,
        created_after=created_after,
        created_before=created_before,
        cursor=cursor,
        limit=limit,
    )


@direct.get(
    "/{job_id}",
    response_model=Job,
    responses={
        200: job_answer("How it stands", DONE_EXAMPLE),
        **problems("job_not_found", "job_gone", "malformed_request"),
    },
)
async def get_job(job_id: JobId, request: Request, caller: Reader, prefer: Prefer = None) -> Response:
    """Tell how a job stands; 404 for an unknown one, 410 for one that finished and whose record has expired."""
    gateway = parts_of(request)
    job = await run_in_threadpool(own_job, gateway, caller, job_id)
    return await _waited(job, wait_of(prefer), caller, gateway, request, unfinished=200)


@router.get("/{job_id}/attempts", responses=problems("job_not_found", "job_gone"))
def attempts(job_id: JobId, caller: Reader, gateway: Gateway) -> AttemptList:
    """Tell the attempts at a job, the oldest first: when, by which worker, and what came of each."""
    return AttemptList(attempts=gateway.client.attempts(own_job(gateway, caller, job_id).id))


@router.post(
    "/{job_id}/cancel",
    responses={
        200: job_answer("It is final", {**JOB_EXAMPLE, "state": "cancelled"}),
        **problems("job_not_found", "job_gone"),
    },
)
def cancel(job_id: JobId, caller: Actor, gateway: Gateway) -> Job:
    """Cancel a job; a final one stays as it is."""
    return gateway.client.cancel(own_job(gateway, caller, job_id).id)


@router.delete("/{job_id}", status_code=204, responses=problems("job_not_found", "job_gone", "not_finished"))
def forget(job_id: JobId, caller: Actor, gateway: Gateway) -> None:
    """Delete what is kept of a finished job: URLs, metadata, attempts. From then on it is answered with 410."""
    gateway.client.forget(own_job(gateway, caller, job_id).id)


@router.post(
    "/{job_id}/retry",
    responses={
        200: job_answer("It is queued again", JOB_EXAMPLE),
        **problems("job_not_found", "job_gone", "not_retryable", "idempotency_conflict", "queue_full", *BODY_PROBLEMS),
    },
)
def retry(job_id: JobId, caller: Actor, gateway: Gateway, urls: FreshUrls | None = None) -> Job:
    """Queue a failed, cancelled or expired job again; 409 for others.

    With a body it gets those URLs, by their names in the tool's input: the same pictures under a new signature; 422 for
    other pictures.
    """
    return gateway.client.retry(own_job(gateway, caller, job_id).id, **(urls or {}))


@direct.get(
    "/{job_id}/events",
    response_class=Response,
    responses={
        200: {"description": "Events until the job is final", "content": {"text/event-stream": EVENTS_EXAMPLE}},
        204: {"description": "The job is final, and its last event was seen: there is nothing more to come"},
        **problems("job_not_found", "job_gone"),
    },
)
async def events(
    request: Request,
    job_id: JobId,
    caller: Reader,
    last_event_id: Annotated[str | None, Header(description="the id of the last event that was seen")] = None,
) -> Response:
    """Tell the job as it stands and each change until it is final, as server-sent events: `event` is the state."""
    gateway = parts_of(request)
    look = partial(gateway.job_watch.read, _looking(gateway, caller, job_id))
    job = await look()
    seen = last_event_id or ""
    if job.state in FINAL and version_of(job) == seen:
        return Response(status_code=204)  # which tells a browser not to connect again
    places = gateway.job_watch.watch(job)
    watch = places.__enter__()
    return WatchedStream(places, watch, changes(job, seen, watch, look))


def own_job(gateway: Parts, caller: Caller, job_id: str) -> Job:
    """Return a job of the caller's tenant by its id or `business_task_id`.

    Raises:
        JobNotFound: there is none, or it is another tenant's; `JobGone` when it was the caller's and has expired.
    """
    try:
        job = gateway.client.get(job_id, tenant=caller.tenant)
        if job.tenant != caller.tenant:  # the caller's own id may look like somebody's job
            job = gateway.client.get(id_of(caller.tenant, job_id))
    except JobGone as gone:
        if gone.tenant == caller.tenant:
            raise
    except JobNotFound:
        pass
    else:
        return job
    raise JobNotFound(f"no job has the id {job_id}, and none of yours has this business_task_id")


def retry_after_s(job: Job) -> int:
    """Return after how many seconds it makes sense to ask again."""
    if job.next_attempt_at is None:
        return _SOON_S
    left = (job.next_attempt_at - datetime.now(UTC)).total_seconds()
    return max(_SOON_S, min(_LATEST_S, round(left) + 1))


async def _waited(
    job: Job, wait_s: int | None, caller: Caller, gateway: Parts, request: Request, *, unfinished: int = 202
) -> Response:
    """Wait as long as the caller prefers; return the job with the status and the headers that tell how it went."""
    if wait_s is not None:
        job = await gateway.job_watch.until_final(job, wait_s, _looking(gateway, caller, job.id), request)
    response = json_answer(job, 200 if job.state in FINAL else unfinished)
    if wait_s is not None:
        response.headers["Preference-Applied"] = f"wait={wait_s}"
    if job.state not in FINAL:
        response.headers["Retry-After"] = str(retry_after_s(job))
        if wait_s is not None and (unattended := await run_in_threadpool(gateway.unattended)):
            response.headers["Swapjobs-No-Worker"] = ", ".join(unattended)
    return response


def _looking(gateway: Parts, caller: Caller, job_id: str) -> Callable[[], Job]:
    return lambda: own_job(gateway, caller, job_id)
