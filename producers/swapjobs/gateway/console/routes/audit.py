"""The audit log: what was changed by hand, and by whom."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from swapjobs.contract.errors import InvalidRequest
from swapjobs.gateway.console.pages import page
from swapjobs.gateway.console.routing import ConsoleRoute
from swapjobs.gateway.console.session import Viewing
from swapjobs.gateway.dependencies import Gateway

router = APIRouter(prefix="/audit", route_class=ConsoleRoute)


@router.get("")
def audit(
    request: Request,
    gateway: Gateway,
    viewer: Viewing,
    tenant: str = "",
    action: str = "",
    cursor: str | None = None,
) -> Response:
    """List changes, newest first; a tenant's key sees those that concern it."""
    if len(action) > 40:  # noqa: PLR2004 - longer than any
        raise InvalidRequest("action: no action has such a name", field="action")
    listed = gateway.client.operator.audit(tenant=viewer.tenant(tenant), action=action or None, cursor=cursor)
    return page(
        request,
        viewer,
        "audit.html",
        entries=listed.entries,
        next_cursor=listed.next_cursor,
        cursor=cursor,
        action=action,
        tenant=tenant,
    )
