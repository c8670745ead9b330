"""The vendor-compatible API: a product that calls the vendor changes its base URL, and its calls go through the queue.

Paths, headers, bodies and envelopes are the vendor's (`swapjobs.contract.vendor_api`). What is wrong with a call
stands in `code` within HTTP 200; only 429 and 503 are the HTTP status too, with Retry-After: proxies and clients go by
it.

- A call of a tool whose page shows a result waits for the end of its job and is answered like the vendor's direct
  reply. Not final after `SWAPJOBS_GATEWAY_VENDOR_WAIT_S`: `status` 0, and the product asks `queryTask`, as the vendor's
  pages tell it to. A tool whose page shows an acknowledgement acknowledges at once.
- `callbackUrl` is taken by every tool. With those that document it the product counts on the callback and is answered
  at once; the others wait for the end all the same, since a product can't know of it.
- The same `businessTaskId` and the same body again is the same job, also after it failed: nothing is paid twice. The
  same id with another body is code "422".
- A task that ended and whose record has expired is code "410", never "not known": who takes it for not known sends it
  again, and that is refused in the same way, as long as its tombstone lives (40 days more).
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from swapjobs import actor
from swapjobs.contract.errors import AccessDenied, JobGone, JobNotFound, SwapjobsError
from swapjobs.contract.job import job_id
from swapjobs.contract.lifecycle import FINAL
from swapjobs.contract.vendor_api import (
    KEY_ID_HEADER,
    KEY_SECRET_HEADER,
    BadBody,
    business_id_of,
    envelope,
    read_call,
    read_query,
    request_of,
    vendor_envelope,
)
from swapjobs.contract.vendor_tools.table import LIST_OF_MODELS, TOOLS
from swapjobs.contract.vendor_tools.tool import PREFIX
from swapjobs.gateway import model_list, problems
from swapjobs.gateway.dependencies import actor_of, parts_of
from swapjobs.gateway.problems import HttpProblem
from swapjobs.store.access.api_keys import id_of
from swapjobs.store.redis_client import queue_errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from swapjobs.contract.job import Job
    from swapjobs.contract.request import Request as JobRequest
    from swapjobs.contract.vendor_tools.tool import Tool
    from swapjobs.gateway.auth import Caller
    from swapjobs.gateway.dependencies import Parts
    from swapjobs.store.record import Record

    Answer = Callable[[Parts, Caller, bytes, Request], Awaitable[dict[str, Any]]]

# The limit of a body is ours to tell in the vendor's words; FastAPI's own answer would take the place of it.
_NO_LIMIT: Final = 2**62
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500
# Where our own text speaks of things that the caller does not know.
_IN_THEIR_WORDS: Final = {
    "access_denied": "access key refused",
    "scope_missing": "access key refused",
    "idempotency_conflict": "this businessTaskId was already used for a different request",
    "job_gone": "the task finished and its record has expired; it is not begun anew: use another businessTaskId",
}

router = APIRouter(prefix=PREFIX, include_in_schema=False, max_body_size=_NO_LIMIT)


async def _call(tool: Tool, gateway: Parts, caller: Caller, raw: bytes, request: Request) -> dict[str, Any]:
    """Answer a call of a tool."""
    body = read_call(tool, raw)
    caller.require("submit")
    wanted = request_of(tool, body, caller.tenant)
    job = await _accept(gateway, wanted)
    request.state.job_id = job.id
    if tool.answers_at_once and not (wanted.callback_url and tool.takes_callback):
        wait_s = gateway.settings.gateway_vendor_wait_s
        job = await gateway.job_watch.until_final(job, wait_s, partial(gateway.client.get, job.id), request)
    return vendor_envelope(job, is_query=False)


async def _models(gateway: Parts, caller: Caller, raw: bytes, _: Request) -> dict[str, Any]:
    """Answer a call for the list of models; a worker asks the vendor."""
    caller.require("read")
    asked = read_call(LIST_OF_MODELS, raw).input.stored()
    page = await run_in_threadpool(partial(model_list.ask, gateway.client, **asked))
    paging = {"total": page.total, "pageSize": page.page_size, "pageNum": page.page_num}
    return envelope("200", "success", {"rows": list(page.rows), **paging})


async def _query(
    tools: Sequence[Tool], path: str, gateway: Parts, caller: Caller, raw: bytes, _: Request
) -> dict[str, Any]:
    """Answer a query. A task is known to its own tools only; "not known" is null data."""
    caller.require("read")
    own_id = read_query(raw)
    try:
        id_ = job_id(caller.tenant, business_id_of(own_id))
        job = await run_in_threadpool(gateway.client.get, id_)
    except JobGone:
        raise
    except JobNotFound:
        return envelope("200", "success")
    is_own = job.tool in {tool.name for tool in tools}
    return vendor_envelope(job, path=path) if is_own else envelope("200", "success")


async def _accept(gateway: Parts, request: JobRequest) -> Job:
    """Accept the job, or return the one that has its id.

    Raises:
        JobGone: there was one, it ended, and its record has expired: `SwapClient.submit` would make a new one of it.
    """
    try:
        known = await run_in_threadpool(_known, gateway, request)
    except JobGone:
        raise
    except JobNotFound:
        await gateway.pressure.admit()
    else:
        job = known.to_job()
        # A final record may expire before a submit comes to it; one that is not final can't.
        if job.state in FINAL and known.fields["fingerprint"] == request.fingerprint():
            return job
    job, _ = await gateway.submits.accept(request)
    return job


def _known(gateway: Parts, request: JobRequest) -> Record:
    with queue_errors():
        return gateway.store.jobs.get(job_id(request.tenant, str(request.business_task_id)))


async def _caller_of(gateway: Parts, request: Request) -> Caller:
    """Return whose key the two headers are, and count the request.

    The id is the key's, or the tenant's name for a key of SWAPJOBS_GATEWAY_KEYS; the secret is the whole key. Where the
    gateway needs no keys, a product may go on sending those of the vendor.

    Raises:
        AccessDenied, HttpProblem: nobody's, and the gateway is not open to this caller.
        TooManyRequests: it made too many requests lately.
    """
    key_id, secret = request.headers.get(KEY_ID_HEADER, ""), request.headers.get(KEY_SECRET_HEADER, "")
    caller: Caller | None = None
    with contextlib.suppress(AccessDenied):
        caller = await gateway.access.identify(secret)
    if caller is None or key_id != (caller.key_id if id_of(secret) else caller.tenant):
        caller = await gateway.access.allow_local(request)
    request.state.caller = caller
    request.state.headers = {}
    actor.act(actor_of(caller))
    gateway.access.count(caller, request.state.headers)
    return caller


async def _body(request: Request, limit: int) -> bytes:
    """Return the body.

    Raises:
        HttpProblem: it is larger than `most` bytes.
    """
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise HttpProblem(413, f"the body is larger than {limit} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


@router.post("/{path:path}")
async def answer(path: str, request: Request) -> Response:
    """Answer a call below the vendor's prefix, or say in the vendor's words why there is no answer."""
    gateway = parts_of(request)
    try:
        respond = _answer_of(path)
        caller = await _caller_of(gateway, request)
        raw = await _body(request, gateway.settings.gateway_max_body_bytes)
        return JSONResponse(await respond(gateway, caller, raw, request))
    except BadBody as error:
        return _refusal(400, str(error))
    except HttpProblem as error:
        return _refusal(error.status, error.detail)
    except ClientDisconnect:
        return _refusal(400, "the client went away")
    except SwapjobsError as error:
        result = problems.of_error(error)  # there is one table of statuses
        msg = _IN_THEIR_WORDS.get(error.code, problems.public(error))
        return _refusal(result.status_code, msg, {"Retry-After": result.headers.get("Retry-After", "")})


def _answer_of(path: str) -> Answer:
    """Return what answers at this path.

    Raises:
        BadBody: nothing does. Not "404": that could be read as "task not known".
    """
    for tool in TOOLS.values():
        if tool.is_task and tool.path == path:
            return partial(_call, tool)
    if path == LIST_OF_MODELS.path:
        return _models
    asked = [tool for tool in TOOLS.values() if tool.query and path in {way.path for way in tool.query.ways}]
    if asked:
        return partial(_query, asked, path)
    raise BadBody(_there_is())


def _there_is() -> str:
    paths = ", ".join(tool.path for tool in TOOLS.values())
    return f"there is only POST {PREFIX}/PATH, PATH one of {paths}, and the queries of their tasks"


def _refusal(status: int, msg: str, headers: Mapping[str, str] | None = None) -> Response:
    seen = status if status == _TOO_MANY or status >= _SERVER_ERROR else 200
    present = {name: value for name, value in (headers or {}).items() if value}
    return JSONResponse(envelope(str(status), msg), seen, present)


@router.api_route("/{path:path}", methods=["GET", "PUT", "PATCH", "DELETE"])
async def nothing() -> Response:
    """Answer for every other method."""
    return _refusal(400, _there_is())
