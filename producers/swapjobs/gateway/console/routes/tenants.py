"""Tenants: what is queued of theirs, what became of their jobs, and limits of their own."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from swapjobs.contract.errors import InvalidRequest, ScopeMissing
from swapjobs.gateway.console.pages import page, see
from swapjobs.gateway.console.routing import ConsoleRoute
from swapjobs.gateway.console.session import Changing, Viewing
from swapjobs.gateway.dependencies import Gateway
from swapjobs.store.redis_client import queue_errors

router = APIRouter(prefix="/tenants", route_class=ConsoleRoute)


@router.get("")
def tenants(request: Request, gateway: Gateway, viewer: Viewing, done: str = "") -> Response:
    """List the tenants; a tenant's key sees its own line."""
    with queue_errors():
        store = gateway.store
        store.metrics.read()
        statuses = store.tenants.statuses() if viewer.sees_all else [store.tenants.status(viewer.caller.tenant)]
        today, month = store.trends.usage(1), store.trends.usage(30)
    rows = [(status, today.get(status.tenant, {}), month.get(status.tenant, {})) for status in statuses]
    return page(request, viewer, "tenants.html", rows=rows, done=done)


@router.get("/{name}")
def tenant(request: Request, gateway: Gateway, viewer: Viewing, name: str, done: str = "") -> Response:
    """Show a tenant, with a form for its limits."""
    viewer.tenant(name)
    with queue_errors():
        status = gateway.store.tenants.status(name)
        month = gateway.store.trends.usage(30).get(name, {})
    return page(request, viewer, "tenant.html", status=status, month=month, done=done, wrong="")


@router.post("/{name}")
def limit(request: Request, gateway: Gateway, viewer: Viewing, name: str, form: Changing) -> Response:
    """Change a tenant's limits."""
    if not viewer.may_operate:
        raise ScopeMissing("to limit tenants needs a key with the scope operate")
    ttl = form["result_ttl_h"]
    try:
        limits: dict[str, Any] = {
            "rate": form["rate"] or None,
            "max_in_flight": form["max_in_flight"] or 0,
            "weight": form["weight"] or 1,
            "paused": form["paused"] == "yes",
            "result_ttl_s": round(float(ttl) * 3600) if ttl else None,
        }
    except (ValueError, OverflowError):
        raise InvalidRequest("result_ttl_h: must be hours", field="result_ttl_h") from None
    gateway.client.operator.set_tenant(name, **limits)
    return see(request, f"/tenants/{name}?done=limited")
