"""A whole performance on the mesh: lips that close, lids that shut, emotions that show, motion without jumps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aednerf.core.records import ARKIT_NAMES, EMOTIONS
from aednerf.core.units import FPS, SAMPLES_PER_FRAME
from aednerf.face.model import IBUG68_VERTICES, LOOK_SIDE_RAD, FaceModel, PersonPoints, eye_rotation
from aednerf.face.pose import angles_from_rotation
from aednerf.speech.phoneme import SILENCE
from aednerf.synthetic.feeling import ACTIONS
from aednerf.synthetic.gaze import BLINK_PROFILES, Lids
from aednerf.synthetic.lips import INNER_LOWER, INNER_UPPER, Lips
from aednerf.synthetic.performance import Performance, landmarks_of, perform
from aednerf.synthetic.person import PEOPLE
from aednerf.synthetic.script import Line, Script
from aednerf.synthetic.voice import Voice
from espeak import needs_espeak

TEXT = "Maybe Bob put five big plums above my van."
SCRIPT = Script("test", "mara", tuple(Line(TEXT, label, 1.0) for label in EMOTIONS), Voice("en-us+f3"), seed=5, size=64)

LARGEST_STEP = {"eyeBlink": 0.75, "eyeWide": 0.60, "eyeSquint": 0.40, "eyeLook": 0.40, "brow": 0.16, "jaw": 0.36}
"""By how much a coefficient may change from frame to frame, by the start of its name; a blink closes in two frames."""

MOUTH_STEP = 0.5

pytestmark = needs_espeak


@pytest.fixture(scope="module")
def model(assets) -> FaceModel:
    return FaceModel.load(assets / "ict_facekit_light.npz")


@pytest.fixture(scope="module", params=sorted(PEOPLE))
def face(request, model) -> PersonPoints:
    return model.person(PEOPLE[request.param].weights())


@pytest.fixture(scope="module")
def performance(face) -> Performance:
    return perform(SCRIPT, face)


def column(performance: Performance, name: str) -> np.ndarray:
    return performance.motion.expression[:, ARKIT_NAMES.index(name)]


def lip_gap(performance: Performance, face: PersonPoints) -> np.ndarray:
    points = face.pick(np.array(IBUG68_VERTICES)).at(performance.motion.expression)
    return np.linalg.norm(points[:, INNER_UPPER] - points[:, INNER_LOWER], axis=-1).mean(1)


def test_sound_motion_and_clips_are_equally_long(performance):
    n = len(performance)
    assert len(performance.samples) == n * SAMPLES_PER_FRAME and performance.breath.shape == (n,)
    assert performance.motion.residual.shape == (n, 0)
    assert [clip.emotion for clip in performance.clips] == list(EMOTIONS)
    edges = [0, *(clip.end for clip in performance.clips)]
    assert edges[:-1] == [clip.first for clip in performance.clips] and edges[-1] == n
    for one, following in zip(performance.phonemes[:-1], performance.phonemes[1:], strict=True):
        assert one.start_s < one.end_s == pytest.approx(following.start_s, abs=1e-9)
    assert performance.phonemes[-1].end_s == pytest.approx(n / FPS)


def test_the_mouth_moves_with_the_sound(performance):
    opening = column(performance, "jawOpen") - column(performance, "mouthClose")
    loudness = np.sqrt(np.square(performance.samples.reshape(len(performance), -1)).mean(1))
    correlation = [np.corrcoef(opening[5 + lag : lag - 5 or None][: len(opening) - 10], loudness[5:-5])[0, 1]
                   for lag in range(-5, 5)]  # fmt: skip
    assert abs(int(np.argmax(correlation)) - 5) <= 1


def test_lips_close_in_every_emotion(performance, face):
    gap = lip_gap(performance, face)
    closed = 0.1 * np.percentile(gap, 95)
    checked = set()
    for sound in performance.phonemes:
        if sound.name[0] in "mbp":
            at = round((sound.start_s if sound.name[0] != "m" else (sound.start_s + sound.end_s) / 2) * FPS - 0.5)
            assert gap[max(0, at - 2) : at + 3].min() < closed, sound
            checked.add(next(c.emotion for c in performance.clips if c.first <= at < c.end))
    assert checked == set(EMOTIONS)


def test_lips_never_pass_through_each_other_and_the_jaw_bounds_the_closing(performance, face):
    assert Lips.of(face).gap(performance.motion.expression.astype(float)).min() > -1e-4
    assert (column(performance, "mouthClose") <= column(performance, "jawOpen") + 1e-6).all()


def test_the_lower_lip_reaches_the_teeth(performance, face):
    lips = Lips.of(face)
    height = lips.height(performance.motion.expression.astype(float))
    for sound in performance.phonemes:
        if sound.name in ("f", "v"):
            at = round((sound.start_s + sound.end_s) / 2 * FPS - 0.5)
            assert np.abs(height[max(0, at - 2) : at + 3] - lips.teeth_edge).min() < 0.001, sound


def test_lids_shut_in_blinks_at_a_human_rate(performance, face):
    opening = Lids.of(landmarks_of(face)).opening(performance.motion.expression.astype(float))
    shut = (opening < 0.0004).all(1)
    starts = np.flatnonzero(np.diff(shut.astype(int)) == 1)
    assert 8 < len(starts) / len(performance) * FPS * 60 < 35
    assert opening.min() > -1e-4
    assert all(4 <= len(profile) <= 6 and max(profile) == 1 for profile in BLINK_PROFILES)


def test_coefficients_stay_in_range_and_do_not_jump(performance):
    expression = performance.motion.expression
    assert np.isfinite(expression).all() and expression.min() >= 0 and expression.max() <= 1
    steps = np.abs(np.diff(expression, axis=0)).max(0)
    for name, step in zip(ARKIT_NAMES, steps, strict=True):
        bound = next((value for start, value in LARGEST_STEP.items() if name.startswith(start)), MOUTH_STEP)
        assert step <= bound, f"{name} jumps by {step:.2f}"


def test_the_head_moves_as_heads_do(performance):
    yaw, pitch, roll = np.rad2deg(angles_from_rotation(performance.motion.rotation)).T
    assert 20 < np.ptp(yaw) < 60 and 5 < np.ptp(pitch) < 25 and 2 < np.ptp(roll) < 16
    assert np.abs(np.diff(np.stack([yaw, pitch, roll]))).max() < 3.5
    assert np.linalg.norm(np.diff(performance.motion.translation, axis=0), axis=1).max() < 0.012
    assert np.ptp(performance.breath) > 0.5 and np.abs(np.diff(performance.breath)).max() < 0.1


def test_a_line_that_looks_around_shows_every_side_and_no_other_does(face):
    text = "See me from the left, and from the right, then from below and above."
    lines = tuple(Line(text, looks_around=looks) for looks in (False, True, False))
    motion = perform(replace(SCRIPT, lines=lines), face).motion
    yaw, pitch, _ = np.rad2deg(angles_from_rotation(motion.rotation)).T
    first, end = len(motion) // 3 - 5, 2 * len(motion) // 3 + 5
    assert yaw[first:end].max() > 30 and yaw[first:end].min() < -30
    assert pitch[first:end].max() > 9 and pitch[first:end].min() < -9
    assert max(np.abs(yaw[:first]).max(), np.abs(yaw[end:]).max()) < 30
    assert np.abs(np.diff(np.stack([yaw, pitch]))).max() < 6


def test_emotions_show_where_the_script_has_them(performance):
    means = {}
    for clip in performance.clips:
        part = performance.motion.expression[clip.first + FPS : clip.end]
        means[clip.emotion] = dict(zip(ARKIT_NAMES, part.mean(0), strict=True))
    strongest = {
        "happy": "mouthSmileLeft", "sad": "mouthFrownLeft", "angry": "browDownLeft", "surprised": "eyeWideLeft",
        "fear": "mouthStretchLeft", "disgusted": "noseSneerLeft", "contempt": "mouthDimpleLeft",
    }  # fmt: skip
    for label, name in strongest.items():
        assert means[label][name] > means["neutral"][name] + 0.2, label
        ranked = sorted(means, key=lambda other: means[other][name], reverse=True)
        assert label in ranked[:2], (label, ranked)
    assert means["contempt"]["mouthDimpleLeft"] > 3 * means["contempt"]["mouthDimpleRight"]
    assert set(ACTIONS) == set(EMOTIONS)


def test_the_gaze_rests_on_the_camera_while_the_head_turns(performance, face):
    motion = performance.motion
    forward = np.einsum("tij,tj->ti", motion.rotation, eye_rotation(motion.expression, "Left")[:, :, 2])
    position = motion.rotation @ face.eye_centres[0] + motion.translation
    to_camera = -position / np.linalg.norm(position, axis=1, keepdims=True)
    off = np.rad2deg(np.arccos(np.clip((forward * to_camera).sum(1), -1, 1)))
    assert np.median(off) < 3 and np.percentile(off, 95) < 20
    assert np.rad2deg(LOOK_SIDE_RAD) > 20


def test_the_same_script_is_the_same_performance_and_another_seed_is_not(model):
    face = model.person(PEOPLE["mara"].weights())
    short = Script("short", "mara", SCRIPT.lines[:2], SCRIPT.voice, seed=1)
    first, second = perform(short, face), perform(short, face)
    for name in ("expression", "rotation", "translation"):
        assert np.array_equal(getattr(first.motion, name), getattr(second.motion, name)), name
    assert np.array_equal(first.samples, second.samples) and np.array_equal(first.breath, second.breath)
    other = perform(Script("short", "mara", SCRIPT.lines[:2], SCRIPT.voice, seed=2), face)
    assert not np.array_equal(first.motion.rotation, other.motion.rotation)
    assert np.array_equal(first.samples, other.samples)


def test_the_lips_meet_while_nothing_is_said(performance, face):
    gap = lip_gap(performance, face)
    pause = next(p for p in performance.phonemes if p.name == SILENCE)
    assert gap[round((pause.start_s + 0.08) * FPS)] < 0.0025
