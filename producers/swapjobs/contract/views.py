"""What is told besides the job: pages of jobs, batches, webhooks with their endpoints and deliveries.

The same fields appear in Python, in the command line's `--json` and over HTTP. Times are UTC.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.job import Job, Name
from swapjobs.contract.lifecycle import JobState

__all__ = [
    "EVENT_TYPES",
    "Batch",
    "Delivery",
    "DeliveryPage",
    "DeliveryTry",
    "Endpoint",
    "EndpointSecret",
    "EventType",
    "JobPage",
    "WebhookEvent",
]

EventType = Literal[
    "swap.succeeded", "swap.failed", "swap.cancelled", "swap.expired", "batch.completed", "endpoint.disabled", "test"
]
EVENT_TYPES: Final[tuple[EventType, ...]] = get_args(EventType)


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class JobPage(_View):
    """Some jobs, newest first. A page may hold fewer than asked for, even none, and still not be the last."""

    jobs: list[Job]
    next_cursor: str | None = Field(default=None, description="gives the next page; none after the last")


class Batch(_View):
    """A group of jobs as it stands now.

    `open` takes jobs; `closed` takes no more; `completed` is closed with all its jobs final. A retry of some of them
    makes it `closed` again, in a new round.
    """

    id: Name
    tenant: str
    state: Literal["open", "closed", "completed"]
    paused: bool = False
    doing: Literal["resume", "cancel", "retry"] | None = Field(
        default=None, description="what is being done to its jobs, some hundreds at a time"
    )
    round: int = 1
    total: int = Field(description="jobs, of all states")
    counts: dict[JobState, int] = Field(description="jobs by state, all states named")
    errors: dict[ErrorCode, int] = Field(default_factory=dict, description="failed and expired jobs by error code")
    rate_per_s: float | None = Field(default=None, description="jobs that became final per second, lately")
    estimated_end: datetime | None = Field(default=None, description="at that rate")
    callback_url: str | None = None
    created_at: datetime
    closed_at: datetime | None = None
    completed_at: datetime | None = None


class WebhookEvent(_View):
    """The body of a webhook (Standard Webhooks 1.0).

    `data` is the job; of `batch.completed` the batch, of `endpoint.disabled` the endpoint's id and URL and the reason,
    of `test` a text.
    """

    type: EventType
    timestamp: datetime
    data: Job | dict[str, JsonValue]


class Endpoint(_View):
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


class DeliveryTry(_View):
    """One try to deliver an event."""

    at: datetime
    number: int
    status: int | None = Field(default=None, description="HTTP status, if there was an answer")
    duration_ms: int
    reason: str = ""


class Delivery(_View):
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


class DeliveryPage(_View):
    """Some deliveries, newest first. A page may hold fewer than asked for and still not be the last."""

    deliveries: list[Delivery]
    next_cursor: str | None = None
