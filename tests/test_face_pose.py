"""Rotations, projection and its derivatives, and poses in closed form."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aednerf.core.records import Camera
from aednerf.face.pose import (
    Poses,
    angles_from_rotation,
    first_poses,
    linearise,
    project,
    rotation_angle,
    rotation_from_angles,
    rotation_from_vector,
)

CAMERA = Camera(1500.0, 250.0, 260.0, 512, 512)


@settings(max_examples=50, deadline=None)
@given(st.tuples(st.floats(-3.1, 3.1), st.floats(-1.5, 1.5), st.floats(-3.1, 3.1)))
def test_angles_and_rotations_invert_each_other(angles: tuple[float, float, float]) -> None:
    rotation = rotation_from_angles(np.array([angles]))
    np.testing.assert_allclose(rotation[0] @ rotation[0].T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(rotation_from_angles(angles_from_rotation(rotation)), rotation, atol=1e-9)


def test_signs_of_the_angles() -> None:
    # +yaw turns the face (+z) to the person's left (+x), +pitch turns it down, +roll turns its top (+y) to camera -x.
    for column, axis, expected in ((0, 2, [1, 0, 0]), (1, 2, [0, -1, 0]), (2, 1, [-1, 0, 0])):
        angles = np.zeros(3)
        angles[column] = 1e-3
        moved = rotation_from_angles(angles)[:, axis] - np.eye(3)[axis]
        np.testing.assert_allclose(moved / 1e-3, expected, atol=1e-3)


def test_small_angles_are_exact() -> None:
    for size in (0.0, 1e-9, 1e-4, 1.0, 3.0):
        vector = size * np.array([[0.6, 0.0, -0.8]])
        np.testing.assert_allclose(rotation_angle(rotation_from_vector(vector)), size, atol=1e-12)


def test_derivatives_match_differences() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(0, 0.07, (7, 3))
    place = np.array([0, 0, -1.0]) + rng.normal(0, 0.05, (4, 3))
    poses = Poses(rotation_from_vector(rng.normal(0, 0.4, (4, 3))), place)
    line = linearise(points, poses, CAMERA)
    np.testing.assert_allclose(np.moveaxis(line.pixels, 0, -1), project(points, poses, CAMERA), atol=1e-9)
    small = 1e-6
    for k in range(6):
        step = np.zeros((4, 6))
        step[:, k] = small
        ahead, behind = (project(points, poses.moved(sign * step), CAMERA) for sign in (1, -1))
        change = (ahead - behind) / (2 * small)
        np.testing.assert_allclose(np.moveaxis(line.by_pose[:, k], 0, -1), change, rtol=1e-4, atol=1e-2)
    for k in range(3):
        step = small * np.eye(3)[k]
        change = (project(points + step, poses, CAMERA) - project(points - step, poses, CAMERA)) / (2 * small)
        np.testing.assert_allclose(np.moveaxis(line.by_point[:, k], 0, -1), change, rtol=1e-4, atol=1e-2)


def test_first_poses_come_near() -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(0, [0.06, 0.07, 0.03], (40, 3)) + [0, 0, 0.07]
    angles = np.radians(rng.uniform(-35, 35, (20, 3)))
    true = Poses(rotation_from_angles(angles), np.array([0, 0, -1.0]) + rng.normal(0, 0.05, (20, 3)))
    found = first_poses(project(points, true, CAMERA), points, CAMERA)
    assert np.degrees(rotation_angle(np.swapaxes(found.rotation, -1, -2) @ true.rotation)).max() < 10
    assert np.abs(found.translation[:, 2] / true.translation[:, 2] - 1).max() < 0.12
