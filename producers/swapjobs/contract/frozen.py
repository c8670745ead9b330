"""The base of the contract's models."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

# Built at their first use: a command or a producer uses a few of them.
DEFERRED: Final = ConfigDict(defer_build=True)


class FrozenModel(BaseModel):
    """Immutable, and strict about the names of its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
