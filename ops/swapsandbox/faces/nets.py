"""The three vendored networks and the only code that calls them."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from swapsandbox.faces.arrays import Floats, Pixels

FOLDER: Final = Path(__file__).parent / "models"
SHA256: Final = {
    "face_detection_short_range.tflite": "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
    "face_detection_full_range.tflite": "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
    "face_landmark.tflite": "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
}
MESH_SIDE: Final = 192
"""Side of the square crop that the mesh network takes, in pixels."""


@dataclass(frozen=True)
class Detector:
    """One BlazeFace variant: where its anchors sit and what its outputs are called.

    Attributes:
        side: side of the square input, in pixels.
        grids: (cells per side, anchors per cell) of each layer, in output order.
    """

    file: str
    side: int
    grids: tuple[tuple[int, int], ...]
    boxes: str
    scores: str


SHORT_RANGE: Final = Detector(
    file="face_detection_short_range.tflite",
    side=128,
    grids=((16, 2), (8, 6)),
    boxes="regressors",
    scores="classificators",
)
FULL_RANGE: Final = Detector(
    file="face_detection_full_range.tflite",
    side=192,
    grids=((48, 1),),
    boxes="reshaped_regressor_face_4",
    scores="reshaped_classifier_face_4",
)


class Nets:
    """One set of loaded networks; it must not be shared between threads, see `nets`."""

    def __init__(self) -> None:
        # More threads per picture cost CPU and win nothing here; the caller runs pictures in parallel instead.
        cv2.setNumThreads(1)
        # IPP's distance transform rounds by where the memory lies, and the same swap would give two results.
        cv2.ipp.setUseIPP(False)  # holds for this thread
        self._by_file = {file: cv2.dnn.readNetFromTFLite(_verified(file)) for file in SHA256}

    def detect(self, detector: Detector, square: Pixels) -> tuple[Floats, Floats]:
        """Return the raw boxes (n x 16, input pixels relative to the anchor) and score logits (n)."""
        blob = cv2.dnn.blobFromImage(square, 1 / 127.5, mean=(127.5, 127.5, 127.5))
        boxes, scores = self._run(detector.file, blob, detector.boxes, detector.scores)
        return boxes.reshape(-1, 16), scores.reshape(-1)

    def mesh(self, crop: Pixels) -> tuple[Floats, float]:
        """Return 468 points (468 x 3, crop pixels) and the logit of "there is a face in this crop"."""
        blob = cv2.dnn.blobFromImage(crop, 1 / 255)
        points, presence = self._run("face_landmark.tflite", blob, "conv2d_20", "conv2d_30")
        return points.reshape(-1, 3), float(presence.reshape(-1)[0])

    def _run(self, file: str, blob: Any, *outputs: str) -> tuple[Floats, ...]:
        net = self._by_file[file]
        net.setInput(blob)
        # A net reuses its output memory: copy before the next call overwrites it.
        return tuple(np.array(out, dtype=np.float32) for out in net.forward(list(outputs)))


def nets() -> Nets:
    """Return this thread's networks, loading them at its first call.

    One set (15-18 MB) per thread: a `cv2.dnn.Net` used by two threads at once gives wrong numbers.

    Raises:
        RuntimeError: a model file is not the one this code was written for.
    """
    mine: Nets | None = getattr(_per_thread, "nets", None)
    if mine is None:
        mine = _per_thread.nets = Nets()
    return mine


_per_thread = threading.local()


@cache
def _verified(file: str) -> Pixels:
    data = (FOLDER / file).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256[file]:
        raise RuntimeError(f"{file} has sha256 {digest}, expected {SHA256[file]}")
    return np.frombuffer(data, dtype=np.uint8)
