"""Batches. The same fields appear in Python, in the command line's `--json` and over HTTP. Times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.frozen import FrozenModel
from swapjobs.contract.job import Name
from swapjobs.contract.lifecycle import JobState


class Batch(FrozenModel):
    """A group of jobs as it stands now.

    `open` takes jobs; `closed` takes no more; `completed` is closed with all its jobs final. A retry of some of them
    makes it `closed` again, in a new round.
    """

    id: Name
    tenant: str
    state: Literal["open", "closed", "completed"]
    paused: bool = False
    operation: Literal["resume", "cancel", "retry"] | None = Field(
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
