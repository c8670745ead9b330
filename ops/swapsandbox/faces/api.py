"""The public functions: which face goes onto which, and the way from bytes to bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from swapsandbox.faces.detect import find_faces
from swapsandbox.faces.errors import FaceError, FaceErrorName
from swapsandbox.faces.label import encode
from swapsandbox.faces.load import decode
from swapsandbox.faces.swap import transplant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swapsandbox.faces.arrays import Pixels
    from swapsandbox.faces.mesh import Face

MIN_FACE: Final = 32.0
"""Faces smaller than this, in pixels, are not used: there is nothing to see on them."""
MAX_SOURCES: Final = 2
UNTOUCHED: Final = 1.0
"""The fidelity that leaves the source's skin as it is."""


def swap_faces(
    sources: Sequence[bytes],
    target: bytes,
    *,
    face_index: int | None = None,
    fidelity: float = 0.5,
    label: str | None = "synthetic: swapjobs sandbox",
) -> bytes:
    """Return the target with its face replaced by the source's, as JPEG.

    One source goes onto the target's largest face, or onto the one that `face_index` names. Two sources go onto the
    target's two leftmost faces, the first onto the leftmost. Of each source the largest face is used. The same
    arguments give the same bytes.

    Args:
        sources: one or two encoded pictures.
        target: the encoded picture to change.
        face_index: 1 is the target's leftmost face; only with one source.
        fidelity: 1 leaves the source's skin as it is, 0 smooths it and sharpens its edges most. Callers of a tool
            without this setting pass `UNTOUCHED`.
        label: written into the file, its part before the colon visibly into the lower left corner; None: neither.

    Raises:
        FaceError: a picture cannot be used; it says which and why.
        ValueError: the arguments make no sense together.
    """
    _check(len(sources), face_index, fidelity)
    pictures = [decode(data, _source_name(number, len(sources))) for number, data in enumerate(sources)]
    result = swap_arrays(pictures, decode(target, "target"), face_index=face_index, fidelity=fidelity)
    return encode(result, label)


def swap_arrays(
    sources: Sequence[Pixels], target: Pixels, *, face_index: int | None = None, fidelity: float = 0.5
) -> Pixels:
    """Do what `swap_faces` does on decoded pictures, without a label.

    Outside the outlines of the replaced faces the result equals `target`, byte for byte; `target` is not changed.

    Args:
        sources: one or two pictures, each height x width x 3, RGB.
        target: likewise.
        face_index: see `swap_faces`.
        fidelity: see `swap_faces`.

    Raises:
        FaceError: SOURCE_NO_FACE, TARGET_NO_FACE or FACE_TOO_SMALL.
        ValueError: the arguments make no sense together.
    """
    _check(len(sources), face_index, fidelity)
    names = [_source_name(number, len(sources)) for number in range(len(sources))]
    donors = [
        _usable(source, name, FaceErrorName.SOURCE_NO_FACE)[0] for source, name in zip(sources, names, strict=True)
    ]
    faces = _chosen(_usable(target, "target", FaceErrorName.TARGET_NO_FACE), len(sources), face_index)
    for source, donor, face in zip(sources, donors, faces, strict=True):
        target = transplant(source, donor, target, face, fidelity)
    return target


def warm_up() -> None:
    """Load this thread's networks and run each once: the first call of a thread is several times slower."""
    blank = np.full((256, 256, 3), 127, dtype=np.uint8)
    find_faces(blank)


def _check(sources: int, face_index: int | None, fidelity: float) -> None:
    if not 1 <= sources <= MAX_SOURCES:
        raise ValueError(f"one or two sources, not {sources}")
    if face_index is not None and (sources != 1 or face_index < 1):
        raise ValueError("face_index counts from 1 and goes with one source")
    if not 0 <= fidelity <= 1:
        raise ValueError(f"fidelity lies in 0..1, not {fidelity}")


def _source_name(number: int, count: int) -> str:
    return "source" if count == 1 else f"source {number + 1}"


def _usable(picture: Pixels, name: str, none: FaceErrorName) -> list[Face]:
    """Return the faces large enough to work with, largest first; there is at least one."""
    faces = find_faces(picture)
    if not faces:
        raise FaceError(none, name, "no face found")
    if faces[0].size < MIN_FACE:
        reason = f"the face is {faces[0].size:.0f} pixels, at least {MIN_FACE:.0f} are needed"
        raise FaceError(FaceErrorName.FACE_TOO_SMALL, name, reason)
    return [face for face in faces if face.size >= MIN_FACE]


def _chosen(faces: list[Face], sources: int, face_index: int | None) -> list[Face]:
    """Return the target's faces to replace, in the order of the sources."""
    if sources == 1 and face_index is None:
        return faces[:1]
    first = (face_index or 1) - 1
    chosen = sorted(faces, key=lambda face: face.centre)[first : first + sources]
    if len(chosen) < sources:
        wanted = f"face {face_index}" if face_index else f"{sources} faces"
        raise FaceError(FaceErrorName.TARGET_NO_FACE, "target", f"{wanted} wanted, but it shows {len(faces)}")
    return chosen
