"""What holds for single tenants: an own rate, calls in flight, a weight among the others, a pause, a retention."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field, ValidationError

from swapjobs.contract.errors import InvalidRequest
from swapjobs.contract.frozen import FrozenModel
from swapjobs.contract.job import Name
from swapjobs.contract.rate import RateSetting
from swapjobs.contract.wrong_values import what_is_wrong


class TenantLimits(FrozenModel):
    """What holds for one tenant besides what holds for all.

    The limits count vendor calls, look-ups and polls too. What a tenant could not use of its rate it may catch up for
    two seconds or two calls: in any window of T seconds it gets at most rate x T + max(2, rate x 2 s) calls.
    """

    tenant: Name
    rate: RateSetting | None = Field(None, description="vendor calls, like 5/s or 300/m; none: no limit of its own")
    max_in_flight: int = Field(0, ge=0, description="vendor calls in flight; 0: no limit of its own")
    weight: float = Field(1, ge=0.01, le=100, description="2: two turns where others have one")
    paused: bool = Field(False, description="its jobs are accepted and wait")

    result_ttl_s: int | None = Field(
        None,
        ge=60,
        description="records of its jobs that end later are kept so long; none: as all are",
    )

    @classmethod
    def parse(cls, **fields: Any) -> TenantLimits:
        """Return the limits, checked.

        Raises:
            InvalidRequest: one of them is wrong; the text says which, and what would be right.
        """
        try:
            return cls(**fields)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            field = str(problem["loc"][0])
            raise InvalidRequest(f"{field}: {what_is_wrong(problem, cls.model_fields)}", field=field) from None

    def fields(self) -> list[str | float]:
        """Return what fleet/set_tenant.lua takes: field, value pairs, or nothing where all is as for others."""
        if self == TenantLimits(tenant=self.tenant):
            return []
        values: dict[str, str | float] = {
            "interval": self.rate.interval_s * 1000 if self.rate else 0,
            "rate": self.rate or "",
            "max_in_flight": self.max_in_flight,
            "weight": self.weight,
            "paused": int(self.paused),
            "result_ttl": (self.result_ttl_s or 0) * 1000,
        }
        return [item for pair in values.items() for item in pair]


class TenantStatus(TenantLimits):
    """A tenant's own limits, and how its jobs stand."""

    queued: int = Field(0, description="jobs that wait for their turn")
    oldest_queued_at: datetime | None = Field(None, description="when the first of them was submitted")
