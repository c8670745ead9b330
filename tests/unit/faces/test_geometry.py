"""The alignment in three dimensions and the triangles."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from swapsandbox import pictures
from swapsandbox.faces.arrays import Floats, floats
from swapsandbox.faces.detect import find_faces
from swapsandbox.faces.geometry import destination, pose_like, signed_areas, smoothstep, triangles
from swapsandbox.faces.load import decode
from swapsandbox.faces.mesh import LIPS, OVAL, Face

ANGLES = st.floats(-math.pi, math.pi)


@cache
def face(name: pictures.Sample) -> Face:
    return find_faces(decode(pictures.read(name), name))[0]


def rotation(yaw: float, pitch: float, roll: float) -> Floats:
    cos, sin = math.cos, math.sin
    around_y = [[cos(yaw), 0, sin(yaw)], [0, 1, 0], [-sin(yaw), 0, cos(yaw)]]
    around_x = [[1, 0, 0], [0, cos(pitch), -sin(pitch)], [0, sin(pitch), cos(pitch)]]
    around_z = [[cos(roll), -sin(roll), 0], [sin(roll), cos(roll), 0], [0, 0, 1]]
    return floats(np.array(around_y) @ np.array(around_x) @ np.array(around_z))


@settings(max_examples=40)
@given(ANGLES, ANGLES, ANGLES, st.floats(0.2, 5), st.floats(-500, 500))
def test_posing_undoes_any_turn_scale_and_shift(yaw: float, pitch: float, roll: float, scale: float, by: float) -> None:
    points = face("hopper.jpg").points
    moved = floats(scale * points @ rotation(yaw, pitch, roll).T + by)
    assert np.abs(pose_like(moved, points) - points).max() < 0.1


def test_posing_never_turns_a_face_inside_out() -> None:
    points = face("hopper.jpg").points
    mirrored = points * floats((-1, 1, 1))
    # No rotation undoes a mirror; if this became small, a reflection would have slipped through.
    assert np.abs(pose_like(mirrored, points) - points).max() > 10


def test_a_face_lands_on_itself() -> None:
    collins = face("collins.png")
    assert np.abs(destination(collins, collins) - collins.points).max() < 0.01


def test_the_outline_stays_the_targets_and_the_mouth_becomes_the_donors() -> None:
    donor, target = face("collins.png"), face("hopper.jpg")
    end = destination(donor, target)
    outline = np.linalg.norm(end[list(OVAL)] - target.points[list(OVAL)], axis=1)
    assert outline.max() < 0.01 * target.size
    posed = pose_like(donor.points, target.points)
    to_donor = np.linalg.norm(end[list(LIPS)] - posed[list(LIPS)], axis=1).mean()
    to_target = np.linalg.norm(end[list(LIPS)] - target.points[list(LIPS)], axis=1).mean()
    assert to_donor < to_target / 3


def test_the_triangles_cover_the_face_once() -> None:
    points = face("collins.png").points
    corners = triangles(points)
    assert set(corners.ravel().tolist()) == set(range(468))
    areas = signed_areas(points, corners)
    assert -areas[areas < 0].sum() < 0.03 * areas.sum()  # only the underside of the nose looks away
    assert 0.95 < areas.sum() / 2 / face("collins.png").size ** 2 < 1.1


def test_the_smooth_step_is_flat_at_both_ends() -> None:
    assert smoothstep(floats([-3, 0, 0.5, 1, 7])).tolist() == [0, 0, 0.5, 1, 1]
