"""Operations: what is done to all jobs that fit a filter, counted first, confirmed, and followed to its end."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from swapjobs.contract.errors import InvalidRequest, OperationNotFound, ScopeMissing
from swapjobs.contract.operation import Operation
from swapjobs.gateway.console.pages import page, see
from swapjobs.gateway.console.routing import ConsoleRoute
from swapjobs.gateway.console.session import Changing, Viewer, Viewing
from swapjobs.gateway.dependencies import Gateway, Parts

router = APIRouter(prefix="/operations", route_class=ConsoleRoute)

_SOON_S = 0.3  # a small one is over with the answer


@router.get("")
def operations(request: Request, gateway: Gateway, viewer: Viewing) -> Response:
    """List the newest operations."""
    newest = gateway.client.operations.list(tenant=None if viewer.sees_all else viewer.caller.tenant)
    return page(request, viewer, "operations.html", operations=newest)


@router.get("/{operation_id}")
def operation(request: Request, gateway: Gateway, viewer: Viewing, operation_id: str) -> Response:
    """Show how far one is; of one that only counted, ask whether to do it."""
    item = _own(gateway, viewer, operation_id)
    return page(request, viewer, "operation.html", operation=item, may_change=viewer.may_change(item.tenant))


@router.get("/{operation_id}/live")
def live(request: Request, gateway: Gateway, viewer: Viewing, operation_id: str) -> Response:
    """Show the part of it that changes."""
    item = _own(gateway, viewer, operation_id)
    return page(request, viewer, "operation_live.html", operation=item, may_change=viewer.may_change(item.tenant))


@router.post("/{operation_id}/do")
def do(request: Request, gateway: Gateway, viewer: Viewing, operation_id: str, _: Changing) -> Response:
    """Do what was counted: to the jobs that were there then, and fit now."""
    counted = _own(gateway, viewer, operation_id)
    if not counted.dry_run or counted.status != "done":
        raise InvalidRequest("only what was counted to its end can be done")
    _check(viewer, counted)
    fields = counted.model_dump(include={"tenant", "batch_id", "state", "error_code", "tool", "created_after"})
    until = counted.created_before or counted.created_at
    begun = gateway.client.operations.start(counted.kind, patience_s=_SOON_S, created_before=until, **fields)
    return see(request, f"/operations/{begun.id}")


@router.post("/{operation_id}/stop")
def stop(request: Request, gateway: Gateway, viewer: Viewing, operation_id: str, _: Changing) -> Response:
    """Do no more of it."""
    item = _own(gateway, viewer, operation_id)
    _check(viewer, item)
    gateway.client.operations.stop(item.id)
    return see(request, f"/operations/{item.id}")


def _own(gateway: Parts, viewer: Viewer, operation_id: str) -> Operation:
    item = gateway.client.operations.get(operation_id)
    if not viewer.may_see(item.tenant):
        raise OperationNotFound(f"there is no operation {operation_id!a}")
    return item


def _check(viewer: Viewer, item: Operation) -> None:
    if not viewer.may_change(item.tenant):
        raise ScopeMissing("this key may change the jobs of its own tenant")
