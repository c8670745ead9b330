"""How what is counted went on: slots of time, and the jobs of each tenant by day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Slot:
    """A minute or an hour.

    Attributes:
        at: When it began, UTC.
        counts: What happened in it -> how often: `submitted`, `calls` (to the vendor), `succeeded`, `failed <code>`,
            `cancelled`, `expired`, `billed <tool>`, `webhook delivered`, `webhook failed` (it is tried again),
            `webhook undelivered`.
    """

    at: datetime
    counts: Mapping[str, int]
