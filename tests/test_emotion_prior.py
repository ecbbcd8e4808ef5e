"""The prior of emotions: what the literature says, and only where the recording says nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aednerf.core.records import ARKIT_NAMES, EMOTIONS
from aednerf.emotion.prior import GAIN_RANGE, PROTOTYPES, expressiveness, for_person, prior
from aednerf.motion.channels import BLINK_COLUMNS, JAW_OPEN, MOUTH_CLOSE, SPEECH_COLUMNS
from aednerf.motion.closing import GAP_BY
from aednerf.training.motion_stats import measure
from tiny_capture import make_tiny_capture

FELT = [label for label in EMOTIONS if label != "neutral"]
N = len(ARKIT_NAMES)


def test_every_emotion_has_a_face_of_its_own() -> None:
    assert list(PROTOTYPES) == list(EMOTIONS) and not prior("neutral").any()
    faces = np.stack([prior(label) for label in FELT])
    assert (np.linalg.norm(faces, axis=1) > 0.9).all() and faces.max() <= 1
    unit = faces / np.linalg.norm(faces, axis=1, keepdims=True)
    alike = unit @ unit.T - np.eye(len(FELT))
    assert alike.max() < 0.85  # fear and surprise share brows and lids


@pytest.mark.parametrize("label", FELT)
def test_the_mouth_is_left_to_speech(label: str) -> None:
    face = prior(label)
    assert not face[[JAW_OPEN, MOUTH_CLOSE, *BLINK_COLUMNS]].any()
    # Lips parted by a raised upper one (disgust; contempt on one side) or by both (anger, fear), in millimetres.
    assert face @ GAP_BY < {"disgusted": 7.0, "angry": 5.2, "fear": 3.8, "contempt": 3.0}.get(label, 0.1)


def test_contempt_is_one_sided_and_the_others_are_not() -> None:
    left = [i for i, name in enumerate(ARKIT_NAMES) if name.endswith("Left")]
    right = [ARKIT_NAMES.index(ARKIT_NAMES[i].replace("Left", "Right")) for i in left]
    for label in FELT:
        assert (prior(label)[left] == prior(label)[right]).all() == (label != "contempt")


def test_a_face_shows_all_of_it_as_far_as_coefficients_go() -> None:
    for label in FELT:
        np.testing.assert_allclose(for_person(label, np.zeros(N, np.float32)), prior(label), atol=1e-6)
    tense = np.full(N, 0.9, np.float32)
    assert (tense + for_person("sad", tense)).max() <= 1 + 1e-6
    np.testing.assert_allclose(for_person("sad", np.zeros(N, np.float32), 0.5), 0.5 * prior("sad"), atol=1e-6)


def test_what_was_recorded_tells_how_expressive_the_person_is() -> None:
    assert expressiveness({}) == 1.0 and expressiveness({"happy": np.zeros(N, np.float32)}) == 1.0
    assert expressiveness({"happy": 0.8 * prior("happy"), "sad": 0.8 * prior("sad")}) == pytest.approx(0.8)
    assert expressiveness({"happy": 5 * prior("happy")}) == GAIN_RANGE[1]
    assert expressiveness({"happy": -prior("happy")}) == GAIN_RANGE[0]


def test_a_neutral_recording_still_shows_all_seven(tmp_path: Path) -> None:
    capture = make_tiny_capture(tmp_path / "neutral", size=16, n_frames=60)
    offsets = measure(capture).emotion_offset
    assert not offsets[0].any()
    for row, label in enumerate(EMOTIONS[1:], start=1):
        along = offsets[row] @ prior(label) / np.linalg.norm(offsets[row]) / np.linalg.norm(prior(label))
        assert along > 0.99 and np.linalg.norm(offsets[row]) >= 0.55 * np.linalg.norm(prior(label))
    assert not offsets[:, [JAW_OPEN, MOUTH_CLOSE, *BLINK_COLUMNS]].any()


def test_what_was_recorded_is_not_replaced(tmp_path: Path) -> None:
    capture = make_tiny_capture(tmp_path / "six", size=16, n_frames=33, clips=6)  # neutral to happy
    offsets = measure(capture).emotion_offset
    for row, label in enumerate(EMOTIONS):
        if row < 6:  # the mouth of what was heard is the network's
            assert not offsets[row][SPEECH_COLUMNS].any()
        else:
            assert offsets[row] @ prior(label) > 0.2
