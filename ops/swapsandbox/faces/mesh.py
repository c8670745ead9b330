"""The 468-point face mesh: a face's landmarks, and how they are read from a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np

from swapsandbox.faces.arrays import Floats, Pixels, floats
from swapsandbox.faces.nets import MESH_SIDE, nets

# Point numbers of the MediaPipe mesh; "right" and "left" are the shown person's.
OVAL: Final = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
RIGHT_EYE: Final = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE: Final = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
RIGHT_BROW: Final = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
LEFT_BROW: Final = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
LIPS: Final = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
NOSE: Final = (168, 6, 197, 195, 5, 4, 1, 19, 2, 98, 327, 129, 358, 48, 278)
CHEEKS: Final = (
    *((116, 117, 118, 101, 36, 206, 207, 187, 123), (345, 346, 347, 330, 266, 426, 427, 411, 352)),
    (6, 196, 236, 198, 49, 4, 279, 420, 456, 419),
)
"""Three polygons of plain skin in every face: right cheek, left cheek, nose."""
STABLE: Final = (
    *(33, 133, 362, 263, 168, 6, 197, 195, 8, 9, 151, 10, 67, 297, 152, 175, 199, 127, 356, 234, 454, 132, 361, 4),
)
"""Points that hardly move with the expression: they tell the pose."""
RIGHT_SIDE, LEFT_SIDE, FOREHEAD, CHIN = 234, 454, 10, 152

_CROP_SCALE: Final = 1.5
_REFINEMENTS: Final = 2
_MIN_PRESENCE: Final = 0.5


@dataclass(frozen=True)
class Face:
    """A face found in a picture.

    Attributes:
        points: 468 x 3, in pixels of the picture; z grows away from the viewer.
        presence: the mesh network's own opinion that this is a face, 0..1.
    """

    points: Floats
    presence: float

    @cached_property
    def oval(self) -> Floats:
        """The outline of the face, 36 x 2."""
        return self.points[list(OVAL), :2]

    @cached_property
    def size(self) -> float:
        """The side of a square as large as the face's oval, in pixels: all radii scale with it."""
        return math.sqrt(max(cv2.contourArea(self.oval), 1e-6))

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the outline."""
        x, y = self.oval.mean(axis=0)
        return float(x), float(y)

    def holds(self, point: tuple[float, float]) -> bool:
        """Return whether `point` lies inside the outline."""
        return bool(cv2.pointPolygonTest(self.oval, point, False) > 0)

    def moved(self, x: float, y: float) -> Face:
        """Return the face in a picture whose origin moved by that many pixels."""
        return Face(self.points + floats((x, y, 0)), self.presence)

    def scaled(self, factor: float) -> Face:
        """Return the face in a picture resized by `factor`."""
        return Face(self.points * np.float32(factor), self.presence)


def read_mesh(picture: Pixels, box: Floats) -> Face | None:
    """Return the face in a candidate box (8 x 2, as in `Boxes.points`), None when the mesh sees no face there."""
    corners, (right_eye, left_eye) = box[:2], box[2:4]
    centre, extent = corners.mean(axis=0), float(np.ptp(corners, axis=0).max())
    angle = _tilt(right_eye, left_eye)
    for turn in range(_REFINEMENTS + 1):
        # The detector's box is rough; a crop placed by the mesh itself gives a better mesh.
        points, presence = _read_crop(picture, centre, extent * _CROP_SCALE, angle)
        if presence < _MIN_PRESENCE or not np.isfinite(points).all():
            return None
        if turn < _REFINEMENTS:
            angle = _tilt(points[RIGHT_EYE[0], :2], points[LEFT_EYE[0], :2])
            centre, extent = _level_bounds(points[:, :2], angle)
    return Face(points, presence)


def _tilt(right_eye: Floats, left_eye: Floats) -> float:
    x, y = left_eye - right_eye
    return math.atan2(y, x)


def _level_bounds(points: Floats, angle: float) -> tuple[Floats, float]:
    """Centre and longest side of the box around `points` (n x 2) that is tilted by `angle`."""
    turn = floats([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    level = points @ turn
    middle = (level.min(axis=0) + level.max(axis=0)) / 2
    return turn @ middle, float(np.ptp(level, axis=0).max())


def _read_crop(picture: Pixels, centre: Floats, side: float, angle: float) -> tuple[Floats, float]:
    """Run the mesh on a tilted square of the picture; return its points in picture pixels and the presence."""
    scale = side / MESH_SIDE
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    to_picture = np.array([[cos, -sin, 0], [sin, cos, 0]], dtype=np.float64)
    to_picture[:, 2] = centre - to_picture[:, :2] @ (MESH_SIDE / 2, MESH_SIDE / 2)
    crop = cv2.warpAffine(picture, to_picture, (MESH_SIDE, MESH_SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    points, logit = nets().mesh(crop)
    flat = points[:, :2] @ to_picture[:, :2].T + to_picture[:, 2]
    result = np.column_stack([flat, points[:, 2] * scale])
    return floats(result), 1 / (1 + math.exp(-max(-60.0, min(60.0, logit))))
