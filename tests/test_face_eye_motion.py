"""Eyes turn together and rest between their moves."""

from __future__ import annotations

import numpy as np
import pytest

from aednerf.core.records import ARKIT_NAMES
from aednerf.face.eye_motion import steady_eyes

N = 200
OUT_LEFT, IN_LEFT, IN_RIGHT, OUT_RIGHT = (
    ARKIT_NAMES.index(name) for name in ("eyeLookOutLeft", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutRight")
)
BLINK, JAW = ARKIT_NAMES.index("eyeBlinkLeft"), ARKIT_NAMES.index("jawOpen")


def looking(turn: np.ndarray, apart: float = 0.0) -> np.ndarray:
    """Expressions [T, 52] of eyes that look to the person's left by `turn`, and each a little outwards."""
    expression = np.zeros((len(turn), len(ARKIT_NAMES)))
    for sign, out_of, into in ((1.0, OUT_LEFT, IN_LEFT), (-1.0, OUT_RIGHT, IN_RIGHT)):
        outwards = sign * turn + apart
        expression[:, out_of], expression[:, into] = np.maximum(outwards, 0), np.maximum(-outwards, 0)
    return expression


def turn_of(expression: np.ndarray) -> np.ndarray:
    left = expression[:, OUT_LEFT] - expression[:, IN_LEFT]
    right = expression[:, IN_RIGHT] - expression[:, OUT_RIGHT]
    return (left + right) / 2


@pytest.mark.parametrize("seed", range(3))
def test_noise_goes_and_saccades_stay(seed: int) -> None:
    rng = np.random.default_rng(seed)
    turn = np.repeat(rng.uniform(-0.5, 0.5, N // 20), 20)
    noisy = looking(turn, 0.05)
    for one, other in ((OUT_LEFT, IN_LEFT), (OUT_RIGHT, IN_RIGHT)):
        signed = noisy[:, one] - noisy[:, other] + rng.normal(0, 0.04, N)
        noisy[:, one], noisy[:, other] = np.maximum(signed, 0), np.maximum(-signed, 0)
    steady = steady_eyes(noisy, [(0, N)])
    before, after = (np.sqrt(np.mean((turn_of(each) - turn) ** 2)) for each in (noisy, steady))
    assert after < 0.65 * before
    large = np.flatnonzero(np.abs(np.diff(turn)) > 0.3)
    assert (np.abs(np.diff(turn_of(steady)))[large] > 0.8 * np.abs(np.diff(turn))[large]).all()
    outwards = steady[:, OUT_LEFT] - steady[:, IN_LEFT] - turn_of(steady)
    assert np.ptp(outwards) < 1e-5 and outwards[0] == pytest.approx(0.05, abs=0.02)


def test_blinks_stay_sharp_and_the_mouth_untouched() -> None:
    rng = np.random.default_rng(0)
    expression = looking(np.zeros(N))
    expression[:, JAW] = rng.uniform(0, 1, N)
    expression[:, BLINK] = 0.1 + rng.normal(0, 0.01, N)
    expression[100:103, BLINK] = 0.9
    steady = steady_eyes(expression, [(0, N)])
    assert np.array_equal(steady[:, JAW], expression[:, JAW].astype(np.float32))
    assert (steady[100:103, BLINK] > 0.85).all() and (steady[[98, 104], BLINK] < 0.15).all()
    assert steady[:95, BLINK].std() < 0.7 * expression[:95, BLINK].std()


def test_nothing_crosses_a_cut_or_fills_a_gap() -> None:
    turn = np.where(np.arange(N) < 100, -0.02, 0.02)
    expression = looking(turn) + np.random.default_rng(0).uniform(0, 1e-3, (N, len(ARKIT_NAMES)))
    expression[50:60] = np.nan
    steady = steady_eyes(expression, [(0, 100), (100, N)])
    assert np.isnan(steady[50:60]).all() and np.isfinite(np.delete(steady, range(50, 60), axis=0)).all()
    alone = steady_eyes(expression[:100], [(0, 100)])
    assert np.abs(np.nan_to_num(steady[:100] - alone)).max() < 5e-3
    assert steady_eyes(expression[:0], []).shape == (0, len(ARKIT_NAMES))
