"""Flicker and warping errors of films whose changes are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from aednerf.evaluation.steadiness import MARGIN_PX, SteadinessTally, Step, difference

SIZE = 96


def texture(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (SIZE + 32, SIZE + 32, 3)).astype(np.float32)
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 2.0) * 4 - 380, 0, 255).astype(np.uint8)


def film(shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a frame with a textured head that moves to the right, and its parts."""
    frame = np.full((SIZE, SIZE, 3), 90, np.uint8)
    parts = np.zeros((SIZE, SIZE), np.uint8)
    frame[20:60, 20 + shift : 60 + shift] = texture()[20:60, 20:60]
    parts[20:60, 20 + shift : 60 + shift] = 1
    frame[70:], parts[70:] = 140, 3
    return frame, parts


def test_a_moving_head_warps_without_error_and_does_not_flicker_outside() -> None:
    (before, parts_before), (now, parts_now) = film(0), film(3)
    step = Step.between(before, now, parts_before, parts_now)
    warp, background, outside = step.changes(before, now)
    head = parts_now == 1
    assert warp < 2 < difference(before, now, head) and background == outside == 0
    assert step.person[30:50, 30:50].all() and not step.person[parts_now == 0].any()
    assert not step.background[20 - MARGIN_PX : 60 + MARGIN_PX, 30:50].any() and step.background[5, 40]
    assert step.outside_head[80, 10] and not step.background[80, 10]


def test_a_trembling_torso_and_backdrop_are_told_apart() -> None:
    (before, parts_before), (now, parts_now) = film(0), film(2)
    step = Step.between(before, now, parts_before, parts_now)
    shaky = now.copy()
    shaky[70:] += 6
    _, background, outside = step.changes(before, shaky)
    assert background == 0 and 0 < outside < 6
    shaky[:12] += 4
    assert step.changes(before, shaky)[1] > 0


def test_flicker_of_the_head_shows_in_the_warping_error() -> None:
    (before, parts_before), (now, parts_now) = film(0), film(3)
    step = Step.between(before, now, parts_before, parts_now)
    dim = now.copy()
    dim[20:60] = np.maximum(dim[20:60].astype(int) - 10, 0).astype(np.uint8)
    steady, flickering = step.changes(before, now)[0], step.changes(before, dim)[0]
    assert flickering > steady + 3


def test_only_consecutive_frames_of_one_shot_count() -> None:
    tally = SteadinessTally()
    for frame, shot in ((4, 0), (5, 0), (7, 0), (8, 1), (9, 1)):
        real, parts = film(frame)
        shown = {"ours": real} if frame == 5 else {"ours": real, "theirs": real}
        tally.add(frame, shot, real, parts, shown)
    ours, theirs = tally.of("ours"), tally.of("theirs")
    assert ours is not None and ours.n_pairs == 2 and ours.warp_error == pytest.approx(ours.real_warp_error)
    assert theirs is not None and theirs.n_pairs == 1
    assert tally.of("nobody") is None
    assert ours.flicker_background == ours.real_flicker_background == 0


def test_a_person_who_fills_the_picture_leaves_nothing_to_compare() -> None:
    tally = SteadinessTally()
    for frame in range(2):
        picture = texture()[:SIZE, :SIZE]
        tally.add(frame, 0, picture, np.ones((SIZE, SIZE), np.uint8), {"ours": picture})
    found = tally.of("ours")
    assert found is not None and np.isnan(found.flicker_background) and found.warp_error < 0.5
