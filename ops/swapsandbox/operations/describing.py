"""Words for a picture, made of what can be measured in it; and longer prompts of a short one."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from swapsandbox.faces.detect import find_faces
from swapsandbox.faces.load import decode
from swapsandbox.operations.made import Made, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swapsandbox.faces.arrays import Pixels
    from swapsandbox.operations.made import Options

# By hue in degrees, from each on.
_HUES: Final = (
    (0, "red"),
    (20, "orange"),
    (45, "yellow"),
    (70, "green"),
    (165, "cyan"),
    (190, "blue"),
    (260, "purple"),
)
_GREY, _DARK, _BRIGHT, _FLAT, _SHARP = 28, 80, 170, 0.012, 220.0
_ADDED: Final = (
    *("soft morning light", "rim light", "golden hour", "overcast sky", "low key lighting"),
    *("wide angle", "close-up", "shallow depth of field", "rule of thirds", "symmetrical composition"),
    *("highly detailed", "fine texture", "muted colours", "vivid colours", "film grain"),
)
_MOST: Final = 10


def describe(pictures: Sequence[bytes], options: Options) -> Made:
    """Say what can be seen by measuring: faces, light, colours, size."""
    about = _measured(decode(pictures[0], "image"))
    people = {0: "no face", 1: "one face"}.get(about["faces"], f"{about['faces']} faces")
    words = [
        f"{_article(about['light'])} {about['light']} {about['style']} of {about['width']} x {about['height']} pixels",
        people,
    ]
    words.append(f"mostly {about['colours'][0]}" + (f" and {about['colours'][1]}" if len(about["colours"]) > 1 else ""))
    if options.get("model") == "deepdanbooru":
        tags = [people, *about["colours"], about["light"], about["style"]]
        return Made(texts=[", ".join(tag.replace(" ", "_") for tag in tags)])
    return Made(texts=[", ".join(words)])


def style(pictures: Sequence[bytes], _: Options) -> Made:
    """Say of what style it is, with the figures that say so."""
    about = _measured(decode(pictures[0], "sourceImage"))
    return Made(value={"style": about["style"], **{name: about[name] for name in ("sharpness", "distinctColours")}})


def expand(_: Sequence[bytes], options: Options) -> Made:
    """Add words to a prompt; the same prompt gets the same."""
    count = int(options.get("count") or 1)
    if not 1 <= count <= _MOST:
        raise Refused(f"TOO_MANY_SEQUENCES: {count} wanted, at most {_MOST}")
    prompt = str(options["prompt"])
    texts = []
    for number in range(count):
        added = Random(f"{prompt}/{number}").sample(_ADDED, 5)
        texts.append(", ".join([prompt.strip().rstrip(","), *added]))
    return Made(texts=texts)


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _measured(picture: Pixels) -> dict[str, Any]:
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA)
    hue, saturation, value = (channel.ravel() for channel in cv2.split(cv2.cvtColor(small, cv2.COLOR_RGB2HSV)))
    brightness = float(value.mean())
    light = "dark" if brightness < _DARK else "bright" if brightness > _BRIGHT else "evenly lit"
    coloured = hue[saturation > _GREY].astype(int) * 2
    names = [next(name for start, name in reversed(_HUES) if degrees >= start) for degrees in coloured]
    by_count = sorted({name: names.count(name) for name in names}.items(), key=lambda item: -item[1])
    colours = [name for name, count in by_count if count > 0.15 * small.shape[0] * small.shape[1]][:2] or ["grey"]
    distinct = len(np.unique(small.reshape(-1, 3) // 16, axis=0)) / (64 * 64)
    sharpness = float(cv2.Laplacian(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())
    kind = "flat drawing" if distinct < _FLAT else "sharp photograph" if sharpness > _SHARP else "soft photograph"
    return {
        "width": width,
        "height": height,
        "light": light,
        "colours": colours,
        "faces": len(find_faces(picture)),
        "style": kind,
        "sharpness": round(sharpness, 1),
        "distinctColours": round(distinct, 4),
    }
