"""Giving the source's skin the target's colour and light."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from swapsandbox.faces.arrays import Floats, Mask, Pixels, floats

_MIN_GAIN: Final = floats((0.7, 0.0, 0.0))
_MAX_GAIN: Final = floats((1.3, 1.25, 1.25))
_CONTRAST_REACH: Final = 3.0
_LIGHT_RADIUS: Final = 0.22
_LIGHT_SHARE: Final = floats((0.7, 0.8, 0.8))
_LIGHT_LIMIT: Final = floats((25.0, 128.0, 128.0))


def to_lab(rgb: Pixels) -> Floats:
    """Return the picture as LAB: L in 0..100, a and b about -128..127."""
    lab: Floats = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return lab


def to_rgb(lab: Floats) -> Floats:
    """Return a LAB picture as RGB in 0..255, not rounded."""
    return floats(np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1) * 255)


class ColourMatch:
    """A correction learnt on small copies of both faces, for pictures of any size.

    Two parts: mean and contrast over all skin, and a smooth field that brings the target's light and shade.
    """

    def __init__(self, source: Floats, target: Floats, skin: Mask, size: float) -> None:
        """Learn from two aligned LAB pictures (h x w x 3), their common skin and the size of the face in pixels."""
        self._gain = np.ones(3, dtype=np.float32)
        self._from, self._to, self._reach = np.zeros((3, 3), dtype=np.float32)
        self._field = np.zeros_like(source)
        if not skin.any():
            return
        self._from, source_spread = _statistics(source[skin])
        self._to, target_spread = _statistics(target[skin])
        self._gain = np.clip(target_spread / np.maximum(source_spread, 0.1), _MIN_GAIN, _MAX_GAIN)
        # Eyes, nostrils and mouth corners are far from skin: more contrast would make them black holes.
        self._reach = np.where(self._gain > 1, _CONTRAST_REACH * source_spread, np.inf)
        rest = np.where(skin[..., None], target - self._matched(source), 0)
        self._field = np.clip(_LIGHT_SHARE * _spread(rest, skin, size), -_LIGHT_LIMIT, _LIGHT_LIMIT)

    def apply(self, lab: Floats) -> Floats:
        """Return the corrected LAB picture; it shows what the source learnt from shows, at any resolution."""
        field = cv2.resize(self._field, lab.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return floats(self._matched(lab) + field)

    def _matched(self, lab: Floats) -> Floats:
        offset = lab - self._from
        near = np.clip(offset, -self._reach, self._reach)
        return floats(self._to + offset + near * (self._gain - 1))


def _statistics(samples: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of the middle 80 % of each channel: highlights and moles do not count."""
    ordered = np.sort(samples, axis=0)
    tenth = len(ordered) // 10
    middle = ordered[tenth : len(ordered) - tenth]
    return middle.mean(axis=0), middle.std(axis=0)


def _spread(values: Floats, where: Mask, size: float) -> Floats:
    """Return the values of the pixels `where`, blurred, and continued beyond them."""
    sigma = max(1.0, _LIGHT_RADIUS * size)
    weight = cv2.GaussianBlur(where.astype(np.float32), (0, 0), sigma)
    total = cv2.GaussianBlur(values, (0, 0), sigma)
    return floats(total / np.maximum(weight, 1e-3)[..., None])
