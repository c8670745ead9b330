"""Sample pictures that may be used freely; README.md beside this file says where each comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, TypeAlias

FOLDER: Final = Path(__file__).parent

Sample: TypeAlias = Literal["collins.png", "hopper.jpg", "group.jpg", "chelsea.png", "coffee.jpg"]
"""Two portraits, one picture with both, and two pictures without a face (a cat and a cup)."""


def read(name: Sample) -> bytes:
    """Return the encoded picture.

    Example:
        >>> len(read("collins.png"))
        791555
    """
    return (FOLDER / name).read_bytes()
