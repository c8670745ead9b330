"""Routes of webhooks: the endpoints that are told of a tenant's events, and the log of deliveries."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar

from fastapi import APIRouter, Query, Response
from pydantic import ConfigDict, Field, ValidationError

from swapjobs.contract.frozen import Model
from swapjobs.contract.job import invalid
from swapjobs.contract.page import DeliveryPage
from swapjobs.contract.timestamps import Time
from swapjobs.contract.webhook import Delivery, Endpoint, EndpointSecret, EventType
from swapjobs.contract.wrong_values import form
from swapjobs.gateway.dependencies import Actor, Gateway, Reader
from swapjobs.gateway.json_body import JsonObject
from swapjobs.gateway.openapi import BODY_PROBLEMS, problems
from swapjobs.gateway.parameters import WRONG_CURSOR, PlainUrl

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

DeliveryState = Literal["pending", "delivered", "undelivered"]


class _Body(Model):
    model_config = ConfigDict(extra="forbid")


class NewEndpoint(_Body):
    """What an endpoint is made of."""

    url: PlainUrl = Field(examples=["https://shop.example/hooks/swap"])
    events: list[EventType] = Field(default=[], description="none: all of them")


class EndpointChange(_Body):
    """What is to change; what is left out stays as it is."""

    url: PlainUrl | None = None
    events: list[EventType] | None = Field(default=None, description="an empty list: all of them")
    enabled: bool | None = None


class Rotation(_Body):
    """How the secret is changed."""

    overlap_s: float = Field(
        default=86_400, strict=True, ge=0, le=30 * 86_400, description="the old secret signs too so long"
    )


class ReplaySince(_Body):
    """Which deliveries are begun anew."""

    since: Time = Field(examples=["2026-11-23T00:00:00Z"])
    state: Literal["undelivered", "delivered"] = "undelivered"
    endpoint_id: str | None = None
    cursor: str | None = Field(
        default=None, pattern=form(r"^[0-9]{1,15}~[0-9]{1,15}\..+$", WRONG_CURSOR), description="of the answer before"
    )


class Replayed(Model):
    """The deliveries that were begun anew."""

    ids: list[str]
    next_cursor: str | None = Field(description="ask again with it: there may be more")


class EndpointList(Model):
    """All endpoints of a tenant, oldest first."""

    endpoints: list[Endpoint]


B = TypeVar("B", bound=_Body)
_BLOCKS: Final = 10  # for one request; more would keep a thread from everybody else
_UNKNOWN: Final = problems("endpoint_not_found")
_UNKNOWN_DELIVERY: Final = problems("delivery_not_found")
_BODY: Final = problems(*BODY_PROBLEMS)


def _takes(model: type[_Body]) -> dict[str, Any]:
    """Return what OpenAPI is told of a body; it is read by `JsonObject`, which is strict about what JSON is."""
    schema = model.model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


@router.post("/endpoints", status_code=201, openapi_extra=_takes(NewEndpoint), responses=_BODY)
def add_endpoint(caller: Actor, body: JsonObject, response: Response, gateway: Gateway) -> EndpointSecret:
    """Register a URL that is told of events; the answer holds the secret that verifies them."""
    given = _read(NewEndpoint, body)
    made = gateway.client.webhooks.add(given.url, tenant=caller.tenant, events=tuple(given.events))
    response.headers["Location"] = f"/v1/webhooks/endpoints/{made.id}"
    return made


@router.get("/endpoints")
def list_endpoints(caller: Reader, gateway: Gateway) -> EndpointList:
    """List the endpoints."""
    return EndpointList(endpoints=gateway.client.webhooks.endpoints(tenant=caller.tenant))


@router.get("/endpoints/{endpoint_id}", responses=_UNKNOWN)
def get_endpoint(endpoint_id: str, caller: Reader, gateway: Gateway) -> Endpoint:
    """Tell how an endpoint stands."""
    return gateway.client.webhooks.endpoint(endpoint_id, tenant=caller.tenant)


@router.get("/endpoints/{endpoint_id}/secret", responses=_UNKNOWN)
def get_secret(endpoint_id: str, caller: Actor, gateway: Gateway) -> EndpointSecret:
    """Tell the secret and the public key of an endpoint once more."""
    return gateway.client.webhooks.secret(endpoint_id, tenant=caller.tenant)


@router.patch("/endpoints/{endpoint_id}", openapi_extra=_takes(EndpointChange), responses=_BODY | _UNKNOWN)
def change_endpoint(endpoint_id: str, caller: Actor, body: JsonObject, gateway: Gateway) -> Endpoint:
    """Change an endpoint; enabling one that was disabled begins anew."""
    given = _read(EndpointChange, body)
    events = None if given.events is None else tuple(given.events)
    return gateway.client.webhooks.update(
        endpoint_id, tenant=caller.tenant, url=given.url, events=events, enabled=given.enabled
    )


@router.delete("/endpoints/{endpoint_id}", status_code=204, responses=_UNKNOWN)
def remove_endpoint(endpoint_id: str, caller: Actor, gateway: Gateway) -> None:
    """Take an endpoint away; what is pending for it becomes undelivered."""
    gateway.client.webhooks.remove(endpoint_id, tenant=caller.tenant)


@router.post("/endpoints/{endpoint_id}/rotate", openapi_extra=_takes(Rotation), responses=_BODY | _UNKNOWN)
def rotate(endpoint_id: str, caller: Actor, body: JsonObject, gateway: Gateway) -> EndpointSecret:
    """Give an endpoint a new secret; the old one signs too for a while."""
    overlap_s = _read(Rotation, body).overlap_s
    return gateway.client.webhooks.rotate(endpoint_id, tenant=caller.tenant, overlap_s=overlap_s)


@router.post("/endpoints/{endpoint_id}/test", status_code=202, responses=_UNKNOWN)
def test_endpoint(endpoint_id: str, caller: Actor, gateway: Gateway) -> Delivery:
    """Send an event `test` to an endpoint; the delivery shows what became of it."""
    return gateway.client.webhooks.test(endpoint_id, tenant=caller.tenant)


@router.get("/deliveries")
def list_deliveries(
    caller: Reader,
    gateway: Gateway,
    *,
    state: DeliveryState | None = None,
    endpoint_id: str | None = None,
    event: EventType | None = None,
    subject: Annotated[str | None, Query(description="id of a job, batch or endpoint")] = None,
    after: Time | None = None,
    before: Time | None = None,
    cursor: Annotated[str | None, Query(pattern=form(r"^[0-9]{1,15}\..+$", WRONG_CURSOR))] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> DeliveryPage:
    """List deliveries with all their tries, newest first; all filters given must hold."""
    asked = {"state": state, "endpoint_id": endpoint_id, "event": event, "subject": subject}
    return gateway.client.webhooks.deliveries(
        tenant=caller.tenant, **asked, after=after, before=before, cursor=cursor, limit=limit
    )


@router.get("/deliveries/{delivery_id}", responses=_UNKNOWN_DELIVERY)
def get_delivery(delivery_id: str, caller: Reader, gateway: Gateway) -> Delivery:
    """Tell how a delivery stands."""
    return gateway.client.webhooks.delivery(delivery_id, tenant=caller.tenant)


@router.post("/deliveries/{delivery_id}/replay", status_code=202, responses=_UNKNOWN_DELIVERY)
def replay(delivery_id: str, caller: Actor, gateway: Gateway) -> Delivery:
    """Begin the tries of a delivery anew, with the same webhook id."""
    return gateway.client.webhooks.replay(delivery_id, tenant=caller.tenant)


@router.post("/replay-since", status_code=202, openapi_extra=_takes(ReplaySince), responses=_BODY)
def replay_since(caller: Actor, body: JsonObject, gateway: Gateway) -> Replayed:
    """Begin anew the deliveries since a time that are in one state; about a thousand are looked at for one request."""
    given = _read(ReplaySince, body)
    ids: list[str] = []
    cursor = given.cursor
    for _ in range(_BLOCKS):
        some, cursor = gateway.client.webhooks.replay_some(
            given.since, tenant=caller.tenant, state=given.state, endpoint_id=given.endpoint_id, cursor=cursor
        )
        ids += some
        if cursor is None:
            break
    return Replayed(ids=ids, next_cursor=cursor)


def _read(model: type[B], body: dict[str, Any]) -> B:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise invalid(error, model.model_fields) from None
