"""What a worker gets for a message."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swapjobs.store.record import Record

Call = Literal["swap", "query"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed job: the lease is held and one vendor call is booked.

    Attributes:
        wait_s: How long after `answered_at` the call is to be made.
        now_ms: When the job was claimed, by Redis' clock.
        answered_at: When Redis' answer was here, by the monotonic clock.
    """

    job: Record
    fence: int
    call: Call
    wait_s: float
    now_ms: int
    answered_at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class NotClaimed:
    """A message that led to no work: `reason` is the job's state, or `gone`; or why it is back in its queue.

    That is `busy` (no slot near enough), `rate_limit` (by the vendor's word), `paused_manually`, or `outage`; or
    `batch_held`: its batch is paused or being cancelled.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class DeliveryClaim:
    """A claimed webhook delivery.

    Attributes:
        delivery: The record in which it stands: the job's for its own `callback_url`, else one of its own.
        job: The job that it tells of; None where it tells of something else.
        endpoint: The fields of its endpoint; none for a URL that was given with a job or batch.
    """

    delivery: Record
    job: Record | None
    endpoint: Mapping[str, str]
    fence: int
    now_ms: int

    @property
    def id(self) -> str:
        """The delivery's id: the job's, where it is the job's own."""
        return self.delivery.id
