"""Pictures changed by plain image processing: continued beyond their edges, restored, enlarged, cut out, sketched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from swapsandbox.faces.load import decode
from swapsandbox.operations.drawing import LABEL, encoded
from swapsandbox.operations.made import Made, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from swapsandbox.faces.arrays import Pixels
    from swapsandbox.operations.made import Options

_LARGEST: Final = 3072
_MOST: Final = 8


def outpaint(pictures: Sequence[bytes], options: Options) -> Made:
    """Go on beyond the edges: mirrored there, blurred more the farther out, the middle as it was."""
    picture = decode(pictures[0], "sourceImage")
    count = int(options["count"])
    if not 1 <= count <= _MOST:
        raise Refused(f"TOO_MANY_IMAGES: {count} wanted, at most {_MOST}")
    height, width = picture.shape[:2]
    tall, wide = round(height * options["vertical"]), round(width * options["horizontal"])
    if max(tall, wide) > _LARGEST:
        raise Refused(f"IMAGE_SIZE: {wide}x{tall} wanted, a side has at most {_LARGEST} pixels")
    top, left = (tall - height) // 2, (wide - width) // 2
    edges = (top, tall - height - top, left, wide - width - left)
    whole = cv2.copyMakeBorder(picture, *edges, cv2.BORDER_REFLECT_101)
    seeds = [int(options["seed"]) + number for number in range(count)]
    return Made([encoded(_softened(whole, picture, top, left, seed), LABEL) for seed in seeds], seeds)


def _softened(whole: Pixels, middle: Pixels, top: int, left: int, seed: int) -> Pixels:
    height, width = middle.shape[:2]
    inside = np.zeros(whole.shape[:2], np.uint8)
    inside[top : top + height, left : left + width] = 255
    distance = cv2.distanceTransform(255 - inside, cv2.DIST_L2, 3)[..., None]
    blurred = cv2.GaussianBlur(whole, (0, 0), 6 + seed % 5)
    share = np.clip(distance / max(float(distance.max()), 1.0) * 2, 0, 1)
    mixed: Pixels = (whole * (1 - share) + blurred * share).astype(np.uint8)
    mixed[top : top + height, left : left + width] = middle
    return mixed


def preprocess(pictures: Sequence[bytes], options: Options) -> Made:
    """Show what a preprocessor sees."""
    name = str(options["preprocessor"]).lower()
    function = _PREPROCESSORS.get(name)
    if function is None:
        raise Refused(f"PREPROCESSOR_UNKNOWN: the sandbox has {', '.join(sorted(_PREPROCESSORS))}")
    grey = function(cv2.cvtColor(decode(pictures[0], "sourceImage"), cv2.COLOR_RGB2GRAY))
    return Made([encoded(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), LABEL)])


def _soft_edges(grey: Pixels) -> Pixels:
    x, y = (cv2.Sobel(cv2.GaussianBlur(grey, (0, 0), 1.5), cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
    edges: Pixels = np.clip(np.hypot(x, y), 0, 255).astype(np.uint8)
    return edges


_PREPROCESSORS: Final[Mapping[str, Callable[[Pixels], Pixels]]] = {
    "canny": lambda grey: cv2.Canny(grey, 100, 200),
    "softedge": _soft_edges,
    "lineart": lambda grey: cv2.divide(grey, cv2.GaussianBlur(grey, (0, 0), 5), scale=255),
    "scribble": lambda grey: cv2.threshold(_soft_edges(grey), 48, 255, cv2.THRESH_BINARY)[1],
    "tile": lambda grey: cv2.GaussianBlur(grey, (0, 0), 4),
}


def restore(pictures: Sequence[bytes], _: Options) -> Made:
    """Take noise away and bring edges out."""
    calm = cv2.fastNlMeansDenoisingColored(decode(pictures[0], "image"), None, 4, 4, 5, 15)
    return Made([encoded(cv2.addWeighted(calm, 1.5, cv2.GaussianBlur(calm, (0, 0), 2), -0.5, 0), LABEL)])


def enlarge(pictures: Sequence[bytes], options: Options) -> Made:
    """Make it larger, at most to twice the size."""
    picture = decode(pictures[0], "image")
    factor = min(float(options.get("scale") or 2), 2.0, _LARGEST / max(picture.shape[:2]))
    return Made([encoded(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_LANCZOS4), LABEL)])


def cut_out(pictures: Sequence[bytes], _: Options) -> Made:
    """Leave the middle of the picture on white: what GrabCut takes for the foreground."""
    picture = decode(pictures[0], "image")
    height, width = picture.shape[:2]
    scale = min(256 / max(height, width), 1.0)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    mask = np.zeros(small.shape[:2], np.uint8)
    inside = (round(small.shape[1] * 0.08), round(small.shape[0] * 0.04))
    box = (*inside, small.shape[1] - 2 * inside[0], small.shape[0] - inside[1] - 1)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(1)
    cv2.grabCut(small, mask, box, background, foreground, 3, cv2.GC_INIT_WITH_RECT)
    inside_of = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    share = cv2.GaussianBlur(cv2.resize(inside_of, (width, height)), (0, 0), 2)[..., None]
    return Made([encoded((picture * share + 255 * (1 - share)).astype(np.uint8), LABEL)])


def echo(pictures: Sequence[bytes], _: Options) -> Made:
    """Give the first picture back, labelled: of a tool of which only the name is known."""
    return Made([encoded(decode(pictures[0], "image"), LABEL)])
