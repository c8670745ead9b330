"""One face onto another: the order of the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from swapsandbox.faces import skin
from swapsandbox.faces.blend import blend, feathered, restore, sharpen
from swapsandbox.faces.colour import ColourMatch, to_lab, to_rgb
from swapsandbox.faces.geometry import destination
from swapsandbox.faces.warp import warp

if TYPE_CHECKING:
    from swapsandbox.faces.arrays import Floats, Mask, Pixels
    from swapsandbox.faces.mesh import Face

_MARGIN: Final = 0.1
_MASK_SIZE: Final = 160.0
_SHRINK_BELOW: Final = 0.85
_ENLARGED_ABOVE: Final = 1.3


def transplant(source: Pixels, donor: Face, target: Pixels, face: Face, fidelity: float) -> Pixels:
    """Return a copy of `target` in which `face` shows the donor's; everything outside that face is unchanged.

    Args:
        source: the picture with the donor's face.
        donor: that face.
        target: the picture to change.
        face: the face of it to replace.
        fidelity: 1 leaves the donor's skin as it is, 0 smooths and sharpens it most.
    """
    left, top, right, bottom = _bounds(face, target.shape)
    patch, local = target[top:bottom, left:right], face.moved(-left, -top)
    source, donor = _shrunk(source, donor, face.size / donor.size)
    points = destination(donor, local)
    enlargement = face.size / donor.size
    bent, real = warp(source, donor.points, points, patch.shape, enlarged=enlargement > 1)
    match, alpha = _plan(bent, patch, real, points, local)
    new = to_rgb(match.apply(to_lab(bent)))
    if enlargement > _ENLARGED_ABOVE:
        new = sharpen(new, amount=0.6, sigma=1.2)
    new = restore(new, 1 - fidelity, local.size)
    result = target.copy()
    result[top:bottom, left:right] = blend(patch, new, alpha)
    return result


def _plan(bent: Pixels, patch: Pixels, real: Mask, points: Floats, face: Face) -> tuple[ColourMatch, Floats]:
    """Return the colour correction and the opacity for a patch.

    Both are smooth, so they are worked out on a small copy: half the time for large faces, the same picture.
    """
    scale = min(1.0, _MASK_SIZE / face.size)
    height, width = (max(1, round(side * scale)) for side in patch.shape[:2])
    small_source, small_target, small_real = (
        cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)
        for plane in (bent, patch, real.astype(np.float32))
    )
    small_face, small_points = face.scaled(scale), points * np.float32(scale)
    shape, size = (height, width), small_face.size
    oval = skin.fill(shape, small_face.oval) & (small_real > 1 - 1e-3)
    lab_source, lab_target = to_lab(small_source), to_lab(small_target)
    usable = skin.exchangeable(lab_source, lab_target, small_points, oval, size)
    match = ColourMatch(lab_source, lab_target, usable & ~skin.features(shape, small_points), size)
    alpha = cv2.resize(feathered(oval, usable, size), patch.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return match, np.where(real, alpha, 0)


def _bounds(face: Face, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the face with a margin, cut at the picture's border."""
    margin, points = _MARGIN * face.size, face.points[:, :2]
    left, top = np.maximum(np.floor(points.min(axis=0) - margin), 0).astype(int)
    right, bottom = np.minimum(np.ceil(points.max(axis=0) + margin), shape[1::-1]).astype(int)
    return int(left), int(top), int(right), int(bottom)


def _shrunk(source: Pixels, donor: Face, ratio: float) -> tuple[Pixels, Face]:
    """Cut out the donor's face, and shrink it when the target's is smaller: bending alone would alias."""
    left, top, right, bottom = _bounds(donor, source.shape)
    cut, face = source[top:bottom, left:right], donor.moved(-left, -top)
    if ratio >= _SHRINK_BELOW:
        return cut, face
    width, height = (max(1, round(side * ratio)) for side in (cut.shape[1], cut.shape[0]))
    return cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA), face.scaled(ratio)
