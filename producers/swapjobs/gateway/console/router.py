"""All routes of the console, below /console."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from swapjobs.gateway.console.pages import PREFIX, base_of
from swapjobs.gateway.console.routes import (
    audit,
    batches,
    job,
    jobs,
    operations,
    overview,
    session,
    tenants,
    vendor,
    webhooks,
)

router = APIRouter(prefix=PREFIX, include_in_schema=False)


@router.get("")
async def without_slash(request: Request) -> Response:
    """Go to the first page."""
    return RedirectResponse(f"{base_of(request)}/", 308)


for subject in (session, overview, jobs, job, batches, webhooks, tenants, vendor, operations, audit):
    router.include_router(subject.router)
