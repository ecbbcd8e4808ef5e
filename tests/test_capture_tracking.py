"""tracking.npz and face.npz: all or nothing for each frame, and nothing damaged gets in."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aednerf.capture.face_table import FaceTable
from aednerf.capture.tracking import Tracking
from aednerf.core.errors import InputError


def make(valid: list[bool], n_residual: int = 3, n_posture: int = 2) -> Tracking:
    rng = np.random.default_rng(0)
    n = len(valid)
    shapes = {
        "landmarks_px": (n, 478, 2), "rotation": (n, 3, 3), "translation": (n, 3), "expression": (n, 52),
        "residual": (n, n_residual), "posture": (n, n_posture), "error_px": (n,),
    }  # fmt: skip
    rows = {name: rng.uniform(0, 1, shape).astype(np.float32) for name, shape in shapes.items()}
    for row in rows.values():
        row[~np.array(valid, bool)] = np.nan
    return Tracking(np.array(valid, bool), **rows, identity=np.zeros(100, np.float32))


@settings(deadline=None, max_examples=20)
@given(st.lists(st.booleans(), min_size=1, max_size=6), st.integers(0, 32), st.integers(0, 16))
def test_what_is_saved_is_loaded(valid: list[bool], n_residual: int, n_posture: int) -> None:
    tracking = make(valid, n_residual, n_posture)
    with tempfile.TemporaryDirectory() as folder:
        tracking.save(folder)
        loaded = Tracking.load(folder)
    for name in Tracking.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(tracking, name))
        assert getattr(loaded, name).dtype == getattr(tracking, name).dtype


def test_a_row_is_whole_or_empty() -> None:
    tracking = make([True, False])
    half = tracking.expression.copy()
    half[0, 7] = np.nan
    with pytest.raises(ValueError, match="expression is not finite"):
        replace(tracking, expression=half)
    ghost = tracking.translation.copy()
    ghost[1] = 0.0
    with pytest.raises(ValueError, match="translation has values in a frame marked invalid"):
        replace(tracking, translation=ghost)
    with pytest.raises(ValueError, match="rotation must be"):
        replace(tracking, rotation=tracking.rotation[:1])
    with pytest.raises(ValueError, match="residual must be"):
        replace(tracking, residual=np.zeros((2, 129), np.float32))
    with pytest.raises(ValueError, match="posture must be"):
        replace(tracking, posture=np.zeros((2, 17), np.float32))


def test_a_tracking_from_before_the_posture_has_none(tmp_path: Path) -> None:
    make([True, False]).save(tmp_path)
    arrays = dict(np.load(tmp_path / "tracking.npz"))
    del arrays["posture"]
    np.savez(tmp_path / "tracking.npz", **arrays)
    assert Tracking.load(tmp_path).posture.shape == (2, 0)


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "cut", "lacks", "pickle", "rows"])
def test_damaged_files_are_told_by_name(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "tracking.npz"
    make([True, True]).save(tmp_path)
    arrays = dict(np.load(path))
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("hello")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:500])
    elif damage == "lacks":
        arrays.pop("error_px")
        np.savez(path, **arrays)
    elif damage == "pickle":
        arrays["valid"] = np.array([{}, {}], object)
        np.savez(path, **arrays)
    else:
        arrays["error_px"] = arrays["error_px"][:1]
        np.savez(path, **arrays)
    with pytest.raises(InputError) as error:
        Tracking.load(tmp_path)
    assert "tracking.npz" in str(error.value) and "\n" not in str(error.value)


def test_face_table_round_trip_and_deformation(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(size=(20, 3)).astype(np.float32)
    deltas = rng.normal(size=(52, 20, 3)).astype(np.float16)
    table = FaceTable(points, deltas, np.arange(20, dtype=np.uint8) % 5)
    table.save(tmp_path)
    loaded = FaceTable.load(tmp_path)
    np.testing.assert_array_equal(loaded.points, points)
    np.testing.assert_array_equal(loaded.deltas, deltas)
    np.testing.assert_array_equal(loaded.part, table.part)
    expression = rng.uniform(size=(4, 52)).astype(np.float32)
    expected = points + np.einsum("tk,kpc->tpc", expression, deltas.astype(np.float32))
    np.testing.assert_allclose(loaded.deformed(expression), expected, atol=1e-4)
    with pytest.raises(ValueError, match="part must be at most 4"):
        replace(table, part=np.full(20, 5, np.uint8))
