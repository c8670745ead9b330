"""Times as callers give them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

if TYPE_CHECKING:
    from datetime import datetime

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
