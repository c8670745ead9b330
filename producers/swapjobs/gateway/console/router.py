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
from swapjobs.gateway.console.routing import ConsoleRoute
from swapjobs.gateway.console.session import Viewing
from swapjobs.gateway.problems import HttpProblem

router = APIRouter(prefix=PREFIX, include_in_schema=False)


@router.get("")
async def without_slash(request: Request) -> Response:
    """Go to the first page."""
    return RedirectResponse(f"{base_of(request)}/", 308)


for subject in (session, overview, jobs, job, batches, webhooks, tenants, vendor, operations, audit):
    router.include_router(subject.router)

elsewhere = APIRouter(route_class=ConsoleRoute)


@elsewhere.get("/{place:path}")
async def nothing(place: str, _: Viewing) -> Response:
    """Say that there is no such page."""
    raise HttpProblem(404, f"there is no page {place!a} in this console")


router.include_router(elsewhere)
