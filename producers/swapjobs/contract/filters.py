"""Which jobs are meant: in lists, and to be retried. Checked here, for every way on which they are asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypedDict

from pydantic import TypeAdapter, ValidationError

from swapjobs.contract.errors import ErrorCode, InvalidRequest
from swapjobs.contract.frozen import DEFERRED
from swapjobs.contract.job import NAME_FORM, Name
from swapjobs.contract.lifecycle import MOVES, Event, JobState
from swapjobs.contract.vendor_tools.table import DEFAULT_TOOL, TOOLS
from swapjobs.contract.wrong_values import must_be_one_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

MAX_PAGE: Final = 500  # entries of a page, in all lists
_RETRYABLE: Final = MOVES[Event.RETRY][0]
_CURSOR: Final = re.compile(r"[1-9][0-9]{0,14}-[0-9]{1,15}")
_CURSOR_OF_ALL: Final = re.compile(rf"{_CURSOR.pattern}~[A-Za-z0-9._-]{{1,64}}")
_NAME: Final[TypeAdapter[str]] = TypeAdapter(Name, config=DEFERRED)


class JobFilters(TypedDict, total=False):
    """What `SwapClient.list` takes; see `JobQuery`."""

    tenant: str | None
    business_task_id: str | None
    state: str | None
    tool: str | None
    batch_id: str | None
    error_code: str | None
    created_after: datetime | None
    created_before: datetime | None
    cursor: str | None
    limit: int


@dataclass(frozen=True, slots=True)
class JobQuery:
    """What is asked for: everything that is given holds; without a `tenant`, everybody's jobs. Times are inclusive."""

    tenant: str | None = "default"
    business_task_id: str | None = None
    state: str | None = None
    tool: str | None = None
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
                raise InvalidRequest(f"{field}: {NAME_FORM}", field=field)
        if self.tenant is None and (self.batch_id is not None or self.business_task_id is not None):
            raise InvalidRequest("tenant: a batch and a business_task_id are one tenant's: say whose", field="tenant")
        closed: tuple[tuple[str, str | None, Collection[str]], ...] = (
            ("state", self.state, list(JobState)),
            ("error_code", self.error_code, list(ErrorCode)),
            ("tool", self.tool, TOOLS),
        )
        for field, value, known in closed:
            if value is not None and value not in known:
                raise InvalidRequest(f"{field}: {must_be_one_of(value, known)}", field=field)
        for field, time in (("created_after", self.created_after), ("created_before", self.created_before)):
            if time is not None and time.tzinfo is None:
                raise InvalidRequest(f"{field}: must have a time zone, like 2026-01-31T12:00:00Z", field=field)
        form = _CURSOR if self.tenant is not None else _CURSOR_OF_ALL
        if self.cursor is not None and not form.fullmatch(self.cursor):
            raise InvalidRequest("cursor: is not one that a page gave as next_cursor", field="cursor")
        if not 1 <= self.limit <= MAX_PAGE:
            raise InvalidRequest(f"limit: must be from 1 to {MAX_PAGE}", field="limit")

    @property
    def is_selective(self) -> bool:
        """Whether more is asked for than whose jobs, of which batch and time: then most jobs may not fit."""
        return (self.state, self.tool, self.error_code) != (None, None, None)

    def fits(self, state: str, code: str | None, tool: str | None) -> bool:
        """Tell whether a job by this tool (None: the default one) in this state, with this code if it failed, fits."""
        if self.state not in {None, state} or self.tool not in {None, tool or DEFAULT_TOOL}:
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
            raise InvalidRequest(f"error_code: {must_be_one_of(error_code, ErrorCode)}", field="error_code")
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
