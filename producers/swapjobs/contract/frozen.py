"""The bases of all models.

pydantic's own text of an error quotes what it was given: a password in a URL, a key, a signature. No model lets it.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

# Built at their first use: a command or a producer uses a few of them.
DEFERRED: Final = ConfigDict(defer_build=True, hide_input_in_errors=True)


class Model(BaseModel):
    """Never shows a wrong value, which may be a secret."""

    model_config = ConfigDict(hide_input_in_errors=True)


class FrozenModel(Model):
    """Immutable, and strict about the names of its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
