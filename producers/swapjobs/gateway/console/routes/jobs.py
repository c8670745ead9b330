"""The list of jobs: filtered, searched, and all that fit acted upon."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from swapjobs.contract.errors import ErrorCode, InvalidRequest, ScopeMissing
from swapjobs.contract.job import Job, job_id
from swapjobs.contract.lifecycle import JobState
from swapjobs.contract.operation import KINDS
from swapjobs.contract.page import JobPage
from swapjobs.contract.vendor_ids import job_of
from swapjobs.contract.vendor_tools.table import TOOLS
from swapjobs.gateway.console.filters import SINCE, Filters
from swapjobs.gateway.console.pages import page, see
from swapjobs.gateway.console.routing import ConsoleRoute
from swapjobs.gateway.console.session import Changing, Viewer, Viewing
from swapjobs.gateway.dependencies import Gateway, Parts
from swapjobs.store.redis_client import queue_errors

router = APIRouter(route_class=ConsoleRoute)

PAGE: Final = 50
_PATIENCE_S: Final = 0.1  # a rare filter is looked for further while this lasts; then the page says how far it came
_COUNT_S: Final = 1.0


@router.get("/jobs")
def jobs(request: Request, gateway: Gateway, viewer: Viewing, cursor: str | None = None) -> Response:
    """List jobs, newest first."""
    filters = Filters.read(request.query_params.get)
    listed, wrong, criteria = JobPage(jobs=[]), "", {}
    try:
        criteria = filters.criteria(viewer.tenant(filters.tenant), datetime.now(UTC))
        listed = _find(gateway, criteria, cursor)
    except InvalidRequest as error:
        wrong = str(error)
    return page(
        request,
        viewer,
        "jobs.html",
        http_status=422 if wrong else 200,
        filters=filters,
        jobs=listed.jobs,
        next_cursor=listed.next_cursor,
        cursor=cursor,
        wrong=wrong,
        known={"state": list(JobState), "tool": list(TOOLS), "code": list(ErrorCode), "since": list(SINCE)},
        tenants=_tenants(gateway) if viewer.sees_all else [],
    )


@router.get("/jobs/rows")
def rows(
    request: Request, gateway: Gateway, viewer: Viewing, ids: Annotated[list[str] | None, Query(alias="id")] = None
) -> Response:
    """Show jobs of a list again as they stand now, in the places where they are; and how many are newer."""
    filters, shown = Filters.read(request.query_params.get), (ids or [])[:PAGE]
    with queue_errors():
        listed = gateway.store.jobs.read_many(shown)
    seen = [job for job in listed if viewer.may_see(job.tenant)]
    newer = 0
    if seen and not filters.before:
        criteria = filters.criteria(viewer.tenant(filters.tenant), datetime.now(UTC))
        newest = max(job.created_at for job in seen)
        first = gateway.client.list(**{**criteria, "created_after": newest}, limit=PAGE)
        newer = sum(job.id not in shown for job in first.jobs)
    return page(request, viewer, "jobs_rows.html", jobs=seen, newer=newer, most=PAGE, filters=filters)


@router.post("/jobs/act")
def act(request: Request, gateway: Gateway, viewer: Viewing, form: Changing) -> Response:
    """Count the jobs to which something is to be done, and ask."""
    kind, filters = form["kind"], Filters.read(form.__getitem__)
    if kind not in KINDS:
        raise InvalidRequest(f"kind: must be one of {', '.join(KINDS)}", field="kind")
    tenant = viewer.tenant(filters.tenant)
    if not viewer.may_change(tenant):
        raise ScopeMissing("this key may change the jobs of its own tenant")
    criteria = filters.criteria(tenant, datetime.now(UTC))
    counted = gateway.client.operations.start(kind, dry_run=True, patience_s=_COUNT_S, **criteria)
    return see(request, f"/operations/{counted.id}")


@router.get("/search")
def search(request: Request, gateway: Gateway, viewer: Viewing, q: str = "") -> Response:
    """Find a job by our id, the product's or the vendor's, and go there; a batch or an operation by its name."""
    text = q.strip()
    ids = _candidates(gateway, viewer, text) if text else []
    with queue_errors():
        listed = [job for job in gateway.store.jobs.read_many(ids) if viewer.may_see(job.tenant)]
    if len(listed) == 1:
        return see(request, f"/jobs/{listed[0].id}")
    if not listed and text.startswith("op-"):
        return see(request, f"/operations/{text}")
    return page(request, viewer, "search.html", http_status=200 if listed else 404, q=text, jobs=listed)


def _find(gateway: Parts, criteria: dict[str, Any], cursor: str | None) -> JobPage:
    """Return a page of jobs; where the filter is rare, as many as are listed in a moment."""
    began, looks = time.monotonic(), 0
    listed: list[Job] = []
    while True:
        part = gateway.client.list(**criteria, cursor=cursor, limit=PAGE - len(listed))
        listed += part.jobs
        cursor = part.next_cursor
        looks += 1
        next_one_ends = (time.monotonic() - began) * (looks + 1) / looks
        if cursor is None or len(listed) == PAGE or next_one_ends > _PATIENCE_S:
            return JobPage(jobs=listed, next_cursor=cursor)


def _candidates(gateway: Parts, viewer: Viewer, text: str) -> list[str]:
    """Return the ids of the jobs that may be meant: each is a function of the text, so that none is looked for."""
    by_vendor = job_of(text, prefix=gateway.settings.vendor_id_prefix, suffix=gateway.settings.vendor_id_suffix)
    tenants = _tenants(gateway) if viewer.sees_all else [viewer.caller.tenant]
    by_product = [job_id(tenant, text) for tenant in tenants]
    return list(dict.fromkeys([text, *([by_vendor] if by_vendor else []), *by_product]))


def _tenants(gateway: Parts) -> list[str]:
    with queue_errors():
        return gateway.store.tenants.names()
