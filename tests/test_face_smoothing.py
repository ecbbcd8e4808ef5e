"""Smoothing takes noise away, keeps nods, and stops at missing frames and cuts."""

from __future__ import annotations

import numpy as np

from aednerf.face.cuts import find_cuts
from aednerf.face.pose import Poses, angles_from_rotation, rotation_from_angles
from aednerf.face.smoothing import rotation_jitter_deg, segments, smooth, smooth_poses


def _poses(angles_deg: np.ndarray) -> Poses:
    n = len(angles_deg)
    return Poses(rotation_from_angles(np.radians(angles_deg)), np.tile([0.02, -0.01, -1.0], (n, 1)))


def test_segments_split_at_gaps_and_cuts() -> None:
    valid = np.array([0, 1, 1, 1, 0, 0, 1, 1, 1, 1], bool)
    assert segments(valid, [2, 8, 5]) == [(1, 2), (2, 4), (6, 8), (8, 10)]
    assert segments(np.zeros(3, bool)) == []
    assert segments(np.ones(4, bool), [0, 4, 99]) == [(0, 4)]


def test_jitter_drops_and_a_nod_stays() -> None:
    rng = np.random.default_rng(0)
    time = np.arange(300)
    nod = 6.0 * np.exp(-0.5 * ((time - 150) / 6.0) ** 2)
    clean = np.stack([np.zeros(300), nod, 2 * np.sin(time / 20)], axis=-1)
    noisy = clean + rng.normal(0, [0.15, 0.2, 0.0], clean.shape)
    smoothed = smooth_poses(_poses(noisy), [(0, 300)], 2.2)
    angles = np.degrees(angles_from_rotation(smoothed.rotation))
    assert angles[150, 1] > 0.9 * 6.0
    assert np.abs(angles - clean)[:, :2].max() < 0.55
    np.testing.assert_allclose(angles[:, 2], noisy[:, 2], atol=1e-9)
    runs = [(0, 300)]
    before, after = (rotation_jitter_deg(p.rotation, runs) for p in (_poses(noisy), smoothed))
    assert before > 0.5 and after < 0.12


def test_a_turn_at_the_end_is_not_held_back() -> None:
    ramp = np.arange(40.0)
    np.testing.assert_allclose(smooth(ramp, [(0, 40)], 2.2), ramp, atol=1e-9)


def test_missing_frames_stay_missing_and_split_the_smoothing() -> None:
    angles = np.zeros((60, 3))
    angles[30:, 0] = 10.0
    poses = _poses(angles)
    poses.rotation[28:30], poses.translation[28:30] = np.nan, np.nan
    smoothed = smooth_poses(poses, segments(poses.valid), 2.2)
    assert np.isnan(smoothed.translation[28:30]).all() and smoothed.valid.sum() == 58
    np.testing.assert_allclose(np.degrees(angles_from_rotation(smoothed.rotation))[[27, 30], 0], [0, 10], atol=1e-9)


def test_depth_is_smoothed_along_the_line_of_sight() -> None:
    rng = np.random.default_rng(1)
    poses = _poses(np.zeros((80, 3)))
    poses.translation[:, :] *= 1 + rng.normal(0, 0.01, (80, 1))
    smoothed = smooth_poses(poses, [(0, 80)], 2.2)
    assert np.diff(smoothed.translation[:, 2], 2).std() < 0.15 * np.diff(poses.translation[:, 2], 2).std()
    np.testing.assert_allclose(smoothed.translation[:, 0] / smoothed.translation[:, 2], -0.02, atol=1e-9)


def test_runs_of_one_and_two_frames() -> None:
    values = np.array([1.0, 5.0, 2.0])
    smoothed = smooth(values, [(0, 1), (1, 3)], 2.0)
    assert smoothed[0] == 1.0 and np.isfinite(smoothed).all()
    assert np.isnan(rotation_jitter_deg(_poses(np.zeros((2, 3))).rotation, [(0, 2)]))


def test_cuts_are_found_and_motion_is_not() -> None:
    rng = np.random.default_rng(2)
    one, other = (np.kron(rng.integers(0, 255, (8, 8, 3)), np.ones((16, 16, 1))).astype(np.uint8) for _ in range(2))
    moving = [np.roll(one, 3 * i, axis=1) for i in range(15)]
    assert find_cuts(iter([*moving, *[np.roll(other, i, axis=0) for i in range(15)]])) == [15]
    assert find_cuts(iter(moving)) == []
    assert find_cuts(iter([one])) == []
