"""Which jobs are meant: in lists, and to be retried. Checked here, for every way on which they are asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypedDict

from pydantic import TypeAdapter, ValidationError

from swapjobs.contract.errors import ErrorCode, InvalidRequest
from swapjobs.contract.job import Name
from swapjobs.contract.lifecycle import MOVES, Event, JobState

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

MAX_PAGE: Final = 500  # entries of a page, in all lists
_RETRYABLE: Final = MOVES[Event.RETRY][0]
_CURSOR: Final = re.compile(r"[1-9][0-9]{0,14}-[0-9]{1,15}")
_NAME: Final[TypeAdapter[str]] = TypeAdapter(Name)


class JobFilters(TypedDict, total=False):
    """What `SwapClient.list` takes; see `JobQuery`."""

    tenant: str
    business_task_id: str | None
    state: str | None
    batch_id: str | None
    error_code: str | None
    created_after: datetime | None
    created_before: datetime | None
    cursor: str | None
    limit: int


@dataclass(frozen=True, slots=True)
class JobQuery:
    """What is asked for: everything that is given holds. Times are inclusive."""

    tenant: str = "default"
    business_task_id: str | None = None
    state: str | None = None
    batch_id: str | None = None
    error_code: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    cursor: str | None = None
    limit: int = 50

    def check(self) -> None:
        """Raise InvalidRequest where something can't be meant."""
        for field, name in (("tenant", self.tenant), ("batch_id", self.batch_id)):
            if name is not None and not _is_name(name):
                raise InvalidRequest(f"{field}: must be 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'", field=field)
        for field, value, known in (("state", self.state, JobState), ("error_code", self.error_code, ErrorCode)):
            if value is not None and value not in {str(name) for name in known}:
                raise InvalidRequest(f"{field}: must be one of {', '.join(known)}", field=field)
        for field, time in (("created_after", self.created_after), ("created_before", self.created_before)):
            if time is not None and time.tzinfo is None:
                raise InvalidRequest(f"{field}: must have a time zone, like 2026-01-31T12:00:00Z", field=field)
        if self.cursor is not None and not _CURSOR.fullmatch(self.cursor):
            raise InvalidRequest("cursor: is not one that a page gave as next_cursor", field="cursor")
        if not 1 <= self.limit <= MAX_PAGE:
            raise InvalidRequest(f"limit: must be from 1 to {MAX_PAGE}", field="limit")

    def fits(self, state: str, code: str | None) -> bool:
        """Tell whether a job with this state, and this code if it failed, is meant."""
        if self.state is not None and state != self.state:
            return False
        known = {JobState.FAILED: code, JobState.EXPIRED: str(ErrorCode.EXPIRED)}
        return self.error_code is None or known.get(JobState(state)) == self.error_code


@dataclass(frozen=True, slots=True)
class RetryFilter:
    """The jobs meant: everything that is given holds for them."""

    states: frozenset[JobState]
    batch_id: str | None
    error_code: ErrorCode | None
    tenant: str | None

    @classmethod
    def parse(
        cls,
        *,
        batch_id: str | None,
        error_code: str | None,
        tenant: str | None,
        states: Collection[JobState] | None,
    ) -> RetryFilter:
        """Return the checked filter; without `states` the failed jobs, or the expired ones for the code `expired`.

        Raises:
            InvalidRequest: no criterion is given, or one that can fit no job.
        """
        if batch_id is None and error_code is None and tenant is None:
            raise InvalidRequest("give a batch_id, an error_code or a tenant: all failures at once is hardly meant")
        if error_code is not None and error_code not in set(ErrorCode):
            raise InvalidRequest(f"error_code: must be one of {', '.join(ErrorCode)}", field="error_code")
        if states is None:
            states = {JobState.EXPIRED if error_code == ErrorCode.EXPIRED else JobState.FAILED}
        if not _RETRYABLE.issuperset(states):
            raise InvalidRequest(f"states: must be of {', '.join(sorted(_RETRYABLE))}", field="states")
        return cls(frozenset(states), batch_id, ErrorCode(error_code) if error_code is not None else None, tenant)


def _is_name(value: str) -> bool:
    try:
        _NAME.validate_python(value)
    except ValidationError:
        return False
    return True
