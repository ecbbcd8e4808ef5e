"""Tracks lose what an expression moves their points by, and keep what the head does."""

from __future__ import annotations

import numpy as np
import pytest

from aednerf.core.records import ARKIT_NAMES, Camera
from aednerf.face.bundle import Tracks, resect
from aednerf.face.moving_skin import MovingSkin
from aednerf.face.pose import Poses, rotation_angle, rotation_from_angles

CAMERA = Camera(1500.0, 256.0, 256.0, 512, 512)
BROWS = ARKIT_NAMES.index("browInnerUp")
N_FRAMES = 24


@pytest.fixture
def skin() -> MovingSkin:
    """A bowl of skin before the camera whose upper half goes up with one coefficient, while the head turns."""
    across = np.linspace(-0.07, 0.07, 41)
    x, y = (grid.ravel() for grid in np.meshgrid(across, across))
    neutral = np.stack([x, y, 0.05 - 6 * (x**2 + y**2)], axis=1)
    expressions = np.zeros((len(ARKIT_NAMES), len(neutral), 3))
    expressions[BROWS, :, 1] = 0.0015 * np.clip(y / 0.05, 0, 1)
    time = np.arange(N_FRAMES)
    angles = np.radians(np.stack([4 * np.sin(time / 5), 2 * np.cos(time / 7), 1 + 0 * time], axis=1))
    poses = Poses(rotation_from_angles(angles), np.tile([0.01, 0.02, -1.1], (N_FRAMES, 1)))
    coefficients = np.zeros((N_FRAMES, len(ARKIT_NAMES)))
    coefficients[N_FRAMES // 2 :, BROWS] = 0.9  # raised for as long as the second half lasts
    return MovingSkin(neutral, expressions, coefficients, poses, CAMERA)


def tracks_of(skin: MovingSkin, vertices: np.ndarray) -> Tracks:
    """Follow some vertices of the skin through all frames; the first frame, where all are seen, is the key frame."""
    head = skin.neutral + np.tensordot(skin.coefficients, skin.expressions, 1)
    placed = head @ np.swapaxes(skin.poses.rotation, 1, 2) + skin.poses.translation[:, None]
    pixels = CAMERA.project(placed[:, vertices]).astype(np.float32)
    pixels[1::3, 0] = np.nan
    points = skin.neutral[vertices]
    n = len(vertices)
    return Tracks(np.arange(N_FRAMES), pixels, points, points, 0.03, np.full(n, 2.0), (0.15, 3.0))


def test_a_raised_brow_does_not_turn_the_head(skin: MovingSkin) -> None:
    vertices = np.random.default_rng(0).choice(len(skin.neutral), 120, replace=False)
    tracks = tracks_of(skin, vertices)
    stilled = skin.stilled(tracks)

    def errors_deg(given: Tracks) -> np.ndarray:
        found = resect([given], skin.poses, CAMERA)
        return np.degrees(rotation_angle(np.swapaxes(found.rotation, 1, 2) @ skin.poses.rotation))

    before, after = errors_deg(tracks), errors_deg(stilled)
    assert before[N_FRAMES // 2 :].min() > 0.3
    assert after.max() < 0.05
    assert np.isnan(stilled.pixels[1::3, 0]).all() and np.isfinite(stilled.pixels[:, 1:]).all()


def test_points_beside_the_skin_stay(skin: MovingSkin) -> None:
    tracks = tracks_of(skin, np.arange(0, len(skin.neutral), 20))
    hair = tracks.pixels.copy()
    hair[:, :, 0] += 300
    stilled = skin.stilled(Tracks(tracks.frames, hair, tracks.points, tracks.prior, 0.03, tracks.sigma_px, (0.15, 3.0)))
    np.testing.assert_array_equal(stilled.pixels, hair)


def test_frames_without_a_face_take_nothing_off(skin: MovingSkin) -> None:
    tracks = tracks_of(skin, np.arange(0, len(skin.neutral), 20))
    skin.coefficients[-1] = np.nan
    np.testing.assert_allclose(skin.stilled(tracks).pixels[-1], tracks.pixels[-1], atol=1e-4)
