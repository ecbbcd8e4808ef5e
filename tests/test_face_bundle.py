"""Bundle adjustment on synthetic heads: known poses, points and focal length come back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aednerf.core.records import Camera
from aednerf.face.bundle import Tracks, adjust, resect, triangulate, weighted_error
from aednerf.face.pose import Poses, project, rotation_angle, rotation_from_angles, rotation_from_vector

CAMERA = Camera(1500.0, 256.0, 256.0, 512, 512)


def _head(rng: np.random.Generator, n: int) -> np.ndarray:
    """Points on the front of a ball of 9 cm about the head's origin, with a nose."""
    direction = rng.normal(size=(n, 3))
    direction[:, 2] = np.abs(direction[:, 2]) + 0.3
    points = 0.09 * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    points[: n // 6] *= 1.25
    return points


def _poses(rng: np.random.Generator, n: int, spread_deg: float, distance_m: float) -> Poses:
    rotation = rotation_from_angles(np.radians(rng.uniform(-spread_deg, spread_deg, (n, 3))))
    return Poses(rotation, np.array([0, 0, -distance_m]) + rng.normal(0, [0.02, 0.02, 0.02], (n, 3)))


def _tracks(rng: np.random.Generator, points: np.ndarray, poses: Poses, camera: Camera, noise_px: float) -> Tracks:
    pixels = project(points, poses, camera) + rng.normal(0, noise_px, (len(poses), len(points), 2))
    pixels[rng.random(pixels.shape[:2]) < 0.2] = np.nan
    return Tracks(
        np.arange(len(poses)), pixels.astype(np.float32), points, points, 0.03, np.full(len(points), 2.0), (0.1, 3.0)
    )


def _disturbed(rng: np.random.Generator, poses: Poses, deg: float) -> Poses:
    turn = rotation_from_vector(rng.normal(0, np.radians(deg), (len(poses), 3)))
    return Poses(turn @ poses.rotation, poses.translation + rng.normal(0, 0.005, (len(poses), 3)))


def _turn_error_deg(found: Poses, true: Poses) -> np.ndarray:
    return np.degrees(rotation_angle(np.swapaxes(found.rotation, -1, -2) @ true.rotation))


def test_resect_recovers_poses_among_outliers() -> None:
    rng = np.random.default_rng(1)
    points, true = _head(rng, 80), _poses(rng, 300, 20, 1.0)
    tracks = _tracks(rng, points, true, CAMERA, 0.3)
    wrong = rng.random(tracks.pixels.shape[:2]) < 0.1
    tracks.pixels[wrong] += rng.normal(0, 30, (int(wrong.sum()), 2)).astype(np.float32)
    found = resect([replace(tracks, sigma_px=np.full(80, 0.3))], _disturbed(rng, true, 2.0), CAMERA)
    assert np.sqrt(np.mean(_turn_error_deg(found, true) ** 2)) < 0.1
    assert np.abs(found.translation[:, :2] - true.translation[:, :2]).max() < 5e-4


def test_resect_leaves_fixed_numbers_and_unseen_frames_alone() -> None:
    rng = np.random.default_rng(2)
    points, true = _head(rng, 60), _poses(rng, 12, 15, 1.0)
    tracks = _tracks(rng, points, true, CAMERA, 0.1)
    tracks.pixels[3] = np.nan
    start = _disturbed(rng, true, 1.0)
    start.translation[7] = np.nan
    found = resect([tracks], start, CAMERA, free=(2, 3, 4))
    assert np.isnan(found.translation[7]).all()
    np.testing.assert_array_equal(found.translation[3], start.translation[3])
    np.testing.assert_array_equal(found.translation[[0, 1], 2], start.translation[[0, 1], 2])
    # Turning about the camera's axis changes neither yaw nor pitch: the third row of R.
    np.testing.assert_allclose(found.rotation[[0, 1], 2], start.rotation[[0, 1], 2], atol=1e-12)
    assert np.abs(found.translation[0, :2] - start.translation[0, :2]).max() > 1e-4


@pytest.mark.parametrize("focal_px", [900.0, 2400.0])
def test_adjust_recovers_the_focal_length_from_large_turns(focal_px: float) -> None:
    rng = np.random.default_rng(3)
    camera = replace(CAMERA, focal_px=focal_px)
    points, true = _head(rng, 120), _poses(rng, 60, 30, focal_px / 1500)
    flow = _tracks(rng, points, true, camera, 0.2)
    flow = replace(flow, points=points + rng.normal(0, 0.004, points.shape))
    flow = replace(flow, prior=flow.points)
    held = replace(_tracks(rng, points[:30], true, camera, 1.0), prior_sigma_m=0.002, sigma_range_px=(2.0, 2.001))
    start = _disturbed(rng, true, 1.0)
    start = Poses(start.rotation, start.translation * [1, 1, 1500 / focal_px])
    start = resect([flow, held], start, CAMERA)
    fixed = adjust([flow, held], start, CAMERA)
    free = adjust(
        fixed.tracks, fixed.poses, CAMERA, with_focal=True, focal_prior=(1500.0, 0.7), rounds=20, tolerance=1e-5
    )  # fmt: skip
    assert abs(free.camera.focal_px / focal_px - 1) < 0.03
    assert weighted_error(free.tracks[:1], free.poses, free.camera)[0] < 0.97 * weighted_error(
        fixed.tracks[:1], fixed.poses, fixed.camera
    )[0]  # fmt: skip
    assert np.sqrt(np.mean(_turn_error_deg(free.poses, true) ** 2)) < 0.3
    assert np.sqrt(np.mean((free.tracks[0].points - points) ** 2)) < 0.001


def test_loose_points_get_a_large_sigma_and_little_say() -> None:
    rng = np.random.default_rng(4)
    points, true = _head(rng, 100), _poses(rng, 80, 15, 1.0)
    tracks = _tracks(rng, points, true, CAMERA, 0.2)
    tracks.pixels[:, :20] += rng.normal(0, 2.0, (80, 20, 2)).astype(np.float32)
    fit = adjust([replace(tracks, prior_sigma_m=0.002)], _disturbed(rng, true, 0.5), CAMERA)
    sigma = fit.tracks[0].sigma_px
    assert np.median(sigma[:20]) > 1.3 and np.median(sigma[20:]) == pytest.approx(0.2, rel=0.15)
    assert fit.error_px < 0.45


def test_triangulate_moves_points_to_where_they_are_seen() -> None:
    rng = np.random.default_rng(5)
    points, true = _head(rng, 50), _poses(rng, 100, 20, 1.0)
    tracks = _tracks(rng, points, true, CAMERA, 0.1)
    off = replace(tracks, points=points + rng.normal(0, 0.002, points.shape))
    for _ in range(3):
        off = triangulate(off, true, CAMERA)
    assert np.abs(off.points - points).max() < 3e-4
