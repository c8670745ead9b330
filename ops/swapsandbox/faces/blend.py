"""The last step: sharpness, restoration, and the soft edge between the two pictures."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from swapsandbox.faces.arrays import Floats, Mask, Pixels, floats
from swapsandbox.faces.geometry import smoothstep

_OVAL_MARGIN: Final = 0.02
_OVAL_FEATHER: Final = 0.08
_SKIN_MARGIN: Final = 0.01
_SKIN_FEATHER: Final = 0.08
_PORE_RADIUS: Final = 0.02
_PORE_CONTRAST: Final = 12.0


def feathered(oval: Mask, skin: Mask, size: float) -> Floats:
    """Return the opacity of the new face (h x w, 0..1): 0 on and outside both masks, 1 well inside both.

    Args:
        oval: the outline of the face.
        skin: the part of it that may be exchanged.
        size: the size of the face, in pixels.
    """
    from_outline = (_depth(oval) / size - _OVAL_MARGIN) / _OVAL_FEATHER
    from_hair = (_depth(skin) / size - _SKIN_MARGIN) / _SKIN_FEATHER
    return smoothstep(np.minimum(from_outline, from_hair))


def sharpen(rgb: Floats, amount: float, sigma: float) -> Floats:
    """Return the picture (0..255) with details below `sigma` pixels made stronger by `amount`."""
    blurred = cv2.GaussianBlur(rgb, (0, 0), sigma)
    return floats(np.clip(rgb + amount * (rgb - blurred), 0, 255))


def restore(rgb: Floats, strength: float, size: float) -> Floats:
    """Return the face with smoother skin and crisper edges.

    Args:
        rgb: the face, 0..255.
        strength: 0 changes nothing, 1 is a visible retouch.
        size: the size of the face, in pixels.
    """
    if strength <= 0:
        return rgb
    smooth = _smooth(rgb, radius=max(1, round(_PORE_RADIUS * size)))
    crisp = sharpen(smooth, amount=0.5, sigma=max(1.0, 0.01 * size))
    return floats(rgb + strength * (crisp - rgb))


def blend(target: Pixels, face: Floats, alpha: Floats) -> Pixels:
    """Return `target` with `face` (0..255) over it; where `alpha` is 0 the target's bytes stay as they are."""
    mixed = target + alpha[..., None] * (face - target)
    return np.asarray(np.clip(mixed + 0.5, 0, 255), dtype=np.uint8)


def _depth(mask: Mask) -> Floats:
    """Distance of each pixel to the nearest one outside the mask; the picture's border is not outside."""
    depth: Floats = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return depth


def _smooth(rgb: Floats, radius: int) -> Floats:
    """Flatten what varies less than `_PORE_CONTRAST` within `radius`, keep edges (a guided filter, He 2010)."""
    side = (2 * radius + 1, 2 * radius + 1)
    mean = cv2.blur(rgb, side)
    variance = cv2.blur(rgb * rgb, side) - mean * mean
    keep = np.clip(variance, 0, None) / (np.clip(variance, 0, None) + _PORE_CONTRAST**2)
    return floats(cv2.blur(keep, side) * rgb + cv2.blur((1 - keep) * mean, side))
