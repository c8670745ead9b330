"""Routes of the operator's levers, for keys with the scope `operate`: dispatch, the learned rate, tenants."""

from __future__ import annotations

from fastapi import APIRouter

from swapjobs.contract.dispatch_status import DispatchStatus, LearnedRate
from swapjobs.contract.frozen import Model
from swapjobs.contract.job import Name
from swapjobs.contract.tenant import TenantLimits, TenantStatus
from swapjobs.gateway.dependencies import Gateway, Operator
from swapjobs.gateway.json_body import JsonObject
from swapjobs.gateway.openapi import BODY_PROBLEMS, body, problems

router = APIRouter(prefix="/v1", tags=["operation"])

_LIMITS = {
    "5/s, ten at a time": {"value": {"rate": "5/s", "max_in_flight": 10}},
    "paused": {"value": {"paused": True}},
    "no limit of its own": {"value": {"rate": None, "max_in_flight": 0}},
}


class TenantList(Model):
    """All tenants that have jobs or limits of their own."""

    tenants: list[TenantStatus]


@router.get("/dispatch")
def dispatch(_: Operator, gateway: Gateway) -> DispatchStatus:
    """Tell how dispatch stands: running, or paused and why, and how many jobs are queued."""
    return gateway.client.operator.status()


@router.post("/dispatch/pause")
def pause_dispatch(_: Operator, gateway: Gateway) -> DispatchStatus:
    """Pause dispatch until it is resumed: calls under way end as ever, jobs are accepted and wait."""
    return gateway.client.operator.pause()


@router.post("/dispatch/resume")
def resume_dispatch(_: Operator, gateway: Gateway) -> DispatchStatus:
    """Resume dispatch after a pause; where failing calls opened the breaker, let the vendor be probed at once."""
    return gateway.client.operator.resume()


@router.post("/rate/forget")
def forget_rate(_: Operator, gateway: Gateway) -> LearnedRate:
    """Forget what refusals taught about the rate: the limit is used in full again, until the next ones."""
    return LearnedRate.model_validate(gateway.client.operator.forget_rate())


@router.get("/tenants")
def list_tenants(_: Operator, gateway: Gateway) -> TenantList:
    """Return all tenants, with their own limits and what is queued of theirs."""
    return TenantList(tenants=gateway.client.operator.tenants())


@router.patch(
    "/tenants/{name}",
    responses=problems(*BODY_PROBLEMS, "invalid_request"),
    openapi_extra=body("TenantLimits", _LIMITS),
)
def limit_tenant(name: Name, _: Operator, body: JsonObject, gateway: Gateway) -> TenantLimits:
    """Change a tenant's own limits; what the body does not name stays as it is."""
    return gateway.client.operator.set_tenant(name, **{key: value for key, value in body.items() if key != "tenant"})
