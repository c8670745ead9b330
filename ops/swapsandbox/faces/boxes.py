"""BlazeFace: from a picture to candidate boxes with key points."""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple, Self

import cv2
import numpy as np

from swapsandbox.faces.arrays import Floats, Pixels, floats
from swapsandbox.faces.nets import Detector, nets

_SAME_FACE_IOU: Final = 0.3
_LOGIT_LIMIT: Final = 80.0


class Boxes(NamedTuple):
    """Candidates, all coordinates in pixels of the picture.

    Attributes:
        points: n x 8 x 2: two opposite corners, right eye, left eye, nose, mouth, right ear, left ear.
        scores: n, in 0..1.
    """

    points: Floats
    scores: Floats

    @classmethod
    def join(cls, *parts: Boxes) -> Boxes:
        """Return all candidates of `parts`, each face once."""
        points = np.concatenate([part.points for part in parts])
        scores = np.concatenate([part.scores for part in parts])
        return cls(points, scores).merged()

    @property
    def best(self) -> float:
        """The highest score, 0 when there is none."""
        return float(self.scores.max(initial=0.0))

    def moved(self, x: float, y: float) -> Self:
        """Return the candidates shifted by that many pixels."""
        return self._replace(points=self.points + floats((x, y)))

    def turned_back(self, quarter_turns: int, shape: tuple[int, ...]) -> Self:
        """Return candidates found on `np.rot90(picture, quarter_turns)` in coordinates of `picture` (of `shape`)."""
        height, width = shape[:2]
        x, y = self.points[..., 0], self.points[..., 1]
        back = [(x, y), (width - y, x), (width - x, height - y), (y, height - x)][quarter_turns]
        return self._replace(points=np.stack(back, axis=-1))

    def merged(self) -> Boxes:
        """Return one box per face: overlapping candidates averaged, weighted by their scores (weighted NMS)."""
        left = np.argsort(-self.scores, kind="stable")
        points, scores = [], []
        while left.size:
            same = _iou(self.points[left[0]], self.points[left]) > _SAME_FACE_IOU
            same[0] = True  # even a degenerate box equals itself, else this loop would not end
            weights = self.scores[left[same]]
            points.append(np.average(self.points[left[same]], axis=0, weights=weights))
            scores.append(weights[0])
            left = left[~same]
        return Boxes(floats(points).reshape(-1, 8, 2), floats(scores))


def scan(picture: Pixels, detector: Detector, threshold: float) -> Boxes:
    """Return the faces that one detector sees in the whole picture with a score above `threshold`."""
    height, width = picture.shape[:2]
    scale = detector.side / max(height, width)
    small_width, small_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (detector.side - small_width) // 2, (detector.side - small_height) // 2
    square = np.zeros((detector.side, detector.side, 3), dtype=np.uint8)
    square[top : top + small_height, left : left + small_width] = cv2.resize(
        picture, (small_width, small_height), interpolation=cv2.INTER_AREA
    )
    raw, logits = nets().detect(detector, square)
    scores = 1 / (1 + np.exp(-np.clip(logits, -_LOGIT_LIMIT, _LOGIT_LIMIT)))
    keep = (scores > threshold) & np.isfinite(raw).all(axis=1)
    pairs = raw[keep].reshape(-1, 8, 2)
    anchors = _anchors(detector)[keep][:, None]
    centre, half = pairs[:, :1] + anchors, pairs[:, 1:2] / 2
    points = np.concatenate([centre - half, centre + half, pairs[:, 2:] + anchors], axis=1)
    return Boxes(floats((points - floats((left, top))) / scale), floats(scores[keep])).merged()


@cache
def _anchors(detector: Detector) -> Floats:
    """Return the anchor centres, n x 2, in input pixels."""
    layers = []
    for cells, per_cell in detector.grids:
        y, x = np.mgrid[:cells, :cells].reshape(2, -1)
        centres = (np.stack([x, y], axis=1) + 0.5) * detector.side / cells
        layers.append(np.repeat(centres, per_cell, axis=0))
    return np.concatenate(layers).astype(np.float32)


def _iou(one: Floats, many: Floats) -> Floats:
    """Intersection over union of one box (8 x 2) with each of `many` (n x 8 x 2)."""
    low, high = one[:2].min(axis=0), one[:2].max(axis=0)
    lows, highs = many[:, :2].min(axis=1), many[:, :2].max(axis=1)
    overlap = np.clip(np.minimum(high, highs) - np.maximum(low, lows), 0, None).prod(axis=1)
    union = (high - low).prod() + (highs - lows).prod(axis=1) - overlap
    return floats(overlap / np.maximum(union, 1e-6))
