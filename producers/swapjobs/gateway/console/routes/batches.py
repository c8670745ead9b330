"""Batches: how far they are, what failed, and what can be done with all their jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from swapjobs.contract.batch import Batch
from swapjobs.contract.errors import BatchNotFound, InvalidRequest
from swapjobs.gateway.console.pages import page, see
from swapjobs.gateway.console.routing import ConsoleRoute
from swapjobs.gateway.console.session import Changing, Viewer, Viewing
from swapjobs.gateway.dependencies import Gateway, Parts
from swapjobs.report.page import content_security_policy, jobs_of, report
from swapjobs.store.redis_client import queue_errors

router = APIRouter(prefix="/batches", route_class=ConsoleRoute)

_PAGE: Final = 50


@router.get("")
def batches(
    request: Request, gateway: Gateway, viewer: Viewing, tenant: str | None = None, cursor: str | None = None
) -> Response:
    """List batches, newest first; those of all tenants only as far as one page."""
    chosen = viewer.tenant(tenant)
    if chosen is None:
        newest, after = _of_all(gateway), None
    else:
        newest, after = gateway.client.batches.list(tenant=chosen, cursor=cursor, limit=_PAGE)
    with queue_errors():
        tenants = gateway.store.tenants.names() if viewer.sees_all else []
    return page(request, viewer, "batches.html", batches=newest, next_cursor=after, tenant=chosen, tenants=tenants)


@router.get("/{tenant}/{batch_id}")
def batch(request: Request, gateway: Gateway, viewer: Viewing, tenant: str, batch_id: str, done: str = "") -> Response:
    """Show a batch."""
    item = _own(gateway, viewer, tenant, batch_id)
    return page(request, viewer, "batch.html", batch=item, done=done, may_change=viewer.may_change(tenant))


@router.get("/{tenant}/{batch_id}/live")
def live(request: Request, gateway: Gateway, viewer: Viewing, tenant: str, batch_id: str) -> Response:
    """Show the part of it that changes."""
    return page(request, viewer, "batch_live.html", batch=_own(gateway, viewer, tenant, batch_id))


@router.get("/{tenant}/{batch_id}/report")
def batch_report(request: Request, gateway: Gateway, viewer: Viewing, tenant: str, batch_id: str) -> Response:
    """Return the batch as one page that needs nothing but itself."""
    item = _own(gateway, viewer, tenant, batch_id)
    pictures = gateway.settings.console_pictures
    policy = content_security_policy(pictures=pictures, insecure=request.url.scheme == "http")
    pages = report(item, jobs_of(gateway.client, batch_id, tenant=tenant), pictures=pictures)
    headers = {"Content-Security-Policy": f"{policy}; frame-ancestors 'none'"}
    return StreamingResponse(pages, media_type="text/html", headers=headers)


@router.post("/{tenant}/{batch_id}/{verb}")
def change(
    request: Request, gateway: Gateway, viewer: Viewing, tenant: str, batch_id: str, verb: str, form: Changing
) -> Response:
    """Pause, resume, close or cancel it, or retry what failed, of one error code or all."""
    verbs: Mapping[str, Callable[..., Batch]] = {
        name: getattr(gateway.client.batches, name) for name in ("pause", "resume", "close", "cancel", "retry")
    }
    if verb not in verbs:
        raise InvalidRequest(f"a batch can be told to {', '.join(verbs)}")
    _own(gateway, viewer, tenant, batch_id)
    given: dict[str, Any] = {"error_code": form["code"]} if verb == "retry" and form["code"] else {}
    verbs[verb](batch_id, tenant=tenant, **given)
    return see(request, f"/batches/{tenant}/{batch_id}?done=batch_{verb}")


def _own(gateway: Parts, viewer: Viewer, tenant: str, batch_id: str) -> Batch:
    if not viewer.may_see(tenant):
        raise BatchNotFound(f"tenant {tenant!a} has no batch {batch_id!a}")
    return gateway.client.batches.get(batch_id, tenant=tenant)


def _of_all(gateway: Parts) -> list[Batch]:
    with queue_errors():
        return gateway.store.batches.newest(gateway.store.tenants.names(), _PAGE)
