"""Finding faces, upright or not, and only where there is one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from swapsandbox import pictures
from swapsandbox.faces import nets
from swapsandbox.faces.arrays import Pixels, floats
from swapsandbox.faces.boxes import Boxes
from swapsandbox.faces.detect import find_faces
from swapsandbox.faces.load import decode

if TYPE_CHECKING:
    from pathlib import Path

    from swapsandbox.faces.mesh import Face

# Point number: x, y. Checked by eye: eye corners, nose, mouth corners, chin, forehead, temples.
COLLINS = {
    33: (194, 101),
    133: (213, 103),
    362: (237, 104),
    263: (256, 104),
    1: (223, 129),
    61: (200, 139),
    291: (247, 142),
    152: (221, 175),
    10: (227, 68),
    234: (179, 112),
    454: (272, 116),
}
HOPPER = {
    33: (200, 194),
    133: (239, 193),
    362: (288, 190),
    263: (326, 187),
    1: (268, 242),
    61: (231, 277),
    291: (306, 273),
    152: (271, 332),
    10: (261, 127),
    234: (167, 218),
    454: (355, 207),
}


def picture(name: pictures.Sample) -> Pixels:
    return decode(pictures.read(name), name)


def rolled(image: Pixels, degrees: float) -> Pixels:
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return np.asarray(cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)


def off_by(face: Face, expected: dict[int, tuple[int, int]]) -> float:
    """Return the largest distance from the expected points, as a share of the face's size."""
    distances = face.points[list(expected), :2] - floats(list(expected.values()))
    return float(np.linalg.norm(distances, axis=1).max()) / face.size


@pytest.mark.parametrize(("name", "expected"), [("collins.png", COLLINS), ("hopper.jpg", HOPPER)])
def test_landmarks_lie_within_three_percent_of_the_face(
    name: pictures.Sample, expected: dict[int, tuple[int, int]]
) -> None:
    (face,) = find_faces(picture(name))
    assert off_by(face, expected) < 0.03


def test_both_faces_of_the_group_are_found_largest_first() -> None:
    hopper, collins = find_faces(picture("group.jpg"))
    assert hopper.size > collins.size
    assert collins.centre[0] < 420 < hopper.centre[0]


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.jpg"])
def test_a_cat_and_a_cup_have_no_face(name: pictures.Sample) -> None:
    assert find_faces(picture(name)) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 2000), (2000, 1), (300, 300)])
def test_a_blank_picture_has_no_face(shape: tuple[int, int]) -> None:
    assert find_faces(np.full((*shape, 3), 127, dtype=np.uint8)) == []


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_turned_picture_gives_the_same_landmarks(quarter_turns: int) -> None:
    """An upside-down face would otherwise get an upright mesh: chin on the forehead, at a high presence."""
    upright = picture("hopper.jpg")
    (face,) = find_faces(np.ascontiguousarray(np.rot90(upright, quarter_turns)))
    back = Boxes(face.points[None, :, :2], floats([1])).turned_back(quarter_turns, upright.shape)
    (expected,) = find_faces(upright)
    assert np.linalg.norm(back.points[0] - expected.points[:, :2], axis=1).mean() < 0.03 * expected.size


@pytest.mark.parametrize("degrees", [-60, 45, 90])
def test_a_tilted_head_is_found(degrees: float) -> None:
    (face,) = find_faces(rolled(picture("hopper.jpg"), degrees))
    assert face.size == pytest.approx(180, rel=0.05)


@pytest.mark.parametrize("cut", ["left", "top", "bottom"])
def test_a_face_cut_by_the_border_is_found(cut: str) -> None:
    whole = picture("hopper.jpg")
    part = {"left": whole[:, 240:], "top": whole[180:], "bottom": whole[:290]}[cut]
    assert len(find_faces(np.ascontiguousarray(part))) == 1


def test_a_small_face_is_found_in_tiles() -> None:
    """28 pixels in 1000: the detectors see it only when they look at parts of the picture."""
    small = cv2.resize(picture("collins.png"), (160, 160), interpolation=cv2.INTER_AREA)
    canvas = np.full((1000, 1000, 3), 127, dtype=np.uint8)
    canvas[700:860, 100:260] = small
    (face,) = find_faces(canvas)
    assert face.size == pytest.approx(91 * 160 / 512, rel=0.15)


def test_threads_do_not_disturb_each_other() -> None:
    """Two threads on one net gave NaN and a hang: each thread must have its own."""
    images = [picture("collins.png"), picture("hopper.jpg")] * 3
    alone = [find_faces(image)[0].points for image in images]
    with ThreadPoolExecutor(2) as pool:
        together = [faces[0].points for faces in pool.map(find_faces, images)]
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_overlapping_boxes_merge_to_their_weighted_mean() -> None:
    box = floats([[0, 0], [10, 10], *[[5, 5]] * 6])
    boxes = Boxes(np.stack([box, box + 1, box + 100]), floats([0.9, 0.6, 0.7])).merged()
    assert boxes.scores.tolist() == pytest.approx([0.9, 0.7])
    assert boxes.points[0, 0].tolist() == pytest.approx([0.4, 0.4])


def test_boxes_without_area_do_not_hang_the_merge() -> None:
    boxes = Boxes(np.zeros((5, 8, 2), dtype=np.float32), np.full(5, 0.7, dtype=np.float32))
    assert boxes.merged().scores.size == 5


def test_a_changed_model_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in nets.SHA256:
        (tmp_path / file).write_bytes(b"not the model")
    monkeypatch.setattr(nets, "FOLDER", tmp_path)
    nets._verified.cache_clear()  # noqa: SLF001 - the files are read once per process
    try:
        with pytest.raises(RuntimeError, match="sha256"):
            nets.Nets()
    finally:
        nets._verified.cache_clear()  # noqa: SLF001 - the next test reads the real ones
