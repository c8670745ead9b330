"""Operations: what is done to all jobs that fit a filter."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal, Self, get_args

from pydantic import Field, ValidationError, model_validator

from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.frozen import FrozenModel
from swapjobs.contract.job import Name, invalid
from swapjobs.contract.lifecycle import FINAL, MOVES, UNFINISHED, Event, JobState
from swapjobs.contract.timestamps import Time
from swapjobs.contract.vendor_tools.table import TOOLS
from swapjobs.contract.wrong_values import must_be_one_of

Kind = Literal["retry", "cancel", "forget"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
POSSIBLE: Final[dict[Kind, frozenset[JobState]]] = {
    "retry": MOVES[Event.RETRY][0],
    "cancel": UNFINISHED,
    "forget": frozenset(JobState),  # so that those that can't be are counted
}


class OperationRequest(FrozenModel):
    """What is to be done, and to which jobs: those that are there now and for which all that is given holds."""

    kind: Kind
    tenant: Name | None = Field("default", description="whose jobs; null: everybody's")
    batch_id: Name | None = None
    state: JobState | None = Field(None, description="without it every state that allows it; to retry: the failures")
    error_code: ErrorCode | None = Field(None, description="of failed jobs; `expired`: the expired ones")
    tool: str | None = None
    created_after: Time | None = None
    created_before: Time | None = None
    dry_run: bool = Field(default=False, description="only count them")

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the request.

        Raises:
            InvalidRequest: something of it is not valid, or it can fit no job.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise invalid(error, cls.model_fields) from None

    @property
    def states(self) -> frozenset[JobState]:
        """The states of the jobs that are meant."""
        if self.state is not None:
            return frozenset({self.state})
        if self.error_code is not None:
            return frozenset({JobState.EXPIRED if self.error_code is ErrorCode.EXPIRED else JobState.FAILED})
        if self.kind == "retry":
            return frozenset({JobState.FAILED})
        return FINAL if self.kind == "forget" and self.dry_run else POSSIBLE[self.kind]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.batch_id is not None and self.tenant is None:
            raise ValueError("batch_id: is one of a tenant, so give the tenant too")
        if not self.states <= POSSIBLE[self.kind]:
            known = ", ".join(sorted(POSSIBLE[self.kind]))
            raise ValueError(f"state: to {self.kind} it must be one of {known}")
        if self.tool is not None and self.tool not in TOOLS:
            raise ValueError(f"tool: {must_be_one_of(self.tool, TOOLS)}")
        if self.error_code is not None and not self.states & {JobState.FAILED, JobState.EXPIRED}:
            raise ValueError("error_code: only failed and expired jobs have one")
        return self


class Operation(OperationRequest):
    """An operation, and how far it is."""

    id: str
    status: Literal["running", "done", "stopped"]
    total: int = Field(description="jobs that were listed as it began, those that do not fit among them")
    looked_at: int
    changed: int = Field(description="jobs to which it was done; of a dry run: would be done")
    left: int = Field(description="jobs that fit and could not be changed: to be forgotten, and not finished")
    by: str = Field(description="who wanted it")
    created_at: datetime
    finished_at: datetime | None = None
