"""What FastAPI hands to routes: the gateway's parts, made once by the app, and the authenticated caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from swapjobs import actor
from swapjobs.client.swap_client import SwapClient
from swapjobs.contract.errors import AccessDenied, InvalidRequest, ScopeMissing
from swapjobs.contract.scope import ALL_TENANTS
from swapjobs.contract.wrong_values import did_you_mean
from swapjobs.gateway.auth import Access, Caller
from swapjobs.gateway.job_watch import JobWatch
from swapjobs.settings import GatewaySettings
from swapjobs.store.redis_client import queue_errors

if TYPE_CHECKING:
    from collections.abc import Collection

    from swapjobs.gateway.backpressure import Pressure
    from swapjobs.gateway.broadcast import Broadcast
    from swapjobs.gateway.group_submit import GroupSubmit
    from swapjobs.store.store import Store


@dataclass(frozen=True, slots=True)
class Parts:
    """The gateway's parts. `client` blocks: call it with `run_in_threadpool`, or in a route without `async`."""

    settings: GatewaySettings
    client: SwapClient
    store: Store
    submits: GroupSubmit
    job_watch: JobWatch
    access: Access
    pressure: Pressure
    live: Broadcast

    def stop(self) -> None:
        """Let whoever waits here go: the gateway ends."""
        self.job_watch.stop()
        self.live.stop()

    def unattended(self) -> list[str]:
        """Return the queues in which something waits and nobody works; it blocks; cheap while all have workers."""
        with queue_errors():
            return self.store.dispatch.unattended()


def parts_of(request: Request) -> Parts:
    """Return the parts of the app that serves the request."""
    parts: Parts = request.app.state.parts
    return parts


Gateway = Annotated[Parts, Depends(parts_of)]


_bearer = HTTPBearer(auto_error=False, description="a key of `swapjobs keys create`")  # for the OpenAPI document


async def authenticate(
    request: Request,
    gateway: Gateway,
    needed: SecurityScopes,
    _: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None,
) -> Caller:
    """Return who calls, by the header Authorization, if the key allows what the route needs."""
    return await caller_of(request, gateway, needed.scopes)


async def caller_of(request: Request, gateway: Parts, needed: Collection[str]) -> Caller:
    """Return who makes a request for which a key needs these scopes.

    Raises:
        AccessDenied, HttpProblem: nobody whom the gateway serves.
        ScopeMissing: the key does not allow it.
        TooManyRequests: the key made too many lately.
        InvalidRequest: the query has a parameter that the route does not know.
    """
    access = gateway.access
    scheme, _space, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        caller = await access.identify(key.strip())
    elif scheme:
        raise AccessDenied("the header Authorization must be: Bearer <key>")
    else:
        caller = await access.allow_local(request)
    request.state.caller = caller
    request.state.headers = {}
    actor.act(actor_of(caller))
    access.count(caller, request.state.headers)
    for scope in needed:
        caller.require(scope)
    if caller.tenant == ALL_TENANTS and not {"metrics", "operate"}.issuperset(needed):
        raise ScopeMissing("jobs are one tenant's: a key for all tenants is for the console, /metrics and the levers")
    if request.scope["query_string"]:
        _check_query(request, caller)
    return caller


def actor_of(caller: Caller) -> actor.Actor:
    """Return under which name a caller's changes are written down."""
    return actor.Actor(f"key {caller.key_id}" if caller.key_id else "a program of this machine, without a key", "http")


Authenticated = Annotated[Caller, Depends(authenticate)]
Submitter = Annotated[Caller, Security(authenticate, scopes=["submit"])]
Reader = Annotated[Caller, Security(authenticate, scopes=["read"])]
Actor = Annotated[Caller, Security(authenticate, scopes=["act"])]
Operator = Annotated[Caller, Security(authenticate, scopes=["operate"])]


def _check_query(request: Request, caller: Caller) -> None:
    """Refuse a parameter that the route does not know, or that is there twice: a filter would not be what was meant."""
    if request.query_params.get("tenant", caller.tenant) != caller.tenant:
        raise InvalidRequest("tenant: the key belongs to another tenant; leave it out", field="tenant")
    route: Any = request.scope["route"]
    known = {"tenant", *(parameter.alias for parameter in route.dependant.query_params)}
    strange = next((name for name in request.query_params if name not in known), None)
    if strange is not None:
        own = sorted(known - {"tenant"})
        text = f"{strange}: is no query parameter here; known are {', '.join(own) or 'none'}"
        raise InvalidRequest(text + did_you_mean(strange, own), field=strange[:64])
    single = known - {item.alias for item in route.dependant.query_params if "list" in str(item.field_info.annotation)}
    twice = next((name for name in single if len(request.query_params.getlist(name)) > 1), None)
    if twice is not None:
        raise InvalidRequest(f"{twice}: is there more than once", field=twice)
