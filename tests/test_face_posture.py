"""The posture code of drawn torsos whose motion is known."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from aednerf.capture.capture import Capture
from aednerf.capture.posture import add_posture
from aednerf.face.posture import posture_code
from tiny_capture import make_tiny_capture

SIZE, N_FRAMES, N_TRAIN = 128, 60, 45


def film(shift: np.ndarray, hand: int | None = None) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return frames and parts of a torso that moves by `shift` [T, 2] pixels, covered by a hand in one of them."""
    noise = np.random.default_rng(0).uniform(0, 255, (2 * SIZE, 2 * SIZE, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 2.5)
    cloth = np.clip(128 + 6 * (blurred - blurred.mean()), 0, 255).astype(np.uint8)
    frames, parts = [], []
    for number, (x, y) in enumerate(shift):
        move = np.array([[1, 0, x - SIZE // 2], [0, 1, y - SIZE // 2]], np.float32)
        moved = cv2.warpAffine(cloth, move, (SIZE, SIZE), flags=cv2.INTER_CUBIC)
        label = np.zeros((SIZE, SIZE), np.uint8)
        label[round(60 + y) :, 10:118] = 3
        frame = np.where(label[..., None] == 3, moved, np.uint8(90))
        if number == hand:
            frame[95:115, 40:70] = (250, 200, 160)
        frames.append(frame)
        parts.append(label)
    return frames, parts


def moves() -> np.ndarray:
    t = np.arange(N_FRAMES) / 25
    return np.stack([6 * np.sin(2 * np.pi * 0.7 * t), 2.5 * np.sin(2 * np.pi * 1.9 * t + 1)], axis=1)


def code_of(frames: list[np.ndarray], parts: list[np.ndarray]) -> np.ndarray:
    return posture_code(lambda: frames, lambda: parts, len(frames), np.arange(N_TRAIN))


def told(code: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Return what the code says of the shift [T, 2], by a linear map from the training frames."""
    rows = np.concatenate([code, np.ones((len(code), 1))], axis=1)
    return rows @ np.linalg.lstsq(rows[:N_TRAIN], shift[:N_TRAIN], rcond=None)[0]


def test_the_motion_of_a_torso_is_recovered() -> None:
    shift = moves()
    code = code_of(*film(shift))
    assert 2 <= code.shape[1] <= 12 and code.dtype == np.float32
    assert code[:N_TRAIN, 0].std() == pytest.approx(1, abs=0.01) and code[:N_TRAIN, 1].std() < 1
    for axis in range(2):
        assert np.corrcoef(told(code[:, :2], shift)[:, axis], shift[:, axis])[0, 1] > 0.999
    assert np.abs(told(code, shift) - shift)[N_TRAIN:].max() < 0.15  # pixels, in frames it has not learned from


def test_a_hand_before_the_torso_changes_little() -> None:
    shift = moves()
    plain, covered = code_of(*film(shift)), code_of(*film(shift, hand=50))
    assert np.abs(covered[50, :2] - plain[50, :2]).max() < 0.1


def test_without_a_torso_or_its_motion_there_is_no_code() -> None:
    frames, parts = film(moves())
    assert code_of(frames, [np.minimum(labels, 1) for labels in parts]).shape == (N_FRAMES, 0)
    assert code_of(*film(np.zeros((N_FRAMES, 2)))).shape == (N_FRAMES, 0)


def test_a_finished_capture_gets_its_posture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = make_tiny_capture(tmp_path / "capture")
    code = np.random.default_rng(0).normal(size=(capture.n_frames, 5)).astype(np.float32)
    monkeypatch.setattr("aednerf.capture.posture.posture_code", lambda *_, **__: code.copy())
    add_posture(capture.path)
    again = Capture.open(capture.path)
    valid = capture.tracking.valid
    np.testing.assert_array_equal(again.tracking.posture[valid], code[valid])
    assert np.isnan(again.tracking.posture[~valid]).all()
    np.testing.assert_array_equal(again.motion(slice(3, 7)).posture, again.tracking.posture[3:7])
