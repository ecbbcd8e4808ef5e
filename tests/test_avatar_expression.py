"""What a user changes about the expression: scale, offset, mask, motion, and errors that name what was meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aednerf.avatar.avatar import Avatar
from aednerf.avatar.expression import parse_expression
from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES, Array, Motion
from aednerf.motion.files import save_motion
from aednerf.motion.generate import MotionGenerator
from fake_avatar import FakePerson, FakeVoice, fake_bundle
from motion_parts import N_EYES, babble, person, talkative

JAW, SMILE, BLINK, CLOSE, BROW = (
    ARKIT_NAMES.index(name) for name in ("jawOpen", "mouthSmileLeft", "eyeBlinkLeft", "mouthClose", "browInnerUp")
)
MEAN = np.eye(3, dtype=np.float32), np.array([0, 0, -1], np.float32)


def changed(spec: Any, expression: Array, first: int = 0) -> Array:
    edit = parse_expression(spec, *MEAN)
    assert edit is not None
    return edit.apply(expression, first)


def own(n: int, motion: Array) -> Motion:
    """A motion of n frames with an expression of 52."""
    return Motion(motion, np.zeros((n, 0), np.float32), np.tile(MEAN[0], (n, 1, 1)), np.tile(MEAN[1], (n, 1)))


def spoken(n: int = 4, value: float = 0.5) -> Array:
    return np.full((n, len(ARKIT_NAMES)), value, np.float32)


def test_scale_offset_and_mask_each_change_their_own_coefficients() -> None:
    spec = {
        "scale": {"jawOpen": 0.8, "mouthSmileLeft": 2},
        "offset": {"mouthSmileLeft": -0.25},
        "mask": ["eyeBlinkLeft"],
    }
    result = changed(spec, spoken())
    assert np.allclose(result[:, [JAW, SMILE, BLINK]], [0.4, 0.75, 0.0])
    # mouthClose is kept at most the jaw's opening, which the scale made smaller.
    assert np.allclose(result[:, CLOSE], 0.4)
    others = np.setdiff1d(np.arange(52), [JAW, SMILE, BLINK, CLOSE])
    assert np.array_equal(result[:, others], spoken()[:, others])


def test_an_offset_takes_a_masked_coefficient_over() -> None:
    assert np.allclose(changed({"mask": ["eyeBlinkLeft"], "offset": {"eyeBlinkLeft": 0.3}}, spoken())[:, BLINK], 0.3)


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_a_motion_beside_the_json_is_taken_over_for_the_masked_names_alone(tmp_path: Path, suffix: str) -> None:
    own_expression = spoken(3, 0.25)
    own_expression[:, BLINK] = (0.1, 0.2, 0.3)
    save_motion(tmp_path / f"own{suffix}", own(3, own_expression))
    path = tmp_path / "edit.json"
    path.write_text(json.dumps({"motion": f"own{suffix}", "mask": ["eyeBlinkLeft"]}))
    result = changed(path, spoken(5))
    assert np.allclose(result[:, BLINK], (0.1, 0.2, 0.3, 0.3, 0.3))
    assert np.array_equal(np.delete(result, BLINK, axis=1), np.delete(spoken(5), BLINK, axis=1))
    path.write_text(json.dumps({"motion": f"own{suffix}"}))
    assert np.allclose(changed(path, spoken(2))[:, [BLINK, BROW]], [[0.6, 0.75], [0.7, 0.75]])


def test_pieces_of_a_stream_go_on_in_the_motion() -> None:
    ramp = spoken(6, 0.0)
    ramp[:, BROW] = np.linspace(0, 0.5, 6)
    whole = changed(own(6, ramp), spoken(6, 0.25))
    parts = [changed(own(6, ramp), spoken(2, 0.25), first) for first in (0, 2, 4)]
    assert np.array_equal(np.concatenate(parts), whole) and np.allclose(whole[:, BROW], 0.25 + ramp[:, BROW])


def test_the_plain_form_is_offsets() -> None:
    assert np.array_equal(changed({"jawOpen": 0.25}, spoken()), changed({"offset": {"jawOpen": 0.25}}, spoken()))


@pytest.mark.parametrize(
    "spec, says",
    [
        ({"jawopen": 0.2}, "Did you mean jawOpen"),
        ({"offset": {"mouthSmile_L": 0.2}}, "Did you mean mouthSmileLeft"),
        ({"scale": {"BrowDown_R": 0.2}}, "Did you mean browDownRight"),
        ({"mask": ["eyeBlink"]}, "Did you mean eyeBlink"),
        ({"ofset": {"jawOpen": 1}}, "Did you mean offset"),
        ({"offset": {"smurf": 1}}, "Expected ARKit's names"),
        ({"offset": {"jawOpen": 1.5}}, r"offset must be a number in \[-1, 1\], got 1.5"),
        ({"scale": {"jawOpen": -0.5}}, r"scale must be a number in \[0, 4\], got -0.5"),
        ({"scale": {"jawOpen": 5}}, r"scale must be a number in \[0, 4\]"),
        ({"scale": {"jawOpen": True}}, "must be a number"),
        ({"scale": {"jawOpen": "wide"}}, "must be a number"),
        ({"offset": {"jawOpen": float("nan")}}, "must be a number"),
        ({"scale": 0.5}, "Expected names and values as scale"),
        ({"mask": "jawOpen"}, "list of names as mask"),
        ({"mask": [3]}, "Unknown expression 3"),
        ({"mask": ["jawOpen"], "scale": {"jawOpen": 2}}, "mask and in scale"),
        ({"scale": {}, "jawOpen": 1}, "put it into offset"),
        ({"scale": {}, "gain": 1}, "'gain' is no part"),
        ({"motion": "nowhere.npz"}, "nowhere.npz does not exist"),
        ({"motion": 3}, "name of a motion file"),
        ([1, 2], "expected names and values"),
    ],
)
def test_mistakes_are_named_with_what_was_meant(spec: Any, says: str, tmp_path: Path) -> None:
    path = tmp_path / "edit.json"
    path.write_text(json.dumps(spec))
    for source in (spec, path):
        with pytest.raises(InputError, match=says) as error:
            parse_expression(source, *MEAN)
        assert "\n" not in str(error.value)
    assert str(path.parent) in str(error.value)


def test_the_residual_is_left_out_where_it_would_tell_of_another_mouth() -> None:
    voice, samples = MotionGenerator(talkative(), person()), babble(16_000)
    avatar = Avatar(fake_bundle(), FakePerson(), voice)
    plain = avatar.speak(samples, blink=False).motion
    assert plain.residual[:, :-N_EYES].any() and not plain.residual[:, -N_EYES:].any()
    brows = avatar.speak(samples, blink=False, expression={"mask": ["eyeBlinkLeft"], "scale": {"browInnerUp": 0.5}})
    assert not brows.motion.expression[:, BLINK].any() and plain.expression[:, BLINK].any()
    assert np.array_equal(brows.motion.residual, plain.residual)
    assert not avatar.speak(samples, blink=False, expression={"scale": {"jawOpen": 0.5}}).motion.residual.any()


def test_the_edit_reaches_what_an_avatar_speaks() -> None:
    avatar, loud = Avatar(fake_bundle(), FakePerson(), FakeVoice()), np.full(6400, 0.25, np.float32)
    assert np.allclose(avatar.speak(loud, expression={"scale": {"jawOpen": 0.5}}).motion.expression[:, JAW], 0.25)
