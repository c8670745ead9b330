"""An attempt at a job: one call of the vendor, and what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.frozen import FrozenModel


class Attempt(FrozenModel):
    """One swap call and its outcome, which a look-up may have found later. Times are UTC.

    Calls that the vendor refused for their speed, and those of an outage, are not charged and no attempts.
    """

    number: int = Field(description="from 1, in its round")
    round: int = Field(description="1, and one more with each retry by the user")
    began_at: datetime | None = None
    ended_at: datetime | None = Field(default=None, description="when its outcome was known")
    outcome: Literal["succeeded", "failed"]
    code: ErrorCode | None = Field(default=None, description="why it failed")
    message: str | None = Field(default=None, description="the same in words, the vendor's where there are any")
    http_status: int | None = Field(default=None, description="of the vendor's reply, if there was one")
    worker: str | None = Field(default=None, description="the Celery worker that made it")


class AttemptList(FrozenModel):
    """All attempts at a job, the oldest first."""

    attempts: list[Attempt]
