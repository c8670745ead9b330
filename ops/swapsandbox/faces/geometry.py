"""Where every point of the source's face goes in the target: 3D alignment and the triangles between the points."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from swapsandbox.faces.arrays import Floats, Indices, floats
from swapsandbox.faces.mesh import CHIN, FOREHEAD, LEFT_SIDE, RIGHT_SIDE, STABLE, Face

_IDENTITY: Final = 0.9
_IDENTITY_FADE: Final = 0.22
_AXIS_BEHIND: Final = 0.3


def pose_like(points: Floats, model: Floats) -> Floats:
    """Return `points` (468 x 3) turned, scaled and moved to lie as well as possible on `model` (468 x 3).

    The best 3D similarity over the stable points (Umeyama 1991): the face keeps its shape, and takes the other's pose.
    """
    rows = list(STABLE)
    middle, model_middle = points[rows].mean(axis=0), model[rows].mean(axis=0)
    centred, model_centred = points[rows] - middle, model[rows] - model_middle
    u, strengths, v = np.linalg.svd(model_centred.T @ centred)
    mirror = np.array([1, 1, np.sign(np.linalg.det(u @ v))], dtype=np.float32)  # never turn a face inside out
    rotation = (u * mirror) @ v
    scale = (strengths * mirror).sum() / np.square(centred).sum()
    posed = scale * (points - middle) @ rotation.T + model_middle
    return floats(posed)


def destination(donor: Face, target: Face) -> Floats:
    """Return where the donor's points land in the target's picture, 468 x 3.

    The outline stays the target's, so the face fits the head. Towards the middle the points follow the donor's own
    proportions and expression in the target's pose: this is what keeps the likeness.
    """
    depth = [cv2.pointPolygonTest(target.oval, (float(x), float(y)), True) for x, y, _ in target.points]
    weight = _IDENTITY * smoothstep(floats(depth) / (_IDENTITY_FADE * target.size))
    posed = pose_like(donor.points, target.points)
    return target.points + weight[:, None] * (posed - target.points)


def smoothstep(ramp: Floats) -> Floats:
    """Return 0 below 0, 1 above 1 and a curve with flat ends between."""
    t = np.clip(ramp, 0, 1)
    return t * t * (3 - 2 * t)


def triangles(points: Floats) -> Indices:
    """Return a triangulation of the mesh (n x 3 point numbers, all turning the same way when seen from outside).

    Triangulated on the face unrolled from a cylinder: in the flat picture of a turned head the points fold at the nose.
    """
    flat = _unrolled(points)
    low, extent = flat.min(axis=0), np.ptp(flat, axis=0)
    plane = cv2.Subdiv2D((-1, -1, int(extent[0]) + 3, int(extent[1]) + 3))
    numbers = {}
    for number, (x, y) in enumerate(flat - low):
        plane.insert((float(x), float(y)))
        numbers[float(x), float(y)] = number
    corners = np.reshape(plane.getTriangleList(), (-1, 3, 2)).tolist()
    result = [[numbers.get((x, y), -1) for x, y in corner] for corner in corners]
    # The subdivision adds far-away helper points; their triangles are not ours.
    inside = np.array([row for row in result if -1 not in row], dtype=np.int32)
    turning = signed_areas(flat, inside) > 0
    return np.where(turning[:, None], inside, inside[:, ::-1])


def signed_areas(points: Floats, corners: Indices) -> Floats:
    """Return twice the area of each triangle, negative where it turns the other way."""
    a, b, c = (points[corners[:, corner], :2] for corner in range(3))
    first, second = b - a, c - a
    return floats(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0])


def _unrolled(points: Floats) -> Floats:
    """Return the points on a cylinder around the head, rolled flat: n x 2, about in pixels of the picture."""
    across = _unit(points[LEFT_SIDE] - points[RIGHT_SIDE])
    down = points[CHIN] - points[FOREHEAD]
    down = _unit(down - across * (down @ across))
    frontal = (points - points.mean(axis=0)) @ np.stack([across, down, np.cross(across, down)], axis=1)
    width = np.ptp(frontal[:, 0])
    axis = frontal[[RIGHT_SIDE, LEFT_SIDE], 2].mean() + _AXIS_BEHIND * width
    around = np.arctan2(frontal[:, 0], axis - frontal[:, 2]) * width
    return floats(np.stack([around, frontal[:, 1]], axis=1))


def _unit(vector: Floats) -> Floats:
    return floats(vector / np.linalg.norm(vector))
