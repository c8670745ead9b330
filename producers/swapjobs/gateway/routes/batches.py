"""Routes of batches: send many rows at once, see how they stand, steer them, and read the report."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, StreamingResponse

from swapjobs.contract.batch import Batch
from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.frozen import Model
from swapjobs.contract.job import Name
from swapjobs.contract.wrong_values import form
from swapjobs.gateway.batch_upload import MEDIA_TYPES, JsonLines, Upload, UploadAnswer
from swapjobs.gateway.dependencies import Actor, Gateway, Reader, Submitter
from swapjobs.gateway.json_body import charset, media_type
from swapjobs.gateway.openapi import problems
from swapjobs.gateway.parameters import WRONG_CURSOR, PlainUrl
from swapjobs.gateway.problems import HttpProblem
from swapjobs.ingest.columns import Columns
from swapjobs.ingest.line_reader import check_encoding
from swapjobs.ingest.row_reader import Reading
from swapjobs.report.page import content_security_policy, jobs_of, report

router = APIRouter(prefix="/v1/batches", tags=["batches"])

_ANY_LENGTH: Final = 2**62  # the rows are limited, one by one
_ROWS: Final = """\
{"source_url": "https://example.com/face.jpg", "target_url": "https://example.com/1.jpg", "business_task_id": "a-1"}
{"source_url": "https://example.com/face.jpg", "target_url": "https://example.com/2.jpg", "business_task_id": "a-2"}
"""
_CSV: Final = """\
source_url,target_url,business_task_id
https://example.com/face.jpg,https://example.com/1.jpg,a-1
"""
_TOLD: Final = """\
{"line":1,"id":"nfkdnbr4p3tc2dzc2rzlbnrl","outcome":"created","error":null}
{"line":2,"id":null,"outcome":"invalid","error":"is not JSON: Expecting value at column 1"}
{"summary":{"batch_id":"spring","state":"closed","complete":true,"rows":2,"created":1,"existing":0,"conflict":0,\
"invalid":1,"refused":0,"error":null}}
"""
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string"}, "example": _ROWS if "json" in kind else _CSV}
            for kind in MEDIA_TYPES[:3]
        },
    }
}
_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "one JSON line for each row, and a last one with the sums",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}, "example": _TOLD}},
    },
    **problems("unsupported_media_type", "queue_full"),
}
_UNKNOWN: Final = problems("batch_not_found")


class BatchPage(Model):
    """Some batches, newest first."""

    batches: list[Batch]
    next_cursor: str | None = None


@router.post("", response_class=JsonLines, responses=_ANSWER, openapi_extra=_BODY, max_body_size=_ANY_LENGTH)
async def upload(
    request: Request,
    caller: Submitter,
    gateway: Gateway,
    *,
    batch_id: Annotated[Name | None, Query(description="send the same rows with the same id again at any time")] = None,
    callback_url: Annotated[PlainUrl | None, Query(description="is told when the batch is completed")] = None,
    close: Annotated[bool, Query(description="the batch takes no more jobs after these")] = False,
    map_columns: Annotated[
        list[str] | None,
        Query(
            alias="map",
            description="a column of your own, as OWN=FIELD: url=source_url, sku=metadata.sku",
            json_schema_extra={"items": {"type": "string", "pattern": "^[a-z]{1,8}=metadata\\.[a-z]{1,8}$"}},
        ),
    ] = None,
    ignore_unknown: Annotated[bool, Query(description="leave out columns that are no field")] = False,
) -> UploadAnswer:
    """Accept a job for each row of the body: JSON lines, or CSV with a header, of any length.

    CSV is read as spreadsheets write it: commas, semicolons, tabs or bars between cells, UTF-8 or UTF-16, or the
    `charset` of the Content-Type; blank rows are passed over.

    The answer tells what became of each row while the body is still coming in: `created`, `existing`, `conflict`,
    `invalid`, or `refused`. A bad row costs only itself. A row without a business_task_id gets `<batch id>-<line>` for
    one, so the same body may be sent again for the same batch, also after a disconnect in the middle: what was accepted
    is kept and found again as `existing`. While the queue is full the body is not read on; rows for which there is
    no room within 30 s are `refused`, and a batch with such rows is not closed. The last line sums up; without it
    the answer is not whole.
    """
    kind = media_type(request)
    if kind not in MEDIA_TYPES:
        known = ", ".join(MEDIA_TYPES)
        raise HttpProblem(415, f"the header Content-Type must be one of {known}; it is {kind or 'missing'}")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HttpProblem(415, "the header Content-Encoding: send the rows as they are", field="Content-Encoding")
    columns = Columns.parse(map_columns or (), ignore_unknown=ignore_unknown)
    encoding = charset(request)
    limit = gateway.settings.gateway_max_body_bytes
    reading = Reading(columns, check_encoding(encoding) if encoding else None, limit)
    begun = Upload(gateway, request.receive, caller.tenant, reading, batch_id=batch_id, close=close)
    await begun.begin(callback_url)
    return UploadAnswer(begun)


@router.get("")
def list_batches(
    caller: Reader,
    gateway: Gateway,
    cursor: Annotated[str | None, Query(pattern=form(r"^[0-9]{1,15}~[A-Za-z0-9._-]{1,64}$", WRONG_CURSOR))] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> BatchPage:
    """List batches, newest first."""
    batches, after = gateway.client.batches.list(tenant=caller.tenant, cursor=cursor, limit=limit)
    return BatchPage(batches=batches, next_cursor=after)


@router.get("/{batch_id}", responses=_UNKNOWN)
def get_batch(batch_id: Name, caller: Reader, gateway: Gateway) -> Batch:
    """Tell how a batch stands: jobs by state and error code, rate, estimated end."""
    return gateway.client.batches.get(batch_id, tenant=caller.tenant)


@router.put("/{batch_id}", name="open_batch")
def open_batch(
    batch_id: Name,
    caller: Submitter,
    gateway: Gateway,
    callback_url: Annotated[PlainUrl | None, Query(description="is told when the batch is completed")] = None,
) -> Batch:
    """Open a batch before it has jobs; one that is there already stays as it is, but for the `callback_url`.

    Jobs and rows that name a batch open it too.
    """
    return gateway.client.batches.open(batch_id, tenant=caller.tenant, callback_url=callback_url)


@router.post("/{batch_id}/close", name="close_batch", responses=_UNKNOWN)
def close(batch_id: Name, caller: Actor, gateway: Gateway) -> Batch:
    """Let a batch take no more jobs: once all are final it is completed, and its callback_url is told."""
    return gateway.client.batches.close(batch_id, tenant=caller.tenant)


@router.post("/{batch_id}/pause", name="pause_batch", responses=_UNKNOWN)
def pause(batch_id: Name, caller: Actor, gateway: Gateway) -> Batch:
    """Start none of its jobs until `resume`; those that run go on."""
    return gateway.client.batches.pause(batch_id, tenant=caller.tenant)


@router.post("/{batch_id}/resume", name="resume_batch", responses=_UNKNOWN)
def resume(batch_id: Name, caller: Actor, gateway: Gateway) -> Batch:
    """Let the jobs of a paused batch start again; what takes long goes on by itself, `operation` says so meanwhile."""
    return gateway.client.batches.resume(batch_id, tenant=caller.tenant)


@router.post("/{batch_id}/cancel", name="cancel_batch", responses=_UNKNOWN)
def cancel(batch_id: Name, caller: Actor, gateway: Gateway) -> Batch:
    """Cancel all its jobs that are not final; what takes long goes on by itself, `operation` says so meanwhile."""
    return gateway.client.batches.cancel(batch_id, tenant=caller.tenant)


@router.post("/{batch_id}/retry", name="retry_batch", responses=_UNKNOWN)
def retry(batch_id: Name, caller: Actor, gateway: Gateway, error_code: ErrorCode | None = None) -> Batch:
    """Let its failed jobs run again: all, or those with one error code. That is a new round of the batch."""
    return gateway.client.batches.retry(batch_id, tenant=caller.tenant, error_code=error_code)


@router.get("/{batch_id}/report", response_class=HTMLResponse, responses=_UNKNOWN)
def batch_report(
    batch_id: Name,
    request: Request,
    caller: Reader,
    gateway: Gateway,
    *,
    pictures: Annotated[bool, Query(description="no: no thumbnails, and no query strings of URLs in the page")] = True,
) -> StreamingResponse:
    """Return the batch as one HTML page that needs nothing but itself: figures, charts, and a list to search."""
    batch = gateway.client.batches.get(batch_id, tenant=caller.tenant)
    policy = content_security_policy(pictures=pictures, insecure=request.url.scheme == "http")
    jobs = jobs_of(gateway.client, batch_id, tenant=caller.tenant)
    return StreamingResponse(
        report(batch, jobs, pictures=pictures),
        media_type="text/html",
        headers={"Content-Security-Policy": f"{policy}; frame-ancestors 'none'"},
    )
