"""Which pixels of the two overlaid faces may be exchanged: skin and features, but no hair and no hat."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from swapsandbox.faces.arrays import Floats, Mask, floats
from swapsandbox.faces.mesh import CHEEKS, LEFT_BROW, LEFT_EYE, LIPS, NOSE, RIGHT_BROW, RIGHT_EYE

_FEATURES: Final = (RIGHT_EYE, LEFT_EYE, RIGHT_BROW, LEFT_BROW, LIPS)
_SPREAD_LOW: Final = floats((9.0, 3.5, 4.5))
_SPREAD_HIGH: Final = floats((18.0, 9.0, 9.0))
_SOURCE_LIMIT: Final = 2.8
_TARGET_LIMIT: Final = 3.3
_KEEP_MARGIN: Final = 0.05
_TIDY_RADIUS: Final = 0.025


def fill(shape: tuple[int, ...], *polygons: Floats) -> Mask:
    """Return the pixels inside any of the polygons (each n x 2, pixels)."""
    canvas = np.zeros(shape[:2], dtype=np.uint8)
    for polygon in polygons:
        cv2.fillPoly(canvas, [np.round(polygon * 16).astype(np.int32)], 1, shift=4)
    return canvas.astype(bool)


def core_hull(points: Floats) -> Floats:
    """Return the polygon around eyes, brows, nose and mouth, n x 2."""
    rows = [row for part in (*_FEATURES, NOSE) for row in part]
    hull: Floats = cv2.convexHull(points[rows, :2]).reshape(-1, 2)
    return hull


def features(shape: tuple[int, ...], points: Floats) -> Mask:
    """Return the pixels of eyes, brows and lips: they are not skin-coloured."""
    return fill(shape, *(cv2.convexHull(points[list(part), :2]).reshape(-1, 2) for part in _FEATURES))


def exchangeable(source: Floats, target: Floats, points: Floats, inside: Mask, size: float) -> Mask:
    """Return the part of `inside` where both pictures show face and not hair.

    Without this the source's fringe would be pasted as a band on the target's forehead.

    Args:
        source: the bent source picture, h x w x 3, LAB with L in 0..100.
        target: the target picture, likewise.
        points: the mesh in both, 468 x 3, pixels.
        inside: where a face can be at all.
        size: the size of the face, pixels.
    """
    shape = inside.shape
    model = inside & fill(shape, *(points[list(part), :2] for part in CHEEKS))
    core = fill(shape, core_hull(points))
    core = cv2.dilate(core.astype(np.uint8), _disc(_KEEP_MARGIN * size)) > 0
    skin = _likeness(source, model) < _SOURCE_LIMIT
    # Below the brows the target shows what will be painted over anyway: a beard, a shadow, a hand.
    skin &= (_likeness(target, model) < _TARGET_LIMIT) | ~_above_brows(shape, points)
    return _tidy((skin | core) & inside, size) & inside


def _likeness(lab: Floats, model: Mask) -> Floats:
    """Return the distance of each pixel from the skin of `model`, in robust standard deviations."""
    if not model.any():
        return np.zeros(model.shape, dtype=np.float32)
    samples = lab[model]
    middle = np.median(samples, axis=0)
    spread = 1.4826 * np.median(np.abs(samples - middle), axis=0)
    scaled = (lab - middle) / np.clip(spread, _SPREAD_LOW, _SPREAD_HIGH)
    return floats(np.sqrt(np.square(scaled).sum(axis=2)))


def _above_brows(shape: tuple[int, ...], points: Floats) -> Mask:
    """Return the half plane over the line through both brows."""
    right, left = points[list(RIGHT_BROW), :2].mean(axis=0), points[list(LEFT_BROW), :2].mean(axis=0)
    (along_x, along_y), (x, y) = left - right, right
    ys, xs = np.mgrid[: shape[0], : shape[1]]
    above = along_x * (ys - y) - along_y * (xs - x) < 0
    return np.asarray(above, dtype=np.bool_)


def _tidy(mask: Mask, size: float) -> Mask:
    """Close small gaps, cut off threads, keep the largest part and fill its holes."""
    disc = _disc(_TIDY_RADIUS * size)
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, disc)
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, disc)
    outlines, _ = cv2.findContours(opened, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return np.zeros_like(mask)
    filled = np.zeros_like(opened)
    cv2.drawContours(filled, [max(outlines, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    return np.asarray(filled, dtype=np.bool_)


def _disc(radius: float) -> Mask:
    side = 2 * max(1, round(radius)) + 1
    disc: Mask = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return disc
