"""Webhooks: the endpoints and their health, the deliveries and their tries; test and replay."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import APIRouter, Request, Response

from swapjobs.contract.errors import InvalidRequest, ScopeMissing
from swapjobs.gateway.console.pages import page, see
from swapjobs.gateway.console.routing import ConsoleRoute
from swapjobs.gateway.console.session import Changing, Viewer, Viewing
from swapjobs.gateway.dependencies import Gateway
from swapjobs.store.redis_client import queue_errors

router = APIRouter(prefix="/webhooks", route_class=ConsoleRoute)

_PAGE: Final = 50
_STATES: Final = ("pending", "delivered", "undelivered")
_REPLAYED_FROM: Final = timedelta(days=3)
_PATIENCE_S: Final = 5.0


@router.get("")
def webhooks(
    request: Request,
    gateway: Gateway,
    viewer: Viewing,
    tenant: str | None = None,
    state: str = "",
    endpoint: str = "",
    cursor: str | None = None,
    done: str = "",
) -> Response:
    """Show endpoints, those of all tenants where none is chosen, and the deliveries of one tenant."""
    chosen, of = viewer.tenant(tenant), viewer.one_tenant(tenant)
    if state and state not in _STATES:
        raise InvalidRequest(f"state: must be one of {', '.join(_STATES)}", field="state")
    log = gateway.client.webhooks.deliveries(
        tenant=of, state=state or None, endpoint_id=endpoint or None, cursor=cursor, limit=_PAGE
    )
    with queue_errors():
        endpoints = gateway.store.endpoints.list(chosen) if chosen else gateway.store.endpoints.all()
        tenants = gateway.store.tenants.names() if viewer.sees_all else []
    return page(
        request,
        viewer,
        "webhooks.html",
        endpoints=endpoints,
        deliveries=log.deliveries,
        next_cursor=log.next_cursor,
        tenant=of,
        chosen=chosen,
        tenants=tenants,
        state=state,
        endpoint=endpoint,
        states=_STATES,
        done=done,
        may_change=viewer.may_change(of),
    )


@router.post("/endpoints/{tenant}/{endpoint_id}/{verb}")
def change_endpoint(
    request: Request, gateway: Gateway, viewer: Viewing, tenant: str, endpoint_id: str, verb: str, _: Changing
) -> Response:
    """Enable, disable or test an endpoint."""
    _check(viewer, tenant)
    if verb == "test":
        gateway.client.webhooks.test(endpoint_id, tenant=tenant)
    elif verb in {"enable", "disable"}:
        gateway.client.webhooks.update(endpoint_id, tenant=tenant, enabled=verb == "enable")
    else:
        raise InvalidRequest("an endpoint can be told to enable, disable or test")
    return see(request, f"/webhooks?tenant={tenant}&done=endpoint_{verb}")


@router.post("/deliveries/{tenant}/replay")
def replay(request: Request, gateway: Gateway, viewer: Viewing, tenant: str, form: Changing) -> Response:
    """Begin the tries of one delivery anew; without one, of all that were given up in the last days."""
    _check(viewer, tenant)
    if form["delivery"]:
        gateway.client.webhooks.replay(form["delivery"], tenant=tenant)
        return see(request, f"/webhooks?tenant={tenant}&done=replayed")
    until, cursor = time.monotonic() + _PATIENCE_S, None
    since = datetime.now(UTC) - _REPLAYED_FROM
    while True:
        _, cursor = gateway.client.webhooks.replay_some(since, tenant=tenant, cursor=cursor)
        if cursor is None or time.monotonic() > until:
            more = "replayed_all" if cursor is None else "replayed_some"
            return see(request, f"/webhooks?tenant={tenant}&done={more}")


def _check(viewer: Viewer, tenant: str) -> None:
    viewer.tenant(tenant)
    if not viewer.may_change(tenant):
        raise ScopeMissing("this key may change what is its own tenant's")
