"""The audit log: what was changed by hand, by whom."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from swapjobs.contract.frozen import FrozenModel


class AuditEntry(FrozenModel):
    """One change."""

    at: datetime
    who: str = Field(description="user@host of a program, or the id of a gateway's key")
    via: str = Field(description="cli, http, console, python or celery (Flower, `celery control`)")
    action: str = Field(description="what was done, such as job.cancel, dispatch.pause, tenant.set, operation.start")
    tenant: str | None = None
    target: str | None = Field(None, description="id of the job, batch, endpoint, delivery, key or operation")
    number: int | None = Field(None, description="how many were changed, where that is known")
    result: str = Field("ok", description="what came of it")
    detail: dict[str, Any] = Field(default_factory=dict, description="what was asked for: a filter, new limits")


class AuditPage(FrozenModel):
    """Some changes, newest first."""

    entries: list[AuditEntry]
    next_cursor: str | None = Field(default=None, description="gives the next page; none after the last")
