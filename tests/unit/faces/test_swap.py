"""The swap itself: what must change, what must not, and which face goes where."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image

from swapsandbox import pictures
from swapsandbox.faces import UNTOUCHED, FaceError, FaceErrorName, swap_arrays, swap_faces, warm_up
from swapsandbox.faces.blend import feathered
from swapsandbox.faces.detect import find_faces
from swapsandbox.faces.geometry import pose_like
from swapsandbox.faces.load import decode
from swapsandbox.faces.mesh import LEFT_EYE, LIPS, NOSE, RIGHT_EYE, Face
from swapsandbox.faces.skin import core_hull, fill

if TYPE_CHECKING:
    from swapsandbox.faces.arrays import Floats, Mask, Pixels

FOREHEAD = [10, 338, 297, 332, 284, 251, 301, 298, 333, 299, 337, 151, 108, 69, 104, 68, 71, 21, 54, 103, 67, 109]
PAIRS = [("collins.png", "hopper.jpg"), ("hopper.jpg", "collins.png")]


@cache
def picture(name: pictures.Sample) -> Pixels:
    return decode(pictures.read(name), name)


@cache
def swapped(source: pictures.Sample, target: pictures.Sample, face_index: int | None = None) -> Pixels:
    return swap_arrays([picture(source)], picture(target), face_index=face_index, fidelity=UNTOUCHED)


def largest(image: Pixels) -> Face:
    return find_faces(image)[0]


def outline(image: Pixels, face: Face) -> Mask:
    return fill(image.shape, face.oval)


def differs(one: Pixels, other: Pixels) -> Mask:
    return np.asarray(np.any(one != other, axis=2), dtype=np.bool_)


def unlikeness(one: Floats, other: Floats, size: float) -> float:
    """How far the features of two faces lie apart after alignment in 3D, as a share of the face's size."""
    rows = [*RIGHT_EYE, *LEFT_EYE, *NOSE, *LIPS]
    return float(np.linalg.norm((pose_like(one, other) - other)[rows, :2], axis=1).mean()) / size


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_outside_the_outline_every_pixel_stays(source: pictures.Sample, target: pictures.Sample) -> None:
    before = picture(target)
    outside = ~outline(before, largest(before))
    assert not (differs(swapped(source, target), before) & outside).any()


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_eyes_nose_and_mouth_are_replaced(source: pictures.Sample, target: pictures.Sample) -> None:
    before = picture(target)
    core = fill(before.shape, core_hull(largest(before).points))
    change = np.abs(swapped(source, target)[core].astype(int) - before[core])
    assert change.mean() > 8


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_the_result_has_the_features_of_the_source(source: pictures.Sample, target: pictures.Sample) -> None:
    result, donor, old = largest(swapped(source, target)), largest(picture(source)), largest(picture(target))
    to_source = unlikeness(donor.points, result.points, result.size)
    to_target = unlikeness(old.points, result.points, result.size)
    assert to_source < to_target


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_the_skin_takes_the_targets_colour(source: pictures.Sample, target: pictures.Sample) -> None:
    before = picture(target)
    skin = outline(before, largest(before))
    new, old = swapped(source, target)[skin].mean(axis=0), before[skin].mean(axis=0)
    assert np.abs(new - old).max() < 16


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_hair_and_hat_are_neither_pasted_nor_painted_over(source: pictures.Sample, target: pictures.Sample) -> None:
    """Collins' fringe must not become a band on Hopper's forehead, nor Hopper's hat one in Collins' fringe."""
    before = picture(target)
    forehead = fill(before.shape, largest(before).points[FOREHEAD, :2])
    change = np.abs(swapped(source, target)[forehead].astype(int) - before[forehead])
    assert change.mean() < 3


def test_a_grey_target_gets_a_grey_face() -> None:
    grey = np.repeat(cv2.cvtColor(picture("hopper.jpg"), cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    result = swap_arrays([picture("collins.png")], grey, fidelity=UNTOUCHED)
    assert differs(result, grey).any()
    assert np.percentile(np.ptp(result.astype(int), axis=2), 99.9) < 25


@pytest.mark.parametrize("name", ["collins.png", "hopper.jpg"])
def test_a_face_onto_itself_is_almost_unchanged(name: pictures.Sample) -> None:
    change = np.abs(swapped(name, name).astype(int) - picture(name))
    assert change.mean() < 0.2
    assert (change.max(axis=2) > 20).sum() < 300


def test_the_same_input_gives_the_same_bytes_in_every_thread() -> None:
    source, target = pictures.read("collins.png"), pictures.read("hopper.jpg")

    def swap(_: int) -> bytes:
        return swap_faces([source], target)

    with ThreadPoolExecutor(2) as pool:
        results = [swap(0), *pool.map(swap, range(4))]
    assert len(set(results)) == 1


def test_the_soft_edge_does_not_depend_on_where_memory_lies() -> None:
    """OpenCV's fast paths may round by the alignment of their input: one pixel differed now and then."""
    warm_up()
    mask = outline(picture("hopper.jpg"), largest(picture("hopper.jpg")))
    held, edges = [], set()
    for size in range(1, 4000, 100):
        held.append(np.empty(size, dtype=np.uint8))  # moves the next allocation
        edges.add(feathered(mask, mask, 180.0).tobytes())
    assert len(edges) == 1


def test_the_arguments_are_not_changed() -> None:
    source, target = picture("collins.png").copy(), picture("hopper.jpg").copy()
    swap_arrays([source], target)
    assert np.array_equal(source, picture("collins.png"))
    assert np.array_equal(target, picture("hopper.jpg"))


def test_low_fidelity_smooths_the_skin() -> None:
    source, target = picture("hopper.jpg"), picture("collins.png")
    skin = fill(target.shape, largest(target).points[[116, 118, 101, 206, 187], :2])

    def roughness(fidelity: float) -> float:
        luma = cv2.cvtColor(swap_arrays([source], target, fidelity=fidelity), cv2.COLOR_RGB2GRAY)
        return float(np.abs(cv2.Laplacian(luma, cv2.CV_32F))[skin].mean())

    assert roughness(0.0) < roughness(0.5) < roughness(1.0)


@pytest.mark.parametrize(("face_index", "left"), [(None, False), (1, True), (2, False)])
def test_one_source_goes_onto_the_largest_face_or_the_named_one(*, face_index: int | None, left: bool) -> None:
    changed = differs(swapped("collins.png", "group.jpg", face_index), picture("group.jpg"))
    assert changed[:, :420].any() == left
    assert changed[:, 420:].any() != left


def test_two_sources_go_from_left_to_right() -> None:
    sources = [picture("hopper.jpg"), picture("collins.png")]
    both = swap_arrays(sources, picture("group.jpg"), fidelity=UNTOUCHED)
    assert np.array_equal(both[:, :420], swapped("hopper.jpg", "group.jpg", 1)[:, :420])
    assert np.array_equal(both[:, 420:], swapped("collins.png", "group.jpg", 2)[:, 420:])


@pytest.mark.parametrize("cut", ["left", "top", "bottom"])
def test_a_target_cut_by_the_border_is_swapped(cut: str) -> None:
    whole = picture("hopper.jpg")
    part = {"left": whole[:, 240:], "top": whole[180:], "bottom": whole[:290]}[cut]
    assert differs(swap_arrays([picture("collins.png")], part), part).any()


def test_a_source_cut_by_the_border_paints_only_what_it_shows() -> None:
    half = np.ascontiguousarray(picture("hopper.jpg")[:, 250:])
    changed = differs(swap_arrays([half], picture("collins.png")), picture("collins.png"))
    columns = np.nonzero(changed.any(axis=0))[0]
    (x, _), size = largest(picture("collins.png")).centre, largest(picture("collins.png")).size
    assert columns.min() > x - 0.3 * size  # the missing half stays the target's


@pytest.mark.parametrize(
    ("sources", "target", "face_index", "name", "culprit"),
    [
        (["chelsea.png"], "hopper.jpg", None, FaceErrorName.SOURCE_NO_FACE, "source"),
        (["hopper.jpg", "coffee.jpg"], "group.jpg", None, FaceErrorName.SOURCE_NO_FACE, "source 2"),
        (["hopper.jpg"], "coffee.jpg", None, FaceErrorName.TARGET_NO_FACE, "target"),
        (["hopper.jpg"], "group.jpg", 3, FaceErrorName.TARGET_NO_FACE, "target"),
        (["hopper.jpg", "collins.png"], "hopper.jpg", None, FaceErrorName.TARGET_NO_FACE, "target"),
    ],
)
def test_a_missing_face_is_reported_with_its_picture(
    sources: list[pictures.Sample],
    target: pictures.Sample,
    face_index: int | None,
    name: FaceErrorName,
    culprit: str,
) -> None:
    with pytest.raises(FaceError) as caught:
        swap_faces([pictures.read(source) for source in sources], pictures.read(target), face_index=face_index)
    assert (caught.value.name, caught.value.picture) == (name, culprit)


@pytest.mark.parametrize("tiny", ["source", "target"])
def test_a_face_under_32_pixels_is_too_small(tiny: str) -> None:
    small = cv2.resize(picture("collins.png"), (150, 150), interpolation=cv2.INTER_AREA)
    source, target = (small, picture("hopper.jpg")) if tiny == "source" else (picture("hopper.jpg"), small)
    with pytest.raises(FaceError, match="at least 32") as caught:
        swap_arrays([source], target)
    assert (caught.value.name, caught.value.picture) == (FaceErrorName.FACE_TOO_SMALL, tiny)


@pytest.mark.parametrize(
    ("sources", "face_index", "fidelity"),
    [(0, None, 0.5), (3, None, 0.5), (2, 1, 0.5), (1, 0, 0.5), (1, None, 1.5), (1, None, float("nan"))],
)
def test_arguments_that_make_no_sense_are_refused(sources: int, face_index: int | None, fidelity: float) -> None:
    face = pictures.read("hopper.jpg")
    with pytest.raises(ValueError, match=r"source|fidelity"):
        swap_faces([face] * sources, face, face_index=face_index, fidelity=fidelity)


def test_the_result_is_a_jpeg_labelled_in_the_file_and_in_the_picture() -> None:
    sources, target = [pictures.read("collins.png")], pictures.read("hopper.jpg")
    with Image.open(io.BytesIO(swap_faces(sources, target))) as labelled:
        assert labelled.format == "JPEG"
        assert labelled.size == (512, 600)
        assert labelled.info["comment"] == b"synthetic: swapjobs sandbox"
        assert labelled.getexif()[0x010E] == "synthetic: swapjobs sandbox"
        marked = np.asarray(labelled).astype(int)
    with Image.open(io.BytesIO(swap_faces(sources, target, label=None))) as plain:
        assert "comment" not in plain.info
        change = np.abs(np.asarray(plain).astype(int) - marked).max(axis=2)
    ys, xs = np.nonzero(change > 40)
    assert ys.min() > 560  # the mark is in the lower left corner, and small
    assert xs.max() < 120


def test_a_picture_smaller_than_the_mark_is_labelled() -> None:
    small = cv2.resize(picture("collins.png")[40:190, 150:300], (60, 60), interpolation=cv2.INTER_AREA)
    out = io.BytesIO()
    Image.fromarray(small).save(out, "PNG")
    with Image.open(io.BytesIO(swap_faces([pictures.read("hopper.jpg")], out.getvalue()))) as result:
        assert result.size == (60, 60)


def test_warming_up_needs_no_picture() -> None:
    warm_up()
