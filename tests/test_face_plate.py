"""The clean plate of synthetic clips whose backdrop is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from aednerf.core.errors import InputError
from aednerf.face.plate import estimate_plate, fill

SIZE = 128


def _backdrop(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).random((SIZE // 8, SIZE // 8, 3)).astype(np.float32)
    return (cv2.resize(noise, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) * 200 + 20).clip(0, 255).astype(np.uint8)


def _clip(backdrops: list[np.ndarray], sway: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    frames, coarse = [], []
    random = np.random.default_rng(1)
    for index, backdrop in enumerate(backdrops):
        mask = np.zeros((SIZE, SIZE), np.uint8)
        centre = round(SIZE / 2 + sway * np.sin(index))
        cv2.ellipse(mask, (centre, 80), (24, 45), 0, 0, 360, 255, -1)
        frame = np.where(mask[..., None] > 0, np.array([200, 150, 130]), backdrop)
        frames.append((frame + random.normal(0, 2, frame.shape)).clip(0, 255).astype(np.uint8))
        coarse.append(cv2.resize(mask, (64, 64), interpolation=cv2.INTER_AREA))
    return frames, coarse


def test_plate_is_exact_where_seen_and_marks_what_was_not() -> None:
    backdrop = _backdrop()
    plate = estimate_plate(*_clip([backdrop] * 30, sway=20))
    seen = plate.samples > 0
    error = np.abs(plate.rgb.astype(int) - backdrop)
    assert error[seen].mean() < 1.5
    assert np.percentile(error[seen], 99) <= 6
    assert plate.samples[100, 64] == 0, "the middle of the person was never background"
    assert plate.samples[10, 10] == 24
    assert 0.7 < plate.seen < 0.99
    assert plate.motion < 5


def test_unseen_part_is_filled_between_its_surroundings() -> None:
    backdrop = np.full((SIZE, SIZE, 3), 60, np.uint8)
    backdrop[:, SIZE // 2 :] = 140
    plate = estimate_plate(*_clip([backdrop] * 4, sway=0))
    hole = plate.rgb[plate.samples == 0].astype(int)
    assert hole.min() >= 55 and hole.max() <= 145
    steps = np.abs(np.diff(plate.rgb[80].astype(int), axis=0))[SIZE // 2 - 20 : SIZE // 2 + 20]
    assert steps.max() < 25, "no hard smear"


def test_moving_backdrop_is_reported() -> None:
    still = estimate_plate(*_clip([_backdrop()] * 12, sway=5))
    moving = estimate_plate(*_clip([np.roll(_backdrop(), 4 * i, 1) for i in range(12)], sway=5))
    assert still.motion < 5 < 20 < moving.motion
    assert np.median(moving.noise) > 3 * np.median(still.noise)


def test_background_that_looks_like_the_person_is_distrusted() -> None:
    frames, coarse = _clip([_backdrop()] * 10, sway=0)
    # The network loses a part of the person in every second frame.
    coarse = [np.where(np.arange(64)[:, None] > 45, 0, mask).astype(np.uint8) if i % 2 else mask for i, mask in
              enumerate(coarse)]  # fmt: skip
    plate = estimate_plate(frames, coarse)
    assert plate.samples[110, 64] == 0


def test_whole_picture_person_and_empty_clip() -> None:
    frames = [np.full((32, 32, 3), 90, np.uint8)] * 2
    plate = estimate_plate(frames, [np.full((16, 16), 255, np.uint8)] * 2)
    assert plate.seen == 0 and plate.rgb.shape == (32, 32, 3)
    with pytest.raises(InputError, match="at least one frame"):
        estimate_plate([], [])


def test_fill_keeps_known_pixels() -> None:
    values = np.random.default_rng(0).random((37, 50)).astype(np.float32)
    weight = (np.random.default_rng(1).random((37, 50)) > 0.5).astype(np.float32)
    filled = fill(values, weight)
    np.testing.assert_allclose(filled[weight > 0], values[weight > 0], atol=1e-6)
    assert filled.min() >= -0.01 and filled.max() <= 1.01
