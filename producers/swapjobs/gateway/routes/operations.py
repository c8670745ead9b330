"""Routes of operations: one action on all jobs that fit a filter; and of the audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from swapjobs.contract.audit import AuditPage
from swapjobs.contract.errors import OperationNotFound
from swapjobs.contract.frozen import Model
from swapjobs.contract.job import Name
from swapjobs.contract.operation import Operation, OperationRequest
from swapjobs.contract.wrong_values import form
from swapjobs.gateway.auth import Caller
from swapjobs.gateway.dependencies import Actor, Gateway, Operator, Parts, Reader
from swapjobs.gateway.json_body import JsonObject
from swapjobs.gateway.openapi import BODY_PROBLEMS, body, problems
from swapjobs.gateway.parameters import WRONG_CURSOR

router = APIRouter(prefix="/v1", tags=["operation"])

_SOON_S = 0.3  # a small one is over with the answer
_UNKNOWN = problems("operation_not_found")
_EXAMPLES = {
    "retry what failed": {"value": {"kind": "retry", "error_code": "image_unreachable"}},
    "cancel what is queued of an hour": {
        "value": {"kind": "cancel", "state": "queued", "created_after": "2026-01-31T12:00:00Z"}
    },
    "count first": {"value": {"kind": "forget", "batch_id": "spring", "dry_run": True}},
}


class OperationList(Model):
    """The newest operations."""

    operations: list[Operation]


@router.post(
    "/operations",
    status_code=202,
    responses=problems(*BODY_PROBLEMS, "invalid_request"),
    openapi_extra=body("OperationRequest", _EXAMPLES),
)
def start_operation(caller: Actor, gateway: Gateway, body: JsonObject) -> Operation:
    """Retry, cancel or forget all jobs that are there now and fit: it goes on in the workers until it is done.

    Jobs of the key's tenant; with the scope `operate` `tenant` may name another, and null means everybody's.
    """
    request = OperationRequest.parse({"tenant": caller.tenant, **body})
    if request.tenant != caller.tenant:
        caller.require("operate")
    fields = request.model_dump(exclude={"kind"})
    return gateway.client.operations.start(request.kind, patience_s=_SOON_S, **fields)


@router.get("/operations")
def list_operations(
    caller: Reader, gateway: Gateway, of: Annotated[Name | None, Query(description="only on this tenant's jobs")] = None
) -> OperationList:
    """Return the newest operations, on all jobs for a key with the scope `operate`, else on its tenant's."""
    tenant = of if "operate" in caller.scopes else caller.tenant
    return OperationList(operations=gateway.client.operations.list(tenant=tenant))


@router.get("/operations/{operation_id}", responses=_UNKNOWN)
def get_operation(operation_id: Name, caller: Reader, gateway: Gateway) -> Operation:
    """Tell how far an operation is."""
    return _own(gateway, caller, operation_id)


@router.post("/operations/{operation_id}/stop", responses=_UNKNOWN)
def stop_operation(operation_id: Name, caller: Actor, gateway: Gateway) -> Operation:
    """Do no more of it; what is done stays so."""
    return gateway.client.operations.stop(_own(gateway, caller, operation_id).id)


@router.get("/audit")
def audit(
    _: Operator,
    gateway: Gateway,
    *,
    of: Annotated[Name | None, Query(description="only what concerns this tenant")] = None,
    action: Annotated[
        str | None,
        Query(
            pattern=form(r"^[a-z_.]{1,40}$", "must be small letters, _ and '.', like job."),
            description="only actions that begin so",
        ),
    ] = None,
    cursor: Annotated[str | None, Query(pattern=form(r"^[1-9][0-9]{0,14}-[0-9]{1,15}$", WRONG_CURSOR))] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> AuditPage:
    """Tell what was changed by hand, and by whom, newest first."""
    return gateway.client.operator.audit(tenant=of, action=action, cursor=cursor, limit=limit)


def _own(gateway: Parts, caller: Caller, operation_id: str) -> Operation:
    operation = gateway.client.operations.get(operation_id)
    if operation.tenant != caller.tenant and "operate" not in caller.scopes:
        raise OperationNotFound(f"there is no operation {operation_id!a}")
    return operation
