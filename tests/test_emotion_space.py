"""Emotions as text and as tracks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aednerf.core.errors import InputError
from aednerf.core.records import EMOTIONS, Emotion
from aednerf.emotion.space import EASE_S, EmotionTrack, blend, parse

HAPPY, SAD = EMOTIONS.index("happy"), EMOTIONS.index("sad")


def test_label_and_mixture() -> None:
    assert parse("happy", 0.5) == Emotion.of("happy", 0.5)
    mixed = parse(" happy:0.6, sad:0.2 ")
    assert mixed.weights[HAPPY] == pytest.approx(0.75) and mixed.weights[SAD] == pytest.approx(0.25)
    assert mixed.vector().sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    "text",
    ["joy", "", "happy,", "happy:", "happy:x", "happy:-1", "happy:nan", "happy:0", "happy:1,happy:2", "happy:inf"],
)
def test_what_is_no_emotion_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError) as error:
        parse(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("intensity", [-0.1, 1.1, float("nan")])
def test_intensity_out_of_range_is_refused(intensity: float) -> None:
    with pytest.raises(InputError, match="intensity"):
        parse("happy", intensity)


def test_track_is_linear_between_keys_and_held_outside(tmp_path: Path) -> None:
    path = tmp_path / "track.json"
    keys = [{"t": 1.0, "emotion": {"happy": 1}, "intensity": 0.8}, {"t": 3.0, "emotion": "sad"}]
    path.write_text(json.dumps(keys))
    track = EmotionTrack.load(path)
    np.testing.assert_allclose(track.at(0.0), parse("happy", 0.8).vector())
    np.testing.assert_allclose(track.at(9.0), parse("sad").vector())
    halfway = track.at(2.0)
    assert halfway[HAPPY] == pytest.approx(0.4) and halfway[SAD] == pytest.approx(0.5)
    np.testing.assert_allclose(halfway, blend(parse("happy", 0.8), parse("sad"), 0.5).vector(), atol=1e-6)
    assert track.at(np.array([0.0, 2.0])).shape == (2, 8)


def test_an_eased_track_has_no_jumps_and_keeps_what_is_slow() -> None:
    jump = EmotionTrack((0.0, 2.0, 2.001, 6.0), (parse("happy"), parse("happy"), parse("sad"), parse("angry")))
    times = np.arange(0, 7, 0.04)
    eased, exact = jump.eased(times), jump.at(times)
    np.testing.assert_allclose(eased.sum(1), 1, atol=1e-6)
    assert np.abs(np.diff(eased, axis=0)).max() < 0.085 < 0.99 < np.abs(np.diff(exact, axis=0)).max()
    slow = (times < 2.0 - EASE_S / 2) | (np.abs(times - 4.0) < 1.0)
    np.testing.assert_allclose(eased[slow], exact[slow], atol=1e-6)
    np.testing.assert_array_equal(jump.eased(1.24), jump.eased(np.array([1.2, 1.24]))[1])
    constant = EmotionTrack.constant(parse("happy:3,sad:1", 0.7))
    np.testing.assert_array_equal(constant.eased(times), constant.at(times))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{}", "list"), ("[]", "list"), ("[1]", "key 0"), ('[{"t": 0}]', "key 0"), ("nonsense", "not valid JSON"),
        ('[{"t": 0, "emotion": {"joy": 1}}]', "joy"), ('[{"t": "x", "emotion": "sad"}]', "t of key 0"),
        ('[{"t": 0, "emotion": "sad", "intensity": 2}]', "intensity"), ('[{"t": 0, "emotion": {"sad": null}}]', "sad"),
        ('[{"t": 1, "emotion": "sad"}, {"t": 1, "emotion": "happy"}]', "rise"),
        ('[{"t": -1, "emotion": "sad"}]', "0 up"),
        ('[{"t": 0, "emotion": 3}]', "label"), ('[{"t": 0, "emotion": "sad", "strength": 1}]', "strength"),
    ],
)  # fmt: skip
def test_a_bad_track_file_is_refused_by_name(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "track.json"
    path.write_text(content)
    with pytest.raises(InputError, match=says) as error:
        EmotionTrack.load(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_missing_track_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        EmotionTrack.load(tmp_path / "none.json")


@given(st.lists(st.tuples(st.sampled_from(EMOTIONS), st.floats(0, 1)), min_size=1, max_size=5), st.floats(-5, 20))
def test_the_vector_is_always_a_mixture(keys: list[tuple[str, float]], time_s: float) -> None:
    emotions = tuple(Emotion.of(label, intensity) for label, intensity in keys)
    vector = EmotionTrack(tuple(float(i) for i in range(len(keys))), emotions).at(time_s)
    assert vector.min() >= 0 and vector.sum() == pytest.approx(1.0, abs=1e-5)
