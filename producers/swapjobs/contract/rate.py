"""A rate as it is written in a setting."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

from pydantic import GetPydanticSchema, WithJsonSchema
from pydantic_core import core_schema

_PERIOD_S: Final = {"s": 1, "m": 60, "h": 3600}


class Rate(str):
    """So many calls in so many seconds, written `5/s`, `300/m` or `1000/h`.

    Raises:
        ValueError: it is none of these.
    """

    __slots__ = ("calls", "period_s")
    calls: int
    period_s: int

    def __new__(cls, text: str) -> Self:
        """Read the text."""
        match = re.fullmatch(r"\s*([1-9][0-9]{0,6})\s*/\s*([smh])\s*", text)
        if match is None:
            raise ValueError("must be a rate like 5/s, 300/m or 1000/h")
        rate = super().__new__(cls, f"{match[1]}/{match[2]}")
        rate.calls, rate.period_s = int(match[1]), _PERIOD_S[match[2]]
        return rate

    @property
    def interval_s(self) -> float:
        """Seconds from one call to the next."""
        return self.period_s / self.calls


RateSetting = Annotated[
    Rate,
    GetPydanticSchema(lambda _type, _handler: core_schema.no_info_plain_validator_function(lambda v: Rate(str(v)))),
    WithJsonSchema({"type": "string", "pattern": r"^[1-9][0-9]{0,6}/[smh]$", "examples": ["5/s"]}),
]
