"""Encoding the result so that people and programs can tell it is synthetic."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from swapsandbox.faces.arrays import Pixels

_QUALITY: Final = 95
_EXIF_IMAGE_DESCRIPTION: Final = 0x010E
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_MARK_SHARE: Final = 0.12
_MIN_MARK_WIDTH: Final = 40


def encode(picture: Pixels, label: str | None) -> bytes:
    """Return the picture as JPEG (quality 95, full colour resolution); the same picture gives the same bytes.

    Args:
        picture: what to encode; not changed.
        label: goes into the JPEG comment and the EXIF description, and its first word (up to a colon) visibly into
            the lower left corner. None leaves no trace at all.
    """
    out = io.BytesIO()
    if label is None:
        Image.fromarray(picture).save(out, "JPEG", quality=_QUALITY, subsampling="4:4:4")
        return out.getvalue()
    exif = Image.Exif()
    exif[_EXIF_IMAGE_DESCRIPTION] = label
    marked = Image.fromarray(_marked(picture, label.partition(":")[0]))
    marked.save(out, "JPEG", quality=_QUALITY, subsampling="4:4:4", comment=label.encode(), exif=exif)
    return out.getvalue()


def _marked(picture: Pixels, word: str) -> Pixels:
    """Return a copy with `word` in white on a dimmed plate, lower left, about a sixth of the width."""
    height, width = picture.shape[:2]
    wanted = max(_MIN_MARK_WIDTH, _MARK_SHARE * width)
    (full_width, full_height), _ = cv2.getTextSize(word, _FONT, 1.0, 1)
    scale = wanted / max(full_width, 1)
    pad = round(full_height * scale * 0.6)
    plate_width, plate_height = round(wanted) + 2 * pad, round(full_height * scale) + 2 * pad
    marked = picture.copy()
    plate = marked[-plate_height:, :plate_width]
    plate[:] = plate // 2
    thickness = max(1, round(scale * 2))
    cv2.putText(marked, word, (pad, height - pad), _FONT, scale, (255, 255, 255), thickness, cv2.LINE_AA)
    return np.ascontiguousarray(marked)
