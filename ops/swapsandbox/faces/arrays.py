"""The array types of this package, named by what they hold."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""A picture: height x width x 3, RGB, 0..255."""

Floats: TypeAlias = npt.NDArray[np.float32]
"""Coordinates in pixels (x right, y down, z away from the viewer), LAB planes or weights; see each docstring."""

Indices: TypeAlias = npt.NDArray[np.int32]
"""Point or triangle numbers."""

Mask: TypeAlias = npt.NDArray[np.bool_]
"""One yes or no per pixel (or per row)."""


def floats(values: npt.ArrayLike) -> Floats:
    """Return `values` as a float32 array; numpy's own arithmetic forgets the type on the way."""
    return np.asarray(values, dtype=np.float32)
