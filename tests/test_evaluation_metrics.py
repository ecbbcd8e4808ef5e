"""Metrics give the answers that are known beforehand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aednerf.evaluation.comparison import difference
from aednerf.evaluation.metrics import gradient_energy, lmd, pasted_psnr, psnr, score, ssim
from aednerf.evaluation.regions import REGIONS, Box, eye_boxes, mouth_box, regions_of
from aednerf.face.topology import LEFT_EYE, LIPS_INNER, LIPS_OUTER, LIPS_OUTER_RING, OVAL, RIGHT_EYE

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(20, 220, (48, 64, 3), dtype=np.uint8)
EVERYWHERE = np.ones((48, 64), bool)


def test_psnr_of_a_constant_offset() -> None:
    assert psnr(PICTURE + 5, PICTURE, EVERYWHERE) == pytest.approx(20 * math.log10(255 / 5))


def test_psnr_counts_only_the_region() -> None:
    mask = np.zeros((48, 64), bool)
    mask[10:20, 10:20] = True
    spoiled = PICTURE.copy()
    spoiled[~mask] = 0
    assert psnr(spoiled, PICTURE, mask) == math.inf
    spoiled[mask] = PICTURE[mask] - 10
    assert psnr(spoiled, PICTURE, mask) == pytest.approx(20 * math.log10(255 / 10))
    assert math.isnan(psnr(PICTURE, PICTURE, ~EVERYWHERE))


def test_psnr_does_not_wrap_around() -> None:
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    assert psnr(black, white, np.ones((4, 4), bool)) == 0.0 == psnr(white, black, np.ones((4, 4), bool))


def test_what_surrounds_a_pasted_head_costs_nothing() -> None:
    head = np.zeros((48, 64), bool)
    head[8:32, 16:48] = True  # a quarter of the frame
    ours = np.where(head[..., None], PICTURE - 10, 255 - PICTURE)
    assert pasted_psnr(ours, PICTURE, head) == pytest.approx(psnr(ours, PICTURE, head) + 10 * math.log10(4))
    assert math.isnan(pasted_psnr(ours, PICTURE, ~EVERYWHERE))


def test_ssim_of_equal_pictures_is_one_and_falls_where_they_differ() -> None:
    value, everywhere = ssim(PICTURE, PICTURE)
    assert value == pytest.approx(1.0, abs=1e-6) and everywhere.shape == (48, 64)
    spoiled = PICTURE.copy()
    spoiled[:, 32:] = RNG.integers(0, 255, (48, 32, 3), dtype=np.uint8)
    value, everywhere = ssim(spoiled, PICTURE)
    assert value < 0.8 and everywhere[:, :24].mean() == pytest.approx(1.0, abs=1e-6) and everywhere[:, 40:].mean() < 0.4


def test_ssim_is_the_published_formula_on_flat_pictures() -> None:
    a, b = np.full((32, 32, 3), 100, np.uint8), np.full((32, 32, 3), 150, np.uint8)
    x, y, c1 = 100 / 255, 150 / 255, 0.01**2
    assert ssim(a, b)[0] == pytest.approx((2 * x * y + c1) / (x * x + y * y + c1), abs=5e-4)


def lips() -> np.ndarray:
    return RNG.uniform(100, 200, (478, 2)).astype(np.float32)


def test_lmd_ignores_a_shift_and_scales_with_the_picture() -> None:
    points = lips()
    assert lmd(points + np.array([7, -3], np.float32), points, 512) == pytest.approx(0, abs=1e-4)
    assert lmd(points, points[::-1].copy(), 256) == pytest.approx(2 * lmd(points, points[::-1].copy(), 512))


def test_lmd_of_one_moved_point() -> None:
    points = lips()
    moved = points.copy()
    moved[LIPS_INNER[0], 1] += 8  # of 8 points: it moves by 8 - 1 against the mean, the others by 1
    assert lmd(moved, points, 512) == pytest.approx((7 + 7 * 1) / 20, abs=1e-4)
    other = points.copy()
    other[[i for i in range(478) if i not in {*LIPS_INNER, *LIPS_OUTER}]] += 50
    assert lmd(other, points, 512) == 0


def test_sharpness_falls_with_blur() -> None:
    ramp = np.tile(np.arange(64, dtype=np.uint8)[None, :, None] * 2, (48, 1, 3))
    inside = np.zeros((48, 64), bool)
    inside[2:-2, 2:-2] = True
    assert gradient_energy(ramp, inside) == pytest.approx((8 * 2 / 255) ** 2, rel=1e-4)  # 8 times the slope
    blurred = ((PICTURE.astype(int) + np.roll(PICTURE, 1, 1)) // 2).astype(np.uint8)
    assert gradient_energy(blurred, inside) < 0.8 * gradient_energy(PICTURE, inside)


def face() -> np.ndarray:
    """Return landmarks with an oval of radius 20 about (32, 24), lips and eyes at known places."""
    points = np.full((478, 2), (32.0, 24.0), np.float32)
    angle = np.linspace(0, 2 * np.pi, len(OVAL), endpoint=False)
    points[list(OVAL)] = np.stack([32 + 20 * np.sin(angle), 24 - 20 * np.cos(angle)], 1)
    rings = ((LIPS_OUTER_RING, (32, 34), (8, 4)), (LEFT_EYE, (40, 18), (4, 2)), (RIGHT_EYE, (24, 18), (4, 2)))
    for ring, (u, v), size in rings:
        angle = np.linspace(0, 2 * np.pi, len(ring), endpoint=False)
        points[list(ring)] = np.stack([u + size[0] * np.cos(angle), v + size[1] * np.sin(angle)], 1)
    points[list(LIPS_INNER)] = (32, 34)
    return points


def test_regions_lie_where_the_landmarks_are() -> None:
    parts = np.zeros((48, 64), np.uint8)
    parts[4:40, 10:50], parts[40:, 20:40] = 1, 2
    regions = regions_of(face(), parts)
    assert tuple(regions) == REGIONS
    assert regions["full"].all() and np.array_equal(regions["head"], parts == 1)
    assert np.array_equal(regions["neck"], parts == 2)
    assert regions["face"].sum() == pytest.approx(np.pi * 20**2, rel=0.05)
    assert regions["face"][24, 32] and not regions["face"][24, 5]
    assert regions["eyes"][18, 40] and regions["eyes"][18, 24] and not regions["eyes"][18, 32]
    assert regions["mouth"][34, 32] and not regions["mouth"][24, 32]


def test_boxes_are_enlarged_by_a_quarter() -> None:
    points = face()
    assert mouth_box(points) in (Box(22, 29, 42, 39), Box(22, 28, 42, 40))
    assert eye_boxes(points)[0].left == 35 and eye_boxes(points)[1].right == 29


def test_a_box_outside_the_picture_is_empty() -> None:
    points = face() + np.array([500, 0], np.float32)
    regions = regions_of(points, np.zeros((48, 64), np.uint8))
    assert not regions["mouth"].any() and not regions["head"].any()
    figures = score(PICTURE, PICTURE, regions)
    assert math.isnan(figures["mouth"]["psnr"]) and math.isnan(figures["head"]["ssim"])
    assert figures["full"]["psnr"] == math.inf


def test_difference_is_gray_where_equal_and_keeps_the_sign() -> None:
    assert (difference(PICTURE, PICTURE) == 128).all()
    assert (difference(PICTURE + 10, PICTURE) == 168).all() and (difference(PICTURE - 10, PICTURE) == 88).all()
