"""Pages of lists. The same fields appear in Python, in the command line's `--json` and over HTTP."""

from __future__ import annotations

from pydantic import Field

from swapjobs.contract.frozen import FrozenModel
from swapjobs.contract.job import Job
from swapjobs.contract.webhook import Delivery


class JobPage(FrozenModel):
    """Some jobs, newest first. A page may hold fewer than asked for, even none, and still not be the last."""

    jobs: list[Job]
    next_cursor: str | None = Field(default=None, description="gives the next page; none after the last")


class DeliveryPage(FrozenModel):
    """Some deliveries, newest first. A page may hold fewer than asked for and still not be the last."""

    deliveries: list[Delivery]
    next_cursor: str | None = None
