"""From untrusted bytes to an RGB array, with every guard on the way."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageOps

from swapsandbox.faces.errors import FaceError, FaceErrorName

if TYPE_CHECKING:
    from swapsandbox.faces.arrays import Pixels

MAX_BYTES: Final = 20_000_000
MAX_PIXELS: Final = 40_000_000
MAX_SIDE: Final = 2048
FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP")

# Only formats people really send; anything else that fails to open is simply not an image.
_OTHER_FORMATS: Final = {
    "TIFF": (0, (b"II*\0", b"MM\0*")),
    "HEIC or AVIF": (4, (b"ftyp",)),
    "JPEG 2000": (4, (b"jP  ",)),
    "Photoshop": (0, (b"8BPS",)),
    "icon": (0, (b"\0\0\1\0",)),
    "PDF": (0, (b"%PDF",)),
}


def decode(data: bytes, picture: str) -> Pixels:
    """Return the picture upright, as RGB, its longest side at most `MAX_SIDE` pixels.

    Transparent parts become white; of an animation the first frame counts.

    Args:
        data: an encoded picture in one of `FORMATS`.
        picture: what an error calls it, such as "target".

    Raises:
        FaceError: BAD_IMAGE, IMAGE_TOO_LARGE or UNSUPPORTED_FORMAT.
    """
    if len(data) > MAX_BYTES:
        reason = f"{len(data)} bytes, the limit is {MAX_BYTES}"
        raise FaceError(FaceErrorName.IMAGE_TOO_LARGE, picture, reason)
    _refuse_other_formats(data, picture)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            # Opening reads the header only: a bomb is refused before it takes memory.
            _refuse_too_many_pixels(image, picture)
            image.draft("RGB", (MAX_SIDE, MAX_SIDE))
            upright = ImageOps.exif_transpose(image)
            rgb = _to_rgb(upright)
            rgb.thumbnail((MAX_SIDE, MAX_SIDE), reducing_gap=2.0)
            return np.array(rgb, dtype=np.uint8)
    except FaceError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise FaceError(FaceErrorName.IMAGE_TOO_LARGE, picture, str(error)) from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ValueError and more
        raise FaceError(FaceErrorName.BAD_IMAGE, picture, f"not a readable image ({error})") from error


def _refuse_other_formats(data: bytes, picture: str) -> None:
    """Tell "a picture, but not one we take" from "not a picture"."""
    for name, (offset, magics) in _OTHER_FORMATS.items():
        if data.startswith(magics, offset):
            reason = f"{name} is not supported, send one of {', '.join(FORMATS)}"
            raise FaceError(FaceErrorName.UNSUPPORTED_FORMAT, picture, reason)


def _refuse_too_many_pixels(image: Image.Image, picture: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        reason = f"{width}x{height} pixels, the limit is {MAX_PIXELS // 1_000_000} megapixels"
        raise FaceError(FaceErrorName.IMAGE_TOO_LARGE, picture, reason)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # Pillow's own conversion clips 16 bit to 8: all but the darkest pixels would turn white.
        grey = np.asarray(image).astype(np.float32) / 257.0
        return Image.fromarray(np.clip(grey + 0.5, 0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    return image.convert("RGB")
