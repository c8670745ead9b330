"""Finding every face of a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from swapsandbox.faces.boxes import Boxes, scan
from swapsandbox.faces.mesh import Face, read_mesh
from swapsandbox.faces.nets import FULL_RANGE, SHORT_RANGE

if TYPE_CHECKING:
    from swapsandbox.faces.arrays import Pixels

_THRESHOLD: Final = 0.5
_TILE_THRESHOLD: Final = 0.6
_TILE_SHARE: Final = 0.45
_SURELY_UPRIGHT: Final = 0.8


def find_faces(picture: Pixels) -> list[Face]:
    """Return all faces of the picture, largest first.

    Finds faces down to about 5 % of the longest side, and down to 24 pixels when nothing larger is there.
    """
    boxes = _candidates(picture)
    faces: list[Face] = []
    for index in np.argsort(-boxes.scores, kind="stable"):
        face = read_mesh(picture, boxes.points[index])
        if face is not None and not any(_same(face, other) for other in faces):
            faces.append(face)
    return sorted(faces, key=lambda face: -face.size)


def _same(one: Face, other: Face) -> bool:
    return one.holds(other.centre) or other.holds(one.centre)


def _candidates(picture: Pixels) -> Boxes:
    result = _scan_both(picture)
    if result.best < _SURELY_UPRIGHT:
        # An upside-down face gives a weak box and then a wrong upright mesh with a high presence, so the
        # detector's score decides which way is up, not the mesh's.
        turned = [_scan_both(np.ascontiguousarray(np.rot90(picture, turns))) for turns in (1, 2, 3)]
        best = max(range(3), key=lambda index: turned[index].best)
        if turned[best].best > result.best:
            result = turned[best].turned_back(best + 1, picture.shape)
    return result if result.scores.size else _scan_tiles(picture)


def _scan_both(picture: Pixels) -> Boxes:
    # The short-range net misses faces under 8 % of the picture, the full-range net very large ones.
    return Boxes.join(scan(picture, SHORT_RANGE, _THRESHOLD), scan(picture, FULL_RANGE, _THRESHOLD))


def _scan_tiles(picture: Pixels) -> Boxes:
    """Look again through half-overlapping square tiles, where a small face is larger."""
    height, width = picture.shape[:2]
    side = min(max(height, width), max(FULL_RANGE.side, math.ceil(max(height, width) * _TILE_SHARE)))
    result = [
        scan(picture[top : top + side, left : left + side], FULL_RANGE, _TILE_THRESHOLD).moved(left, top)
        for top in _starts(height, side)
        for left in _starts(width, side)
    ]
    return Boxes.join(*result)


def _starts(length: int, side: int) -> list[int]:
    """Where tiles of `side` begin so that they cover `length` and overlap by at least half."""
    if length <= side:
        return [0]
    steps = math.ceil((length - side) / (side / 2))
    return [round(step * (length - side) / steps) for step in range(steps + 1)]
