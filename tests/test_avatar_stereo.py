"""Two eyes see the head at one place, what is nearer crosswise and what is farther apart, at one height."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aednerf.avatar.avatar import Avatar
from aednerf.avatar.camera import View
from aednerf.avatar.stereo import eyes
from aednerf.core.errors import InputError
from aednerf.core.records import Camera, Motion
from aednerf.media.video import decode_frames
from fake_avatar import MEAN_POSITION, N_RESIDUAL, FakePerson, fake_bundle

CAMERA = Camera(1000.0, 250.0, 260.0, 512, 512)
CENTRE = np.array([0.02, 0.03, -1.1], np.float32)


def seen(camera: Camera, motion: np.ndarray | None, point: np.ndarray) -> np.ndarray:
    return camera.project(point if motion is None else motion[:, :3] @ point + motion[:, 3])


@pytest.mark.parametrize("view", [View(), View(yaw_deg=20, pitch_deg=-5), View(yaw_deg=-10, roll_deg=8, zoom=1.7)])
def test_eyes_converge_on_the_head_in_every_view(view: View) -> None:
    middle, motion = CAMERA.zoomed(view.zoom), view.transform(CENTRE)
    left, right = eyes(middle, motion, CENTRE, 0.063)
    for eye in (left, right):
        assert np.allclose(seen(*eye, CENTRE), seen(middle, motion, CENTRE), atol=1e-3)
    forward = np.array([0, 0, 0.1]) if motion is None else motion[:, :3].T @ np.array([0, 0, 0.1])
    near, far = (seen(*left, point) - seen(*right, point) for point in (CENTRE + forward, CENTRE - forward))
    expected = 1000 * view.zoom * 0.063 * (1 / 1.0 - 1 / 1.1)
    assert near == pytest.approx([expected, 0], abs=1e-2)  # the left eye sees what is near farther to the right
    assert far[0] < 0 and abs(far[1]) < 1e-2


def test_one_eye_is_the_camera_itself() -> None:
    assert eyes(CAMERA, None, CENTRE, 0.0) == [(CAMERA, None)]


def person(size: int = 64) -> Avatar:
    return Avatar(fake_bundle(size), FakePerson(), None)


def near_head() -> Motion:
    """Return a head that stands nearer than the mean position."""
    expression, residual = np.zeros((2, 52), np.float32), np.zeros((2, N_RESIDUAL), np.float32)
    position = MEAN_POSITION + np.array([0, 0, 0.2], np.float32)
    return Motion(expression, residual, np.tile(np.eye(3, dtype=np.float32), (2, 1, 1)), np.tile(position, (2, 1)))


@pytest.mark.parametrize(
    "options", [{}, {"size": 96, "background": "transparent"}, {"crop": "16,8,32,48", "camera": "orbit"},
                {"camera": "yaw=10,zoom=1.2", "background": "#102030"}],
)  # fmt: skip
def test_a_pair_stands_side_by_side(options: dict) -> None:
    one = [frame.rgba for frame in person().render(near_head(), **options).frames()]
    two = [frame.rgba for frame in person().render(near_head(), stereo_mm=120, **options).frames()]
    for single, pair in zip(one, two, strict=True):
        width = single.shape[1]
        assert pair.shape == (single.shape[0], 2 * width, 4)
        left, right = (np.nonzero(half[..., 0] == 128)[1].mean() for half in (pair[:, :width], pair[:, width:]))
        assert left - right > 1
        assert np.array_equal(pair[-1], np.tile(single[-1], (2, 1)))  # the torso lies in the plane of convergence


def test_a_pair_is_saved_at_its_size(tmp_path: Path) -> None:
    path = person().render(near_head(), stereo_mm=63).save(tmp_path / "pair.mp4")
    assert next(decode_frames(path)).shape == (64, 128, 3)


@pytest.mark.parametrize("millimetres", [0, -63, 1000, float("nan")])
def test_impossible_eyes_are_refused(millimetres: float) -> None:
    with pytest.raises(InputError, match="People's are 63"):
        person().render(near_head(), stereo_mm=millimetres)
