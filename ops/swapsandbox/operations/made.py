"""What an operation gives. Without OpenCV: the server knows it too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Options = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """Pictures, encoded; texts; or another value that JSON can hold."""

    pictures: Sequence[bytes] = ()
    seeds: Sequence[int] = ()
    texts: Sequence[str] = ()
    value: Any = None

    @property
    def size(self) -> int:
        """How many bytes it takes, nearly."""
        return sum(map(len, self.pictures)) + sum(map(len, self.texts))


class Refused(Exception):
    """The vendor would say that it can't be done; the text is what it says."""
