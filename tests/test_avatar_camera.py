"""The user's camera turns the way that the conventions say, and refuses what it cannot read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aednerf.avatar.camera import KeyedPath, View, parse_camera
from aednerf.core.errors import InputError
from aednerf.core.records import Camera

CENTRE = np.array([0.01, 0.02, -1.1], np.float32)
CAMERA = Camera(1000.0, 256.0, 256.0, 512, 512)


def seen(view: View, offset: tuple[float, float, float]) -> np.ndarray:
    """Return where a point at an offset from the head's centre appears: u, v, and its depth before the camera."""
    transform = view.transform(CENTRE)
    assert transform is not None
    point = transform[:, :3] @ (CENTRE + np.array(offset)) + transform[:, 3]
    return np.array([*CAMERA.project(point), -point[2]])


MIDDLE = np.array([*CAMERA.project(CENTRE), 1.1])


@pytest.mark.parametrize("view", [View(yaw_deg=25), View(pitch_deg=-15), View(roll_deg=9), View(30, 10, -5)])
def test_turns_about_the_head(view: View) -> None:
    assert np.allclose(seen(view, (0, 0, 0)), MIDDLE, atol=1e-4)
    transform = view.transform(CENTRE)
    assert transform is not None and np.allclose(transform[:, :3] @ transform[:, :3].T, np.eye(3), atol=1e-6)
    assert np.linalg.det(transform[:, :3]) > 0


def test_yaw_goes_to_the_persons_left() -> None:
    nose, left_ear, right_ear = ((0, 0, 0.1), (0.08, 0, 0), (-0.08, 0, 0))
    view = View(yaw_deg=20)
    assert seen(view, nose)[0] < MIDDLE[0] - 10  # from the person's left the nose points to the left of the picture
    assert seen(view, left_ear)[2] < seen(view, right_ear)[2]


def test_pitch_goes_up_and_roll_turns_clockwise() -> None:
    assert seen(View(pitch_deg=20), (0, 0, 0.1))[1] > MIDDLE[1] + 10  # from above the nose points down
    assert seen(View(pitch_deg=20), (0, 0.1, 0))[2] < 1.1  # and the forehead comes nearer
    top = seen(View(roll_deg=20), (0, 0.1, 0)) - MIDDLE
    assert top[0] > 10 and top[1] < 0


def test_front_is_the_recordings_own_camera() -> None:
    assert parse_camera("front").at(3.0).transform(CENTRE) is None


def test_orbit_starts_at_the_front_and_goes_to_both_sides() -> None:
    orbit = parse_camera("orbit")
    yaws = [orbit.at(t / 10).yaw_deg for t in range(80)]
    assert orbit.at(0.0) == View() and max(yaws) > 15 and min(yaws) < -15


def test_reads_numbers() -> None:
    assert parse_camera("yaw=20, pitch=-5").at(0) == View(20, -5)
    assert parse_camera("yaw=1,pitch=2,roll=3,zoom=1.5").at(9) == View(1, 2, 3, 1.5)
    assert parse_camera(View(4)).at(0) == View(4)
    path = KeyedPath((0.0,), (View(),))
    assert parse_camera(path) is path


def test_a_path_is_linear_and_held_at_its_ends(tmp_path: Path) -> None:
    file = tmp_path / "path.json"
    file.write_text(json.dumps([{"t": 1, "yaw": 0}, {"t": 3, "yaw": 20, "zoom": 2}]))
    path = parse_camera(str(file))
    assert path.at(0) == View() and path.at(2) == View(10, 0, 0, 1.5) and path.at(9) == View(20, 0, 0, 2)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("sideways", "Unknown camera 'sideways'"), ("yaw=far", "Expected a number as yaw"), ("yaw=nan", "a number"),
        ("yaw=20,tilt=3", "Unknown 'tilt'"), ("zoom=0", r"zoom .* must lie in \[0.25, 4\]"), ("pitch=100", "pitch"),
        ("nowhere.json", "does not exist"),
    ],
)  # fmt: skip
def test_refuses_bad_text(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_camera(spec)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "no camera path"), ([], "no camera path"), ([3], "no camera path"), ([{"yaw": 3}], "t of key 0"),
        ([{"t": 1}, {"t": 1}], "must rise"), ([{"t": 0, "yaw": True}], "yaw in key 0"),
        ([{"t": 0, "x": 1}], "Unknown 'x'"),
    ],
)  # fmt: skip
def test_refuses_bad_paths(tmp_path: Path, content: object, message: str) -> None:
    file = tmp_path / "path.json"
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        parse_camera(file)
