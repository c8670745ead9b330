"""Times: as callers give them, and as they lie in Redis, in ms since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

if TYPE_CHECKING:
    from collections.abc import Mapping

_LATEST_S: Final = 253_402_300_800  # the year 10,000, which no time of Python can be


def _no_number(value: Any) -> Any:
    """Refuse a number: pydantic would guess whether seconds or milliseconds are meant."""
    if isinstance(value, (int, float)) or (isinstance(value, str) and re.fullmatch(r"[-+ ]*[0-9.]*", value)):
        raise ValueError("must be a time like 2026-01-31T12:00:00Z")
    return value


def _in_utc(value: datetime) -> datetime:
    """Refuse what is no time any more once it is in UTC."""
    if not 0 <= value.timestamp() < _LATEST_S:
        raise ValueError("must be a time from 1970 to 9999 in UTC")
    return value


Time = Annotated[AwareDatetime, BeforeValidator(_no_number)]
KeptTime = Annotated[Time, AfterValidator(_in_utc)]


def from_ms(ms: float) -> datetime:
    """Return a time of Redis, in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def time_of(fields: Mapping[str, str], name: str) -> datetime | None:
    """Return the time in a field of a hash; None where it has no such field, or an empty one."""
    return from_ms(int(fields[name])) if fields.get(name) else None
