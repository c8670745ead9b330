"""The overview: is all well, and if not why and what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from swapjobs.gateway.console.overview import Overview, TenantOverview
from swapjobs.gateway.console.pages import page, render
from swapjobs.gateway.console.routing import ConsoleRoute
from swapjobs.gateway.console.session import Viewer, Viewing, is_still_there
from swapjobs.gateway.dependencies import Gateway, Parts

router = APIRouter(route_class=ConsoleRoute)

Shown = Annotated[Literal["hour", "day", "month"], Query(alias="range")]


@router.get("/")
def overview(request: Request, gateway: Gateway, viewer: Viewing, shown: Shown = "hour") -> Response:
    """Show the overview."""
    return page(request, viewer, "overview.html", shown=shown, **_seen(gateway, viewer, shown))


@router.get("/live")
async def live(request: Request, gateway: Gateway, viewer: Viewing, shown: Shown = "hour") -> Response:
    """Tell the overview again whenever it changes."""
    gateway.live.check()
    anybody = replace(viewer, token="")  # what is drawn for many carries nobody's own token: console.js adds it

    def draw() -> bytes:
        template = "overview_live.html" if viewer.sees_all else "overview_tenant.html"
        html = render(request, anybody, template, shown=shown, **_seen(gateway, viewer, shown))
        return format_sse_event(data_str=html)

    room = ("overview", None if viewer.sees_all else viewer.caller.tenant, viewer.may_operate, viewer.language, shown)

    async def events() -> AsyncIterator[bytes]:
        async for drawn in gateway.live.follow(room, draw):
            if not await is_still_there(gateway, viewer):
                yield format_sse_event(data_str="", event="signed-out")
                return
            yield drawn or KEEPALIVE_COMMENT

    return EventSourceResponse(events(), headers={"X-Accel-Buffering": "no"})


def _seen(gateway: Parts, viewer: Viewer, shown: str) -> dict[str, Any]:
    if viewer.sees_all:
        return {"seen": Overview.read(gateway, shown)}
    return {"seen": TenantOverview.read(gateway, viewer.caller.tenant)}
