"""Lips close where an m, b or p is heard, in voices that nobody was fitted to; else they are left alone."""

from __future__ import annotations

import numpy as np
import pytest

from aednerf import assets
from aednerf.avatar.bundle import load_bundle
from aednerf.avatar.restore import restore_voice
from aednerf.capture.capture import Capture
from aednerf.core.records import ARKIT_NAMES, Emotion, Motion
from aednerf.emotion.space import EmotionTrack
from aednerf.evaluation.articulation import CLOSED_SHARE, count_closures, wide_gap
from aednerf.evaluation.lip_gap import LipGap
from aednerf.face.model import FaceModel
from aednerf.motion.channels import JAW_OPEN, MOUTH_CLOSE, SNEER_COLUMNS
from aednerf.motion.closing import GAP_BY
from aednerf.motion.seal import LEAST_MM, REACH, SEALED_MM, SURE, UNSURE, Seal, sealing
from aednerf.synthetic import shipped
from aednerf.synthetic.chorus import HELD_OUT_VARIANTS
from aednerf.synthetic.lips import Lips
from aednerf.synthetic.voice import Voice, speak
from espeak import needs_espeak

TEXT = (
    "Bob maybe bought five new vans for Pam before the film. My mother prefers a very big apple pie. "
    "People from Europe often move above the bay in February. Please put my blue map back behind the pump."
)
N_COEFFICIENTS = len(ARKIT_NAMES)


def seal(most: float = 0.6) -> Seal:
    return Seal(np.zeros(N_COEFFICIENTS, np.float32), np.full(N_COEFFICIENTS, most, np.float32))


def talking(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 0.4, N_COEFFICIENTS).astype(np.float32)


def test_sealed_lips_nearly_touch_and_do_not_go_through_each_other() -> None:
    mean, mara = (None, Capture.open(shipped.shipped(shipped.CAPTURE_NAME)).tracking.identity)
    for identity in (mean, mara):
        gap_mm = 1e3 * Lips.of(FaceModel.load(assets.find("ict_facekit")).person(identity)).neutral_gap
        assert 0 <= gap_mm + SEALED_MM < 0.3


@pytest.mark.parametrize("seed", range(5))
def test_a_share_of_the_opening_is_taken_back(seed: int) -> None:
    face = talking(seed)
    face[[JAW_OPEN, MOUTH_CLOSE]] = 0.4, 0.0
    opening = face @ GAP_BY - SEALED_MM
    assert opening > 5
    for share in (0.0, 0.3, 1.0):
        closed = seal()(face, share)
        assert closed @ GAP_BY - SEALED_MM == pytest.approx((1 - share) * opening, abs=0.02)
        assert closed[MOUTH_CLOSE] <= closed[JAW_OPEN] and closed.min() >= 0 and closed.max() <= 0.6
        others = (np.abs(GAP_BY) < LEAST_MM) | np.isin(np.arange(N_COEFFICIENTS), SNEER_COLUMNS)
        np.testing.assert_array_equal(closed[others], face[others])


def test_a_person_closes_with_what_she_uses() -> None:
    """Coefficients that the recording never moved stay where they are; closed lips do so altogether."""
    high = np.zeros(N_COEFFICIENTS, np.float32)
    high[JAW_OPEN] = 0.6
    face = np.zeros(N_COEFFICIENTS, np.float32)
    face[JAW_OPEN] = 0.4
    closed = Seal(np.zeros_like(high), high)(face, 1.0)
    assert closed[JAW_OPEN] == 0 and not closed.any(), "the jaw alone, as far as it goes"
    pressed = np.zeros(N_COEFFICIENTS, np.float32)
    pressed[ARKIT_NAMES.index("mouthShrugLower")] = 0.3
    np.testing.assert_array_equal(seal()(pressed, 1.0), pressed)


def test_only_what_is_heard_surely_and_near_seals() -> None:
    def share(probability: float, frame: int, part: int = 0) -> float:
        heard = np.zeros((2 * REACH + 1, 2), np.float32)
        heard[frame, part] = probability
        return sealing(list(heard), REACH)

    assert share(1.0, REACH) == share(SURE, REACH, 1) == 1.0 and share(UNSURE, REACH) == 0.0
    assert share((UNSURE + SURE) / 2, REACH) == pytest.approx(0.5)
    shares = [share(1.0, frame, part) for frame in range(2 * REACH + 1) for part in range(2)]
    np.testing.assert_allclose(shares, shares[::-1])
    assert (np.diff(shares[: 2 * REACH + 1]) >= 0).all() and np.diff(shares).max() < 0.5, "it does not jump"
    assert shares[0] == 0, "what lies farther away cannot matter"
    assert sealing([np.zeros(1, np.float32)] * (REACH + 1), REACH) == 0.0


@needs_espeak
def test_lips_close_in_voices_that_nobody_was_fitted_to() -> None:
    voice = restore_voice(load_bundle(shipped.shipped(shipped.AVATAR_NAME)), "the shipped avatar")
    capture = Capture.open(shipped.shipped(shipped.CAPTURE_NAME))
    assert voice is not None
    gap_of = LipGap.of(capture.face)
    closed = CLOSED_SHARE * wide_gap(gap_of(capture.tracking.expression))
    counts = []
    for variant in HELD_OUT_VARIANTS[:4]:
        said = speak(TEXT, Voice(f"en-us+{variant}"))
        motion = Motion.concatenate(list(voice.generate([said.samples], EmotionTrack.constant(Emotion()))))
        counts.append(count_closures(gap_of(motion.expression), said.phonemes, closed))
    n, n_closed = np.sum(counts, axis=0)
    assert n > 100 and n_closed / n > 0.85, counts  # measured: 0.94
