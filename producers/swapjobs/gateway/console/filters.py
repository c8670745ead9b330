"""The filters of the list of jobs: read from a page's address, and written into one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlencode

from swapjobs.contract.errors import InvalidRequest
from swapjobs.contract.filters import JobQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SINCE: Final[Mapping[str, timedelta]] = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
}
NAMES: Final = ("state", "tool", "tenant", "batch", "code", "since", "after", "before")


@dataclass(frozen=True)
class Filters:
    """What is asked for, as it stands in the address: empty texts where nothing is."""

    state: str = ""
    tool: str = ""
    tenant: str = ""
    batch: str = ""
    code: str = ""
    since: str = ""
    after: str = ""
    before: str = ""

    @classmethod
    def read(cls, get: Callable[[str], str | None]) -> Self:
        """Return the filters; `get` gives the value of a name."""
        return cls(**{name: (get(name) or "").strip() for name in NAMES})

    @property
    def given(self) -> dict[str, str]:
        """Those that are not empty."""
        return {name: getattr(self, name) for name in NAMES if getattr(self, name)}

    def address(self, **others: str | None) -> str:
        """Return the query string for these filters, some of them replaced."""
        return urlencode({name: value for name, value in {**self.given, **others}.items() if value})

    def criteria(self, tenant: str | None, now: datetime) -> dict[str, Any]:
        """Return what `client.list` and `client.operations.start` take, for one tenant or, None, for all.

        Raises:
            InvalidRequest: something of it is not valid.
        """
        if self.since and self.since not in SINCE:
            raise InvalidRequest(f"since: must be one of {', '.join(SINCE)}", field="since")
        after = time_of("after", self.after) or (now - SINCE[self.since] if self.since else None)
        criteria: dict[str, Any] = {
            "tenant": tenant,
            "state": self.state or None,
            "tool": self.tool or None,
            "batch_id": self.batch or None,
            "error_code": self.code or None,
            "created_after": after,
            "created_before": time_of("before", self.before),
        }
        JobQuery(**criteria).check()
        return criteria


def time_of(name: str, text: str) -> datetime | None:
    """Return a time of the address; one without a zone is UTC.

    Raises:
        InvalidRequest: it is none.
    """
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        time.timestamp()
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{name}: must be a time like 2026-01-31T12:00:00Z", field=name) from None
    return time
