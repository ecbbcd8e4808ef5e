"""Fitting a person's motion: it learns what the sound says, keeps out of the test part, and can do without sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from aednerf.capture.capture import Capture
from aednerf.core.records import ARKIT_NAMES, EMOTIONS, Emotion, Motion
from aednerf.emotion.space import EmotionTrack
from aednerf.motion.channels import JAW_OPEN
from aednerf.motion.generate import MotionGenerator
from aednerf.speech.phones import PHONES
from aednerf.training.motion import best_lag, fit_motion
from aednerf.training.motion_data import Take, moods_of, perturb_bundled, perturb_log_mel
from aednerf.training.motion_stats import measure
from tiny_capture import make_tiny_capture

NEUTRAL = EmotionTrack.constant(Emotion())


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return make_tiny_capture(tmp_path_factory.mktemp("fit") / "capture", size=16, n_frames=300, invalid=(40, 41))


def test_the_jaw_follows_the_sound_on_the_test_part(capture: Capture) -> None:
    torch.set_num_threads(1)
    steps: list[int] = []
    mouth, stats, record = fit_motion(
        capture, seed=0, steps=60, progress=lambda step, done, total, note="": steps.append(done)
    )
    audio = capture.audio(0)
    assert audio is not None and steps[-1] == 60
    motion = Motion.concatenate(list(MotionGenerator(mouth, stats).generate([audio], NEUTRAL)))
    spoken, tracked = (
        motion.expression[capture.test_frames, JAW_OPEN],
        capture.motion(capture.test_frames).expression[:, JAW_OPEN],
    )
    lag, correlation = best_lag(spoken, tracked)
    assert lag == 0 and correlation > 0.85
    assert 0.7 < spoken.std() / tracked.std() < 1.3
    assert record["kind"] == "network" and record["jaw_correlation"] > 0.85
    silent = Motion.concatenate(list(MotionGenerator(mouth, stats).generate([np.zeros(32000, np.float32)], NEUTRAL)))
    assert silent.expression[:, JAW_OPEN].max() < 0.15


def test_the_test_part_is_never_seen(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = fit_motion(capture, steps=2)
    tracking, audio = capture.tracking, capture.audio(0)
    assert audio is not None
    spoilt, end = audio.copy(), capture.clips[0].train_end
    spoilt[end * 640 :] = 0.9
    monkeypatch.setattr(capture, "audio", lambda _: spoilt)
    kept = tracking.expression[end:].copy()
    try:
        tracking.expression[end:] = 1 - kept
        found = fit_motion(capture, steps=2)
    finally:
        tracking.expression[end:] = kept
    for name, value in wanted[0].state_dict().items():
        torch.testing.assert_close(found[0].state_dict()[name], value, rtol=0, atol=0)
    for name, array in wanted[1].to_arrays().items():
        np.testing.assert_array_equal(found[1].to_arrays()[name], array)


def test_a_silent_capture_gets_a_generic_mouth_and_says_so(tmp_path: Path) -> None:
    capture = make_tiny_capture(tmp_path / "silent", size=16, n_frames=33, clips=6, with_audio=False)
    mouth, stats, record = fit_motion(capture)
    assert record["kind"] == "generic" and "Add a clip with sound" in record["warning"]
    happy, smile = EMOTIONS.index("happy"), ARKIT_NAMES.index("mouthSmileLeft")
    assert stats.emotion_offset[happy, smile] == pytest.approx(0.7, abs=0.02)
    assert not stats.emotion_offset[:, JAW_OPEN].any()
    motion = Motion.concatenate(list(MotionGenerator(mouth, stats).generate([np.zeros(6400, np.float32)], NEUTRAL)))
    assert len(motion) == 10 and motion.expression[:, JAW_OPEN].max() < 0.1


def test_statistics_say_what_was_recorded(capture: Capture) -> None:
    stats, train = measure(capture), capture.motion(capture.train_frames)
    assert stats.rest[JAW_OPEN] < 0.02
    np.testing.assert_allclose(stats.mean_translation, train.translation.mean(0), atol=1e-6)
    rate, left, right = stats.blink
    assert rate == pytest.approx(60 * 25 / 40, rel=0.2) and left > 0.6 and right > 0.6
    assert stats.idle[:, 6:].max() < 0.2, "the blinks are not taken out of the pool"
    assert stats.idle_starts.tolist() == [0, 40]


def test_a_cut_starts_a_new_stretch_and_a_nod_does_not(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    translation = capture.tracking.translation
    kept = translation.copy()
    try:
        translation[150:] += 0.03
        assert measure(capture).idle_starts.tolist() == [0, 40, 148]
    finally:
        translation[:] = kept


def test_a_head_that_shows_its_sides_does_not_idle_so(capture: Capture) -> None:
    rotation = capture.tracking.rotation
    kept, plain = rotation.copy(), measure(capture)
    try:
        for frame in range(100, 110):
            rotation[frame] = Rotation.from_euler("y", 34, degrees=True).as_matrix() @ kept[frame]
        stats = measure(capture)
    finally:
        rotation[:] = kept
    assert stats.idle_starts.tolist() == [0, 40, 73]
    assert len(stats.idle) == len(plain.idle) - 60
    assert np.abs(stats.idle[:, :3]).max() < 1.5 * np.abs(plain.idle[:, :3]).max()


def test_perturbing_changes_features_only_and_stays_above_the_floor() -> None:
    inputs = torch.rand(3, 20, 328) * 3 - 3
    changed = perturb_log_mel(inputs, torch.Generator().manual_seed(0))
    assert changed.shape == inputs.shape
    torch.testing.assert_close(changed[..., 320:], inputs[..., 320:], rtol=0, atol=0)
    assert changed[..., :320].min() >= -3 and (changed - inputs).abs().mean() > 0.05


@pytest.mark.parametrize("seed", range(3))
def test_perturbing_what_was_heard_leaves_probabilities_and_loudness(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    steps = torch.cat([torch.softmax(4 * torch.randn(3, 40, 42), -1), 3 * torch.rand(3, 40, 20)], dim=-1)
    steps[0, :10, 42:] = 0
    inputs = torch.cat([steps.reshape(3, 20, 124), torch.rand(3, 20, 8)], dim=-1)
    changed = perturb_bundled(inputs, generator)
    assert changed.shape == inputs.shape
    torch.testing.assert_close(changed[..., 124:], inputs[..., 124:], rtol=0, atol=0)
    sounds, loudness = changed[..., :124].reshape(3, 40, 62).split([42, 20], dim=-1)
    torch.testing.assert_close(sounds.sum(-1), torch.ones(3, 40))
    assert sounds.min() >= 0 and loudness.min() >= 0
    assert (sounds - steps[..., :42]).abs().sum(-1).mean() > 0.1
    # A sound gives of its share to those that look the same, hardly to others.
    pure = torch.zeros(64, 20, 124 + 8).index_fill_(-1, torch.tensor([PHONES.index("b"), 62 + PHONES.index("b")]), 1.0)
    heard = perturb_bundled(pure, generator)[..., :42].mean((0, 1))
    labials = heard[[PHONES.index(phone) for phone in "pbm"]]
    assert labials.sum() > 0.7 and labials.min() > 0.05


@pytest.mark.parametrize("lag", [-3, 0, 4])
def test_best_lag_finds_the_shift(lag: int) -> None:
    signal = np.random.default_rng(0).standard_normal(200).astype(np.float32)
    leader, follower = signal[10:150], signal[10 - lag : 150 - lag]
    found, correlation = best_lag(follower, leader)
    assert found == lag and correlation == pytest.approx(1.0)


def test_the_mouth_takes_on_the_emotion_of_the_clips() -> None:
    column = 3
    neutral, happy = Emotion().vector(), Emotion.of("happy", 0.5).vector()
    target = np.random.default_rng(0).uniform(0, 0.2, (40, 6)).astype(np.float32)
    smiling = target + 0.3 * (np.arange(6) == column)
    quiet = np.arange(40) >= 30
    takes = [
        Take(np.zeros(40 * 640, np.float32), each.astype(np.float32), np.ones(40, bool), quiet, emotion)
        for each, emotion in ((target, neutral), (smiling, happy))
    ]
    moods = moods_of(takes)
    np.testing.assert_allclose(moods[EMOTIONS.index("happy")], 0.6 * (np.arange(6) == column), atol=1e-6)
    assert not moods[[i for i, name in enumerate(EMOTIONS) if name != "happy"]].any()
    rest = np.full(6, 0.1, np.float32)
    np.testing.assert_allclose(takes[1].resting(rest, moods).target[30:, column], 0.4, atol=1e-6)
    np.testing.assert_allclose(takes[0].resting(rest, moods).target[30:], 0.1, atol=1e-6)
    assert not moods_of(takes[1:]).any()
