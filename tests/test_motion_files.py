"""Motion files: what is written is read back, by name; what is wrong is refused by name."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES, Motion
from aednerf.motion.files import LIVE_LINK_COLUMNS, LIVE_LINK_SHAPES, load_motion, save_motion


def some_motion(n: int, k: int = 3, seed: int = 0, fps: float = 25) -> Motion:
    rng = np.random.default_rng(seed)
    return Motion(
        rng.random((n, 52), np.float32), rng.standard_normal((n, k)).astype(np.float32),
        Rotation.from_rotvec(rng.normal(0, 0.5, (n, 3))).as_matrix().astype(np.float32),
        rng.normal(0, 1, (n, 3)).astype(np.float32), fps=fps,
    )  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n=st.integers(1, 120), k=st.integers(0, 32), seed=st.integers(0, 100))
def test_round_trip(tmp_path: Path, n: int, k: int, seed: int) -> None:
    motion = some_motion(n, k, seed)
    for suffix in (".npz", ".csv"):
        path = tmp_path / f"motion{suffix}"
        save_motion(path, motion)
        again = load_motion(path)
        for name in ("expression", "residual", "translation"):
            np.testing.assert_array_equal(getattr(again, name), getattr(motion, name))
        np.testing.assert_allclose(again.rotation, motion.rotation, atol=0 if suffix == ".npz" else 2e-6)


def test_the_npz_keeps_the_posture_and_the_csv_does_not(tmp_path: Path) -> None:
    posture = np.arange(12, dtype=np.float32).reshape(6, 2)
    motion = replace(some_motion(6), posture=posture)
    for name, expected in (("m.npz", posture), ("m.csv", np.zeros((6, 0)))):
        save_motion(tmp_path / name, motion)
        np.testing.assert_array_equal(load_motion(tmp_path / name).posture, expected)
    save_motion(tmp_path / "m.npz", replace(motion, fps=50.0))
    np.testing.assert_array_equal(load_motion(tmp_path / "m.npz").posture, posture[::2])
    np.testing.assert_array_equal(motion[2:4].posture, posture[2:4])
    np.testing.assert_array_equal(Motion.concatenate([motion[:2], motion[2:]]).posture, posture)
    with np.load(tmp_path / "m.npz") as file:
        older = {key: file[key] for key in file.files if key != "posture"}
    np.savez(tmp_path / "older.npz", **older)
    assert load_motion(tmp_path / "older.npz").posture.shape == (3, 0)
    with pytest.raises(ValueError, match="posture must be"):
        replace(motion, posture=posture[:2])


def table(path: Path) -> list[list[str]]:
    with open(path, newline="") as file:
        return list(csv.reader(file))


def test_the_csv_is_live_links(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    save_motion(path, some_motion(60))
    rows = table(path)
    assert len(LIVE_LINK_COLUMNS) == 63 and len(set(LIVE_LINK_SHAPES)) == 52
    assert rows[0][:4] == ["Timecode", "BlendShapeCount", "EyeBlinkLeft", "EyeLookDownLeft"]
    assert rows[0][63:] == ["HeadX", "HeadY", "HeadZ", "Residual00", "Residual01", "Residual02"]
    assert rows[56][:2] == ["00:00:02:05.000", "61"]


def test_eye_and_head_angles_have_their_signs(tmp_path: Path) -> None:
    path, motion = tmp_path / "m.csv", some_motion(1)
    motion.expression[:] = 0
    motion.expression[0, [ARKIT_NAMES.index(name) for name in ("eyeLookOutLeft", "eyeLookInRight")]] = 1
    motion.rotation[0] = Rotation.from_euler("YXZ", [20, -10, 5], degrees=True).as_matrix()
    save_motion(path, motion)
    row = dict(zip(*table(path), strict=True))
    assert [float(row[f"Head{angle}"]) for angle in ("Yaw", "Pitch", "Roll")] == pytest.approx(np.deg2rad([20, -10, 5]))
    assert float(row["LeftEyeYaw"]) == float(row["RightEyeYaw"]) == pytest.approx(np.deg2rad(30))


def test_columns_are_matched_by_name_and_a_foreign_file_gets_the_mean_pose(tmp_path: Path) -> None:
    path, motion = tmp_path / "m.csv", some_motion(3)
    save_motion(path, motion)
    rows = [row[:63] for row in table(path)]
    order = np.random.default_rng(0).permutation(63)
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([[row[i] for i in order] for row in rows])
    mean = np.eye(3, dtype=np.float32), np.array([0, 0, -1], np.float32)
    again = load_motion(path, mean_rotation=mean[0], mean_translation=mean[1], n_residual=4)
    np.testing.assert_array_equal(again.expression, motion.expression)
    np.testing.assert_array_equal(again.rotation, np.tile(mean[0], (3, 1, 1)))
    np.testing.assert_array_equal(again.translation, np.tile(mean[1], (3, 1)))
    np.testing.assert_array_equal(again.residual, np.zeros((3, 4)))
    with pytest.raises(InputError, match="HeadX"):
        load_motion(path)


def test_npz_coefficients_are_matched_by_name(tmp_path: Path) -> None:
    path, motion = tmp_path / "m.npz", some_motion(2)
    save_motion(path, motion)
    arrays = dict(np.load(path))
    order = np.random.default_rng(0).permutation(52)
    arrays["expression"], arrays["expression_names"] = arrays["expression"][:, order], arrays["expression_names"][order]
    np.savez(path, **arrays)
    np.testing.assert_array_equal(load_motion(path).expression, motion.expression)


@pytest.mark.parametrize("fps", [24, 30, 50, 60])
def test_other_frame_rates_become_25_by_the_nearest_frame(tmp_path: Path, fps: int) -> None:
    motion = some_motion(3 * fps, fps=fps)
    save_motion(tmp_path / "m.npz", motion)
    again = load_motion(tmp_path / "m.npz")
    assert len(again) == 75 and again.fps == 25
    np.testing.assert_array_equal(again.expression[50], motion.expression[2 * fps])
    save_motion(tmp_path / "m.csv", Motion(motion.expression, motion.residual, motion.rotation, motion.translation))
    rows = table(tmp_path / "m.csv")
    for i, row in enumerate(rows[1:]):
        row[0] = f"15:59:{57 + i // fps:02d}:{i % fps:02d}.250"
    with open(tmp_path / "m.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    np.testing.assert_array_equal(load_motion(tmp_path / "m.csv").expression, again.expression)


def test_a_residual_of_another_avatar_is_refused(tmp_path: Path) -> None:
    save_motion(tmp_path / "m.npz", some_motion(2, k=3))
    with pytest.raises(InputError, match="another avatar"):
        load_motion(tmp_path / "m.npz", n_residual=5)


def spoil(rows: list[list[str]], what: str) -> list[list[str]]:
    jaw = rows[0].index("JawOpen")
    if what == "column":
        return [row[:jaw] + row[jaw + 1 :] for row in rows]
    if what == "cells":
        return [*rows[:-1], rows[-1][:-1]]
    if what == "empty":
        return rows[:1]
    rows[1][jaw if what != "time" else 0] = {"text": "wide", "range": "55", "nan": "nan", "time": "noon"}[what]
    return rows


@pytest.mark.parametrize(
    ("what", "says"),
    [("column", "JawOpen"), ("cells", "line 4"), ("empty", "no frames"), ("text", "jawOpen"),
     ("range", r"jawOpen.*\[0, 1\]"), ("nan", "finite"), ("time", "Timecode")],
)  # fmt: skip
def test_a_bad_csv_is_refused_by_name(tmp_path: Path, what: str, says: str) -> None:
    path = tmp_path / "m.csv"
    save_motion(path, some_motion(3))
    rows = spoil(table(path), what)
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(InputError, match=says) as error:
        load_motion(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["missing.npz", "m.txt", "damaged.npz", "other.npz", "binary.csv", "turned.npz"])
def test_what_is_no_motion_file_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.startswith(("damaged", "binary")):
        path.write_bytes(b"\x93\xff\x00" * 50)
    elif name == "other.npz":
        np.savez(path, pixels=np.zeros(3))
    elif name == "turned.npz":
        motion = some_motion(2)
        save_motion(path, Motion(motion.expression, motion.residual, 2 * motion.rotation, motion.translation))
    with pytest.raises(InputError) as error:
        load_motion(path)
    assert "\n" not in str(error.value)


def test_only_known_suffixes_are_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="npz or .csv"):
        save_motion(tmp_path / "m.json", some_motion(1))
    assert list(tmp_path.iterdir()) == []
