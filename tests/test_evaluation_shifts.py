"""Emotional shifts: measured exactly where they are known, and of the shipped avatar as strong as her recording's."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from aednerf.avatar.bundle import load_bundle
from aednerf.avatar.restore import restore_voice
from aednerf.capture.capture import Capture
from aednerf.core.records import ARKIT_NAMES, EMOTIONS
from aednerf.emotion.space import EmotionTrack, parse
from aednerf.evaluation.shifts import (
    INTENSITIES,
    cosine,
    length_ratio,
    progress_along,
    rank_correlation,
    recorded_shifts,
)
from aednerf.media.audio import load_audio
from aednerf.synthetic import shipped
from tiny_capture import make_tiny_capture

FELT = [label for label in EMOTIONS if label != "neutral"]


def test_a_recording_tells_its_shifts(tmp_path: Path) -> None:
    shifts = recorded_shifts(make_tiny_capture(tmp_path / "six", size=16, n_frames=33, clips=6))
    assert set(shifts) == set(EMOTIONS[1:6])
    assert shifts["happy"][ARKIT_NAMES.index("mouthSmileLeft")] == pytest.approx(0.7, abs=1e-6)
    assert recorded_shifts(make_tiny_capture(tmp_path / "one", size=16, n_frames=22)) == {}


def test_cosine_length_and_progress() -> None:
    along = np.zeros(52)
    along[ARKIT_NAMES.index("mouthSmileLeft")] = 0.5
    across = np.zeros(52)
    across[ARKIT_NAMES.index("browInnerUp")] = 0.5
    blink = np.zeros(52)
    blink[ARKIT_NAMES.index("eyeBlinkLeft")] = 9.0
    assert cosine(2 * along + blink, along) == pytest.approx(1) and length_ratio(2 * along, along) == pytest.approx(2)
    assert cosine(along + across, along) == pytest.approx(math.sqrt(0.5))
    assert progress_along(0.3 * along + across, along) == pytest.approx(0.3)
    assert all(math.isnan(measure(along, 0 * along)) for measure in (cosine, length_ratio, progress_along))


def test_the_rank_correlation_is_spearmans() -> None:
    rising = np.arange(11) ** 2.0
    assert rank_correlation(rising) == 1 and rank_correlation(-rising) == -1
    swapped = rising.copy()
    swapped[[4, 5]] = swapped[[5, 4]]
    assert rank_correlation(swapped) == pytest.approx(1 - 6 * 2 / (11 * 120))
    assert math.isnan(rank_correlation(np.ones(11))) and math.isnan(rank_correlation(np.full(11, np.nan)))


@pytest.mark.parametrize("label", FELT)
def test_the_shipped_avatar_shows_what_was_recorded_step_by_step(label: str) -> None:
    voice = restore_voice(load_bundle(shipped.shipped(shipped.AVATAR_NAME)), "the shipped avatar")
    assert voice is not None
    sound = load_audio(shipped.shipped(shipped.SENTENCE_NAME))
    reference = recorded_shifts(Capture.open(shipped.shipped(shipped.CAPTURE_NAME)))[label]

    def mean(emotion: str, intensity: float) -> np.ndarray:
        motions = voice.generate([sound], EmotionTrack.constant(parse(emotion, intensity)), blink=False)
        return np.concatenate([motion.expression for motion in motions]).mean(0, dtype=np.float64)

    neutral = mean("neutral", 1.0)
    shifts = [mean(label, intensity) - neutral for intensity in INTENSITIES]
    # Measured: cosine 0.97 to 1.00, length ratio 1.01 to 1.08.
    assert cosine(shifts[-1], reference) > 0.93 and 0.85 < length_ratio(shifts[-1], reference) < 1.25
    assert (np.diff([progress_along(shift, reference) for shift in shifts]) > 0).all()
