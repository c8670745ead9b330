"""Faces: swapped, found, and put into a drawing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from swapsandbox.faces import swap_faces
from swapsandbox.faces.detect import find_faces
from swapsandbox.faces.errors import FaceError, FaceErrorName
from swapsandbox.faces.load import decode
from swapsandbox.operations.drawing import LABEL, canvas_of, encoded
from swapsandbox.operations.made import Made

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swapsandbox.operations.made import Options


def swap(pictures: Sequence[bytes], options: Options) -> Made:
    """Put the faces of all pictures but the last into the last."""
    *sources, target = pictures
    return Made([swap_faces(sources, target, face_index=options["face_index"], fidelity=options["fidelity"])])


def detect(pictures: Sequence[bytes], _: Options) -> Made:
    """Find the faces, from left to right as the swap counts them: box in pixels, how sure, how large."""
    picture = decode(pictures[0], "image")
    height, width = picture.shape[:2]
    faces = sorted(find_faces(picture), key=lambda face: face.centre)
    return Made(value={"width": width, "height": height, "faces": [_about(face, n) for n, face in enumerate(faces, 1)]})


def _about(face: Any, number: int) -> dict[str, Any]:
    left, top = face.oval.min(axis=0)
    right, bottom = face.oval.max(axis=0)
    return {
        "faceIdx": number,
        "box": [round(float(value)) for value in (left, top, right - left, bottom - top)],
        "score": round(float(face.presence), 3),
    }


def portrait(pictures: Sequence[bytes], options: Options) -> Made:
    """Draw the portrait's head as a pencil sketch onto what the prompt gives: it stays the person, visibly drawn."""
    picture = decode(pictures[0], "image")
    faces = find_faces(picture)
    if not faces:
        raise FaceError(FaceErrorName.SOURCE_NO_FACE, "image", "no face found")
    x, y = faces[0].centre
    half = faces[0].size * 1.3
    top, left = max(round(y - half), 0), max(round(x - half), 0)
    head = picture[top : round(y + half), left : round(x + half)]
    canvas = canvas_of(options)
    side = round(min(canvas.shape[:2]) * 0.7)
    _, sketch = cv2.pencilSketch(cv2.resize(head, (side, side)), sigma_s=60, sigma_r=0.07, shade_factor=0.05)
    mask = np.zeros((side, side, 1), np.float32)
    cv2.ellipse(mask, (side // 2, side // 2), (side * 4 // 10, side * 47 // 100), 0, 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), side / 25)[..., None]
    y0, x0 = (canvas.shape[0] - side) // 2, (canvas.shape[1] - side) // 2
    place = canvas[y0 : y0 + side, x0 : x0 + side]
    place[:] = (place * (1 - mask) + sketch * mask).astype(np.uint8)
    return Made([encoded(canvas, LABEL)], [options["seed"]])
