"""The overview: is all well, and if not why and what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from swapjobs.gateway.console.overview import Overview, TenantOverview
from swapjobs.gateway.console.pages import page, render
from swapjobs.gateway.console.routing import ConsoleRoute
from swapjobs.gateway.console.session import Viewer, Viewing, is_still_there
from swapjobs.gateway.dependencies import Gateway, Parts
from swapjobs.store.redis_client import queue_errors

router = APIRouter(route_class=ConsoleRoute)

Shown = Annotated[Literal["hour", "day", "month"], Query(alias="range")]


@router.get("/")
def overview(request: Request, gateway: Gateway, viewer: Viewing, shown: Shown = "hour") -> Response:
    """Show the overview."""
    return page(request, viewer, "overview.html", shown=shown, **_seen(gateway, viewer, shown))


@router.get("/live")
async def live(request: Request, gateway: Gateway, viewer: Viewing, shown: Shown = "hour") -> Response:
    """Tell the overview again whenever it changes."""

    def draw() -> str:
        template = "overview_live.html" if viewer.sees_all else "overview_tenant.html"
        return render(request, viewer, template, shown=shown, **_seen(gateway, viewer, shown))

    room = ("overview", None if viewer.sees_all else viewer.caller.tenant, viewer.may_operate, viewer.language, shown)

    async def events() -> AsyncIterator[bytes]:
        async for drawn in gateway.live.follow(room, draw):
            if not await is_still_there(gateway, viewer):
                yield format_sse_event(data_str="", event="signed-out")
                return
            yield KEEPALIVE_COMMENT if drawn is None else format_sse_event(data_str=drawn)

    return EventSourceResponse(events(), headers={"X-Accel-Buffering": "no"})


def _seen(gateway: Parts, viewer: Viewer, shown: str) -> dict[str, Any]:
    if viewer.sees_all:
        return {"seen": Overview.read(gateway, shown)}
    with queue_errors():
        return {"seen": TenantOverview.read(gateway, viewer.caller.tenant)}
