"""Bending the source's picture so that its face lies on the target's."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from swapsandbox.faces.arrays import Floats, Indices, Mask, Pixels, floats
from swapsandbox.faces.geometry import signed_areas, triangles

_MIN_AREA: Final = 0.25
_SUBPIXEL_BITS: Final = 4


def warp(source: Pixels, start: Floats, end: Floats, shape: tuple[int, ...], *, enlarged: bool) -> tuple[Pixels, Mask]:
    """Return the source with the mesh points moved from `start` to `end`, and which pixels of it are real.

    Args:
        source: the picture to bend.
        start: 468 x 3, the mesh in `source`.
        end: 468 x 3, where the points shall lie in the result.
        shape: height and width of the result, in pixels.
        enlarged: whether the source is much smaller than the result, and so needs a better interpolation.
    """
    corners = triangles(start)
    labels = _paint(end, corners, shape)
    ys, xs = np.nonzero(labels)
    triangle = labels[ys, xs] - 1
    pixels = floats(np.stack([xs, ys, np.ones_like(xs)], axis=1))
    weights = np.einsum("nij,nj->ni", _barycentric(end, corners)[triangle], pixels)
    # A pixel on an edge may lie a little outside its triangle: stay inside, or it would show another part of the face.
    weights = np.clip(weights, 0, 1)
    weights /= weights.sum(axis=1, keepdims=True)
    positions = np.full((*shape[:2], 2), -1, dtype=np.float32)
    positions[ys, xs] = np.einsum("ni,nij->nj", weights, start[corners[triangle], :2])
    height, width = source.shape[:2]
    inside = (positions >= 0).all(axis=2) & (positions[..., 0] <= width - 1) & (positions[..., 1] <= height - 1)
    how = cv2.INTER_CUBIC if enlarged else cv2.INTER_LINEAR
    bent: Pixels = cv2.remap(source, positions, None, how, borderMode=cv2.BORDER_REPLICATE)
    return bent, inside


def _paint(points: Floats, corners: Indices, shape: tuple[int, ...]) -> Indices:
    """Return for each pixel the number (from 1) of the nearest triangle over it, 0 where there is none."""
    labels = np.zeros(shape[:2], dtype=np.int16)
    visible = signed_areas(points, corners) > _MIN_AREA  # the others look away from the viewer
    depth = points[corners, 2].mean(axis=1)
    outlines = np.round(points[:, :2] * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    for number in np.argsort(-depth, kind="stable"):
        if visible[number]:
            cv2.fillConvexPoly(labels, outlines[corners[number]], int(number) + 1, shift=_SUBPIXEL_BITS)
    return labels.astype(np.int32)


def _barycentric(points: Floats, corners: Indices) -> Floats:
    """Return per triangle the 3 x 3 matrix from (x, y, 1) to the weights of its three corners."""
    matrices = np.ones((len(corners), 3, 3), dtype=np.float64)
    matrices[:, :2] = points[corners, :2].transpose(0, 2, 1)
    flat = np.abs(np.linalg.det(matrices)) <= _MIN_AREA
    matrices[flat] = np.eye(3)  # never painted, but one singular matrix would spoil the batch
    return floats(np.linalg.inv(matrices))
