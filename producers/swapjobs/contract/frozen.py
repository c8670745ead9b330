"""The base of the contract's models."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """Immutable, and strict about the names of its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
