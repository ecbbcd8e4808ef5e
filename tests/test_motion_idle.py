"""Idle life: human blinks, and a sway that never leaves what was recorded."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aednerf.motion.channels import BLINK_COLUMNS, IDLE_COLUMNS
from aednerf.motion.idle import BLINK_PROFILE, BLINKS_PER_MINUTE, IdleMotion
from aednerf.motion.statistics import MotionStats
from motion_parts import person

LIDS = np.searchsorted(IDLE_COLUMNS, BLINK_COLUMNS)


def played(stats: MotionStats, n: int, seed: int = 0, blink: bool = True) -> tuple[np.ndarray, np.ndarray]:
    idle = IdleMotion(stats, seed, blink)
    poses, faces = zip(*(idle.frame() for _ in range(n)), strict=True)
    return np.stack(poses), np.stack(faces)


def test_the_sway_stays_in_the_recorded_range_and_is_as_smooth() -> None:
    stats = person()
    pose, face = played(stats, 5000, blink=False)
    recorded = stats.idle
    both = np.concatenate([pose, face], axis=1)
    assert (both >= recorded.min(0) - 1e-6).all() and (both <= recorded.max(0) + 1e-6).all()
    steps = np.abs(np.diff(pose, axis=0)).max(0)
    inside = np.abs(np.diff(recorded[:130, :6], axis=0)).max(0) * 1.1
    # A fade of 20 frames adds at most 1.5 / 20 of the distance between two rows.
    assert (steps <= inside + 0.075 * np.ptp(recorded[:, :6], axis=0) + 1e-6).all()
    np.testing.assert_allclose(pose.std(0), recorded[:, :6].std(0), rtol=0.5)


def test_it_does_not_repeat_itself() -> None:
    pose, _ = played(person(), 2000)
    for lag in range(100, 1000):
        assert np.abs(pose[lag:] - pose[:-lag]).mean() > 1e-3


@pytest.mark.parametrize("rate", [1.0, 18.0, 200.0])
def test_blinks_come_at_human_rates_and_have_their_profile(rate: float) -> None:
    stats = person()
    stats = dataclasses.replace(stats, blink=np.array([rate, 1.0, 0.5], np.float32))
    minutes = 20
    _, face = played(stats, minutes * 60 * 25)
    left = face[:, LIDS[0]]
    deepest = np.flatnonzero(left == 1.0)
    wanted = np.clip(rate, *BLINKS_PER_MINUTE)
    assert len(deepest) / minutes == pytest.approx(wanted, rel=0.2)
    assert np.diff(deepest).min() >= 25
    around = left[deepest[3] - 2 : deepest[3] + 6]
    assert (around >= BLINK_PROFILE - 1e-6).all() and around[:3].argmax() == 2


@pytest.mark.parametrize("n", [1, 2, 5, 9, 40])
def test_a_very_short_recording_still_idles(n: int) -> None:
    stats = person(n_idle=n, starts=(0,))
    pose, _ = played(stats, 300)
    assert np.isfinite(pose).all()
    assert (pose >= stats.idle[:, :6].min(0) - 1e-6).all() and (pose <= stats.idle[:, :6].max(0) + 1e-6).all()
