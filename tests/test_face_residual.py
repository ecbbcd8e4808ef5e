"""The residual code: stabilised crops, scaling, clipping, short clips, missing frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aednerf.core.errors import InputError
from aednerf.core.records import Camera
from aednerf.face.correspondence import landmark_points
from aednerf.face.model import FaceModel
from aednerf.face.pose import Poses, rotation_from_vector
from aednerf.face.residual import CropBasis, CropPatches, ResidualBasis, leading, residual_code

CAMERA = Camera(1500, 256, 256, 512, 512)


@pytest.fixture(scope="module")
def neutral(assets: Path) -> np.ndarray:
    return landmark_points(FaceModel.load(assets / "ict_facekit_light.npz")).person().neutral


def make_poses(n: int) -> Poses:
    rng = np.random.default_rng(0)
    return Poses(rotation_from_vector(0.02 * rng.normal(size=(n, 3))), np.tile([0.0, 0.0, -1.1], (n, 1)))


def make_frames(n: int, seed: int = 1) -> list[np.ndarray]:
    """Smooth random pictures: a few blurred patterns in changing strengths."""
    rng = np.random.default_rng(seed)
    patterns = np.kron(rng.normal(size=(5, 32, 32)), np.ones((16, 16)))
    return [
        np.clip(128 + 25 * np.tensordot(rng.normal(size=5), patterns, 1), 0, 255).astype(np.uint8) for _ in range(n)
    ]


def code_of(frames: list[np.ndarray], poses: Poses, neutral: np.ndarray, train: np.ndarray):
    return residual_code(lambda: iter(frames), poses, [CAMERA], np.zeros(len(poses), int), neutral, train)


def test_crops_stay_still_under_head_motion(neutral: np.ndarray) -> None:
    """A picture painted on the head and seen from two poses gives the same crop."""
    patches = CropPatches.on(neutral)
    corners = neutral[[61, 291, 152, 33, 263]]
    crops = []
    tilted = Poses(rotation_from_vector(np.array([[0.0, 0.0, 0.1]])), np.array([[0.02, -0.01, -1.0]]))
    for pose in (make_poses(1), tilted):
        seen = corners @ pose.rotation[0].T + pose.translation[0]
        centre = CAMERA.project(seen)
        v, u = np.mgrid[:512, :512] + 0.5
        spots = sum(
            np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * (0.006 * 1500 / -z) ** 2))
            for (x, y), z in zip(centre, seen[:, 2], strict=True)
        )
        gray = (255 * np.clip(spots, 0, 1)).astype(np.uint8)
        crops.append(patches.crops(gray, pose, CAMERA))
    for a, b in zip(*crops, strict=True):
        assert a.max() > 0.5
        assert np.abs(a - b).mean() < 0.01


def test_scaling_is_by_the_first_components_spread() -> None:
    rng = np.random.default_rng(0)
    basis_vectors, _ = np.linalg.qr(rng.normal(size=(200, 3)))
    crops = (rng.normal(size=(400, 3)) * [4.0, 2.0, 1.0]) @ basis_vectors.T + 0.5
    basis = CropBasis.learn(crops, 4)
    code = basis.encode(crops)
    sd = code.std(0)
    np.testing.assert_allclose(sd[:3], [1, np.sqrt(2 / 4), np.sqrt(1 / 4)], rtol=0.1)
    assert (code[:, 3] == 0).all()


def test_codes_are_clipped_to_the_training_range() -> None:
    crops = np.random.default_rng(0).normal(size=(50, 30))
    basis = CropBasis.learn(crops, 5)
    trained, far = basis.encode(crops), basis.encode(100 * crops)
    assert (far.max(0) <= basis.high + 1e-6).all() and (far.min(0) >= basis.low - 1e-6).all()
    np.testing.assert_allclose(np.ptp(far, axis=0), 1.1 * np.ptp(trained, axis=0), rtol=1e-4)


def test_bases_come_from_training_frames_only(neutral: np.ndarray) -> None:
    poses, frames = make_poses(30), make_frames(30)
    train = np.arange(20)
    code, _ = code_of(frames, poses, neutral, train)
    changed = frames[:20] + make_frames(10, seed=9)
    again, _ = code_of(changed, poses, neutral, train)
    np.testing.assert_array_equal(code[:20], again[:20])
    assert np.abs(code[20:] - again[20:]).max() > 0.1


def test_missing_frames_are_nan_and_stay_in_place(neutral: np.ndarray) -> None:
    poses, frames = make_poses(12), make_frames(12)
    poses.translation[4] = np.nan
    code, _ = code_of(frames, poses, neutral, np.arange(10))
    assert code.shape == (12, 128) and code.dtype == np.float32
    assert np.isnan(code[4]).all() and np.isfinite(np.delete(code, 4, axis=0)).all()


def test_short_clip_leaves_zero_columns(neutral: np.ndarray) -> None:
    code, _ = code_of(make_frames(4), make_poses(4), neutral, np.arange(3))
    assert code.shape == (4, 128)
    assert (code[:, 2:64] == 0).all() and (code[:, 66:] == 0).all() and np.abs(code[:, :2]).max() > 0
    alone, _ = code_of(make_frames(1), make_poses(1), neutral, np.arange(1))
    assert (alone == 0).all()


def test_leading_numbers_are_those_of_both_halves() -> None:
    read = np.arange(16.0).reshape(2, 8)
    np.testing.assert_array_equal(leading(read, 4), [[0, 1, 4, 5], [8, 9, 12, 13]])


def test_basis_survives_storage_and_encodes_a_single_frame(neutral: np.ndarray, tmp_path: Path) -> None:
    poses, frames = make_poses(8), make_frames(8)
    code, basis = code_of(frames, poses, neutral, np.arange(8))
    np.savez(tmp_path / "basis.npz", **basis.to_arrays())  # pyright: ignore[reportArgumentType]
    with np.load(tmp_path / "basis.npz", allow_pickle=False) as stored:
        loaded = ResidualBasis.from_arrays(dict(stored))
    np.testing.assert_allclose(loaded.encode(frames[5], poses[5:6], CAMERA), code[5], atol=1e-5)


def test_too_few_frames_or_no_training_pose_is_named(neutral: np.ndarray) -> None:
    with pytest.raises(InputError, match="Expected 6 frames"):
        code_of(make_frames(5), make_poses(6), neutral, np.arange(3))
    poses = make_poses(3)
    poses.translation[:2] = np.nan
    with pytest.raises(InputError, match="No training frame"):
        code_of(make_frames(3), poses, neutral, np.arange(2))
