"""What a worker gets for a hint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from swapjobs.record import Record

Step = Literal["send", "query"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed job: the lease is held and one vendor call is booked, `wait_s` from now."""

    job: Record
    fence: int
    step: Step
    wait_s: float
    now_ms: int


@dataclass(frozen=True, slots=True)
class NotClaimed:
    """A hint that led to no work: the job's state, or `gone`; or why it is back in line.

    That is `busy` (no slot near enough), `paused` (by the vendor's word), `held` (by the user's), or `outage`.
    """

    verdict: str


@dataclass(frozen=True, slots=True)
class DeliveryClaim:
    """A claimed webhook delivery."""

    job: Record
    fence: int
    now_ms: int
