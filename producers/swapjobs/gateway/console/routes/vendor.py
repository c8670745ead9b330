"""The vendor: the rate and why it is what it is, the breaker and its probes, and the levers."""

from __future__ import annotations

from collections import Counter

from fastapi import APIRouter, Request, Response

from swapjobs.contract.errors import InvalidRequest, ScopeMissing
from swapjobs.gateway.console.pages import page, see
from swapjobs.gateway.console.routing import ConsoleRoute
from swapjobs.gateway.console.session import Changing, Viewing
from swapjobs.gateway.dependencies import Gateway
from swapjobs.store.redis_client import queue_errors

router = APIRouter(prefix="/vendor", route_class=ConsoleRoute)


@router.get("")
def vendor(request: Request, gateway: Gateway, viewer: Viewing, done: str = "") -> Response:
    """Show how calls to the vendor go."""
    with queue_errors():
        store = gateway.store
        snapshot, counted, fleet = store.dispatch.inspect(), store.metrics.read(), store.fleet()
    results = Counter[tuple[str, str]]()
    for (_, call, result), number in counted.counts.get("vendor_calls", {}).items():
        results[call, result] += number
    times = counted.times.get("vendor_call", {})
    return page(
        request,
        viewer,
        "vendor.html",
        snapshot=snapshot,
        status=snapshot.status,
        fleet=fleet,
        results=results.most_common(),
        times=times,
        done=done,
    )


@router.post("/{verb}")
def change(request: Request, gateway: Gateway, viewer: Viewing, verb: str, _: Changing) -> Response:
    """Pause or resume dispatch, or forget what was learned of the rate."""
    if not viewer.may_operate:
        raise ScopeMissing("this needs a key with the scope operate")
    operator = gateway.client.operator
    verbs = {"pause": operator.pause, "resume": operator.resume, "forget-rate": operator.forget_rate}
    if verb not in verbs:
        raise InvalidRequest(f"dispatch can be told to {', '.join(verbs)}")
    verbs[verb]()
    return see(request, f"/vendor?done=vendor_{verb.replace('-', '_')}")
