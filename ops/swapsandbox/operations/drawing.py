"""A labelled picture for a prompt: waves and colours that follow from its words and a seed, with the words on it."""

from __future__ import annotations

import hashlib
import textwrap
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from swapsandbox.faces.label import encode
from swapsandbox.faces.load import decode
from swapsandbox.operations.made import Made, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swapsandbox.faces.arrays import Pixels
    from swapsandbox.operations.made import Options

LABEL: Final = "synthetic: swapjobs sandbox"
_SMALLEST: Final = 16
_LARGEST: Final = 2048
_MOST: Final = 16
_FONT: Final = cv2.FONT_HERSHEY_DUPLEX


def draw(_: Sequence[bytes], options: Options) -> Made:
    """Draw as many pictures as are wanted, each with a seed of its own."""
    seeds = _seeds(options)
    return Made([encoded(canvas_of({**options, "seed": seed}), LABEL) for seed in seeds], seeds)


def redraw(pictures: Sequence[bytes], options: Options) -> Made:
    """Draw over a picture: it is painted anew, the more so the higher the denoising strength."""
    picture = decode(pictures[0], "image_link")
    strength = min(max(float(options.get("strength") or 0.75), 0), 1)
    results = []
    for seed in _seeds(options):
        painted = cv2.stylization(picture, sigma_s=10 + 90 * strength, sigma_r=0.45)
        height, width = picture.shape[:2]
        over = canvas_of({**options, "width": width, "height": height, "seed": seed})
        results.append(encoded(cv2.addWeighted(painted, 1 - 0.35 * strength, over, 0.35 * strength, 0), LABEL))
    return Made(results, _seeds(options))


def canvas_of(options: Options) -> Pixels:
    """Return the picture of a prompt.

    Raises:
        Refused: it would be too large.
    """
    width, height = int(options.get("width") or 512), int(options.get("height") or 512)
    if not _SMALLEST <= min(width, height) <= max(width, height) <= _LARGEST:
        raise Refused(f"IMAGE_SIZE: {width}x{height}, a side has {_SMALLEST} to {_LARGEST} pixels")
    digest = hashlib.sha256(f"{options['prompt']}/{options['seed']}".encode()).digest()
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / max(width, height)
    layers = []
    for channel in range(3):
        a, b, c, d = (value / 255 for value in digest[channel * 4 : channel * 4 + 4])
        wave = np.sin((a * 9 + 2) * x + (b * 9 + 2) * y + c * 6.3) + np.sin((d * 14 + 3) * np.hypot(x - a, y - b))
        layers.append(wave * 48 + 128 + (c - 0.5) * 90)
    canvas = np.clip(np.dstack(layers), 0, 255).astype(np.uint8)
    return _with_words(np.ascontiguousarray(canvas), str(options["prompt"]))


def encoded(picture: Pixels, label: str) -> bytes:
    """Return the picture as JPEG, marked as made by a machine."""
    return encode(np.ascontiguousarray(picture), label)


def _with_words(canvas: Pixels, prompt: str) -> Pixels:
    width = canvas.shape[1]
    scale = max(width / 900, 0.35)
    lines = textwrap.wrap(prompt.encode("ascii", "replace").decode(), max(round(52 * width / (900 * scale)), 8))[:4]
    step = round(34 * scale)
    for number, line in enumerate(lines):
        place = (round(18 * scale), round(44 * scale) + number * step)
        for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(canvas, line, place, _FONT, scale, colour, max(round(thickness * scale), 1), cv2.LINE_AA)
    return canvas


def _seeds(options: Options) -> list[int]:
    count = int(options.get("count") or 1)
    if not 1 <= count <= _MOST:
        raise Refused(f"TOO_MANY_IMAGES: {count} wanted, at most {_MOST}")
    return [options["seed"] + number for number in range(count)]
