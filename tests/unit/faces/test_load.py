"""Decoding pictures that strangers send."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from swapsandbox import pictures
from swapsandbox.faces import FaceError, FaceErrorName
from swapsandbox.faces.load import MAX_BYTES, MAX_SIDE, decode

RAMP = np.linspace(0, 255, 64 * 48, dtype=np.uint8).reshape(48, 64)
COLOURS = np.stack([RAMP, RAMP[::-1], 255 - RAMP], axis=2)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def header_only_png(width: int, height: int) -> bytes:
    """Return a PNG that promises a huge picture in under 100 bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def refusal(data: bytes) -> FaceError:
    with pytest.raises(FaceError) as caught:
        decode(data, "source 2")
    assert caught.value.picture == "source 2"
    assert str(caught.value).startswith(f"{caught.value.name}: source 2: ")
    return caught.value


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP", "JPEG"])
def test_each_format_of_the_list_is_read(kind: str) -> None:
    rgb = decode(encoded(Image.fromarray(COLOURS), kind), "target")
    assert rgb.shape == (48, 64, 3)
    assert rgb.dtype == np.uint8
    assert np.abs(rgb.astype(int) - COLOURS).mean() < 12


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_each_colour_mode_becomes_rgb(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    rgb = decode(encoded(Image.fromarray(COLOURS).convert(mode), kind), "target")
    assert rgb.shape == (48, 64, 3)
    assert 90 < rgb.mean() < 165


def test_sixteen_bit_grey_keeps_its_shades() -> None:
    deep = RAMP.astype(np.uint16) * 257
    rgb = decode(encoded(Image.fromarray(deep)), "target")
    assert np.array_equal(rgb, np.repeat(RAMP[..., None], 3, axis=2))


def test_transparent_parts_become_white() -> None:
    image = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    image.putpixel((0, 0), (200, 0, 0, 255))
    rgb = decode(encoded(image), "target")
    assert rgb[0, 0].tolist() == [200, 0, 0]
    assert rgb[4, 4].tolist() == [255, 255, 255]


def test_a_transparent_palette_colour_becomes_white() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([10, 20, 30] * 256)
    assert decode(encoded(image, "GIF", transparency=0), "target").min() == 255


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by 90 degrees clockwise
    rgb = decode(encoded(Image.fromarray(COLOURS), exif=exif), "target")
    assert np.array_equal(rgb, np.rot90(COLOURS, -1))


def test_an_animation_counts_as_its_first_frame() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data, "target")[8, 8].tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_big_picture_is_made_smaller(kind: str) -> None:
    data = encoded(Image.new("RGB", (4200, 2100), "teal"), kind)
    assert decode(data, "target").shape == (MAX_SIDE // 2, MAX_SIDE, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_degenerate_sizes_are_read(size: tuple[int, int]) -> None:
    assert max(decode(encoded(Image.new("RGB", size)), "target").shape) <= MAX_SIDE


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 64,
        b"<html><body>404</body></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xff\xd8\xff\xe0",
        b"GIF89a",
        b"RIFF\x10\0\0\0WEBPVP8 ",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    ],
    ids=["empty", "zeros", "html", "svg", "jpeg-head", "gif-head", "webp-head", "png-head"],
)
def test_what_is_no_picture_is_a_bad_image(data: bytes) -> None:
    assert refusal(data).name is FaceErrorName.BAD_IMAGE


@pytest.mark.parametrize("name", ["collins.png", "hopper.jpg"])
def test_a_truncated_picture_is_a_bad_image(name: pictures.Sample) -> None:
    data = pictures.read(name)
    assert refusal(data[: len(data) // 2]).name is FaceErrorName.BAD_IMAGE


def test_a_flipped_bit_gives_a_picture_or_a_bad_image() -> None:
    """Whatever Pillow's decoders raise, the caller sees one exception."""
    whole = encoded(Image.fromarray(COLOURS))
    refused = set()
    for position in range(8, len(whole), 7):
        broken = bytearray(whole)
        broken[position] ^= 0x10
        try:
            decode(bytes(broken), "source")
        except FaceError as error:
            refused.add(error.name)
    assert FaceErrorName.BAD_IMAGE in refused
    assert refused <= {FaceErrorName.BAD_IMAGE, FaceErrorName.IMAGE_TOO_LARGE}


@pytest.mark.parametrize("side", [6400, 10_000, 30_000])
def test_a_decompression_bomb_is_refused_by_its_header(side: int) -> None:
    assert refusal(header_only_png(side, side)).name is FaceErrorName.IMAGE_TOO_LARGE


def test_too_many_bytes_are_refused_unread() -> None:
    assert refusal(bytes(MAX_BYTES + 1)).name is FaceErrorName.IMAGE_TOO_LARGE


@pytest.mark.parametrize("kind", ["TIFF", "ICO", "JPEG2000", "PDF", "AVIF"])
def test_other_formats_are_named(kind: str) -> None:
    if kind == "AVIF":
        data = b"\0\0\0\x1cftypavif"
    elif kind == "JPEG2000":
        data = b"\0\0\0\x0cjP  \r\n\x87\n"
    else:
        data = encoded(Image.new("RGB", (32, 32)), kind)
    assert refusal(data).name is FaceErrorName.UNSUPPORTED_FORMAT
