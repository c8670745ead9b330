"""Webhooks: their events, endpoints and deliveries.

The same fields appear in Python, in the command line's `--json` and over HTTP. Times are UTC.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, get_args

from pydantic import Field, JsonValue

from swapjobs.contract.frozen import FrozenModel
from swapjobs.contract.job import Job

EventType = Literal[
    "swap.succeeded", "swap.failed", "swap.cancelled", "swap.expired", "batch.completed", "endpoint.disabled", "test"
]
EVENT_TYPES: Final[tuple[EventType, ...]] = get_args(EventType)


class WebhookEvent(FrozenModel):
    """The body of a webhook (Standard Webhooks 1.0).

    `data` is the job; of `batch.completed` the batch, of `endpoint.disabled` the endpoint's id and URL and the reason,
    of `test` a text.
    """

    type: EventType
    timestamp: datetime
    data: Job | dict[str, JsonValue]


class Endpoint(FrozenModel):
    """A URL of a tenant that is told of all its events, or of those chosen."""

    id: str
    tenant: str
    url: str
    events: tuple[EventType, ...] = Field(description="none: all of them")
    state: Literal["enabled", "disabled"] = "enabled"
    disabled_reason: str | None = None
    version: int = Field(default=1, description="of its secret; a rotation makes the next one")
    rotating_until: datetime | None = Field(default=None, description="the secret before signs too until then")
    created_at: datetime
    failing_since: datetime | None = None


class EndpointSecret(Endpoint):
    """An endpoint with what verifies its signatures: derived, never stored, told when made or rotated."""

    secret: str = Field(repr=False, description="whsec_..., for `v1` signatures")
    public_key: str = Field(description="whpk_..., for `v1a` signatures (Ed25519)")


class DeliveryTry(FrozenModel):
    """One try to deliver an event."""

    at: datetime
    number: int
    status: int | None = Field(default=None, description="HTTP status, if there was an answer")
    duration_ms: int
    reason: str = ""


class Delivery(FrozenModel):
    """How the telling of one event to one URL stands, with all its tries. The body is not kept."""

    id: str
    tenant: str
    event: EventType
    subject: str = Field(description="id of the job, batch or endpoint that it tells of")
    endpoint_id: str | None = Field(default=None, description="none: the job's or batch's own callback_url")
    url: str
    state: Literal["pending", "delivered", "undelivered"]
    created_at: datetime
    next_attempt_at: datetime | None = None
    tries: list[DeliveryTry] = Field(default_factory=list)
