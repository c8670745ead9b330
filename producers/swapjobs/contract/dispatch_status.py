"""How dispatch stands: running, or paused, and then by whom, since when, and until when."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field

from swapjobs.contract.frozen import FrozenModel, Model

RateReason = Literal["limit", "test", "shut"]
PauseReason = Literal["manual", "rate_limit", "vendor_outage", "credentials_rejected", "quota_exhausted"]


class DispatchStatus(FrozenModel):
    """The state of traffic control, as far as a person wants to know it. Times are UTC, by Redis' clock.

    Paused for the reason `manual` by an operator; `rate_limit` by the vendor's Retry-After, until `resumes_at`; another
    by the circuit breaker, which asks the vendor again from `next_probe_at` on, with the next job that a worker takes
    up. After an outage the rate grows until `full_rate_at`.

    What refusals taught about the rate is `rate_reason`: `limit`, fewer calls were refused at a lower rate, so the
    vendor allows less than the limit; `test`, that is being found out; `shut`, nothing at all came through.
    """

    as_of: datetime
    state: Literal["running", "paused"]
    reason: PauseReason | None = None
    since: datetime | None = None  # not known for `rate_limit`
    next_probe_at: datetime | None = None
    probing: bool = False  # the vendor is being asked right now
    resumes_at: datetime | None = None
    full_rate_at: datetime | None = None
    in_flight: int  # calls booked or made, and not answered yet
    rate: float  # calls per second that may be made now: less than the limit after refusals and outages
    rate_limit: float  # calls per second, as the workers have set it
    rate_reason: RateReason | None = None  # None: refusals have not lowered it
    rate_since: datetime | None = None
    refused_at_any_rate: float = 0  # the share of calls that the vendor refuses anyway: going slower would not help
    queued: dict[str, int]  # by lane: jobs that wait for their turn, not those that wait for a time of their own
    workers: dict[str, int] = Field(default={})  # by queue: processes that showed a sign of life in the last 20 s
    unattended: list[str] = Field(default=[])  # queues in which something waits while no worker is there


class LearnedRate(Model):
    """The part of a `DispatchStatus` that tells of the rate: the limit, what is used of it, why, and since when."""

    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True, defer_build=True)

    as_of: datetime
    rate: float
    rate_limit: float
    rate_reason: RateReason | None
    rate_since: datetime | None
    refused_at_any_rate: float
