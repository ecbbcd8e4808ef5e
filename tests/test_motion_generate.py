"""Sound to motion: exact under any cutting, bounded, deterministic, and answering to its options."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES, EMOTIONS, Emotion, Motion
from aednerf.core.units import FPS, frames_for_samples
from aednerf.emotion.space import EASE_S, EmotionTrack, parse
from aednerf.motion.channels import BLINK_COLUMNS, JAW_OPEN, MOUTH_CLOSE, SPEECH_COLUMNS
from aednerf.motion.generate import SLOW_COLUMNS, MotionGenerator, MotionOptions, make_mouth
from aednerf.motion.generic import GenericMouth
from aednerf.motion.network import MotionConfig, MotionNetwork
from aednerf.motion.statistics import MotionStats
from aednerf.speech.features import log_mel
from motion_parts import babble, person, talkative

NEUTRAL = EmotionTrack.constant(Emotion())
TRACK = EmotionTrack((0.0, 0.4), (Emotion(), parse("happy")))


def whole(samples: np.ndarray, track: EmotionTrack = NEUTRAL, **options: Any) -> Motion:
    return Motion.concatenate(list(MotionGenerator(talkative(), person()).generate([samples], track, **options)))


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 12000), cuts=st.lists(st.integers(0, 12000), max_size=6),
    offset_s=st.sampled_from([0.0, 0.11, -0.3, 1.5, -1.5]),
)  # fmt: skip
def test_any_cutting_gives_the_same_bits(n: int, cuts: list[int], offset_s: float) -> None:
    samples = babble(n)
    bounds = [0, *sorted(min(cut, n) for cut in cuts), n]
    pieces = [samples[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]
    generator = MotionGenerator(talkative(), person())
    cut = Motion.concatenate(list(generator.generate(pieces, TRACK, audio_offset_s=offset_s)))
    at_once = whole(samples, TRACK, audio_offset_s=offset_s)
    assert len(cut) == frames_for_samples(n)
    for field in dataclasses.fields(Motion):
        np.testing.assert_array_equal(getattr(cut, field.name), getattr(at_once, field.name))


def test_frames_come_out_after_the_stated_look_ahead() -> None:
    generator = MotionGenerator(talkative(), person())
    stream = generator.stream(NEUTRAL)
    needed = 640 + round(generator.lookahead_s * 16000)
    assert len(stream.push(babble(needed - 1))) == 0
    assert len(stream.push(babble(1))) == 1


def test_nothing_after_the_look_ahead_changes_what_came_before() -> None:
    samples, frame = babble(32000), 20
    end = (frame + 1) * 640 + round(MotionGenerator(talkative(), person()).lookahead_s * 16000)
    later, sooner = samples.copy(), samples.copy()
    later[end:] = sooner[end - 160 :] = 0.9
    before, unmoved, moved = (whole(each).expression for each in (samples, later, sooner))
    np.testing.assert_array_equal(unmoved[: frame + 1], before[: frame + 1])
    assert np.abs(moved[frame] - before[frame]).max() > 1e-4, "it looks less far ahead than it says"


def test_the_way_around_the_layers_keeps_to_the_frame() -> None:
    """With layers that add nothing, a frame's face is made of its own row alone."""
    network = make_mouth(MotionConfig())
    assert isinstance(network, MotionNetwork)
    torch.nn.init.normal_(network.leave.weight)
    for layer in network.layers:
        torch.nn.init.zeros_(layer.mix.weight)  # type: ignore[arg-type, union-attr]
        torch.nn.init.zeros_(layer.mix.bias)  # type: ignore[arg-type, union-attr]
    window = torch.zeros(network.config.window, 328)
    still = network.frame(window)[0]
    for row in range(len(window)):
        changed = window.clone()
        changed[row, :320] = 1.0
        assert torch.equal(network.frame(changed)[0], still) == (row != network.config.past)


def test_no_sound_gives_no_motion() -> None:
    assert list(MotionGenerator(talkative(), person()).generate([np.zeros(0, np.float32)], NEUTRAL)) == []


def test_streaming_agrees_with_the_batched_network() -> None:
    samples, network = babble(16000), talkative()
    motion, config = whole(samples), network.config
    rows = np.concatenate([log_mel(samples), np.tile(NEUTRAL.at(0.0), (25, 1))], axis=1)
    with torch.no_grad():
        driven = network.calibrated(network(torch.from_numpy(rows)[None])[0]).numpy()
    middle = slice(config.past, 25 - config.lookahead)
    free = [i for i, column in enumerate(SPEECH_COLUMNS) if column not in (MOUTH_CLOSE, *SLOW_COLUMNS)]
    np.testing.assert_allclose(motion.expression[middle][:, SPEECH_COLUMNS[free]], driven[:, free], atol=1e-5)


def test_the_motion_is_bounded_and_proper() -> None:
    motion = whole(babble(48000), TRACK, mouth_gain=3.0)
    assert motion.expression.min() >= 0 and motion.expression.max() <= 1
    assert (motion.expression[:, MOUTH_CLOSE] <= motion.expression[:, JAW_OPEN]).all()
    assert motion.residual.min() >= -1 and motion.residual.max() <= 0.6
    np.testing.assert_allclose(np.linalg.det(motion.rotation), 1, atol=1e-5)


def test_the_gain_scales_about_the_rest_pose() -> None:
    samples, rest = babble(16000), person().rest[JAW_OPEN]
    once, twice, still = (whole(samples, mouth_gain=gain).expression[:, JAW_OPEN] for gain in (1.0, 2.0, 0.0))
    np.testing.assert_allclose(twice, np.clip(rest + 2 * (once - rest), 0, 1), atol=1e-6)
    np.testing.assert_allclose(still, rest, atol=1e-6)


def test_a_positive_offset_moves_the_lips_earlier() -> None:
    samples = babble(32000)
    plain, shifted = (whole(samples, audio_offset_s=offset).expression[:, JAW_OPEN] for offset in (0.0, 0.2))
    # The speaker's level is not known equally well at both, so the beginning differs a little.
    np.testing.assert_allclose(shifted[20:35], plain[25:40], atol=0.02)
    assert np.abs(plain[20:35] - plain[25:40]).max() > 0.05


def test_an_emotion_is_added_as_strongly_as_asked() -> None:
    samples, smile = babble(16000), ARKIT_NAMES.index("mouthSmileLeft")
    network = talkative()
    torch.nn.init.zeros_(network.emotion.weight)
    generator = MotionGenerator(network, person())
    tracks = [EmotionTrack.constant(parse("happy", intensity)) for intensity in (0.0, 0.5, 1.0)]
    none, half, full = (
        Motion.concatenate(list(generator.generate([samples], track))).expression[:, smile] for track in tracks
    )
    np.testing.assert_allclose(half - none, 0.25, atol=1e-5)
    np.testing.assert_allclose(full, np.minimum(none + 0.5, 1), atol=1e-5)


def test_a_mixture_lies_between_its_emotions() -> None:
    stats, network = person(), talkative()
    torch.nn.init.zeros_(network.emotion.weight)
    stats.emotion_offset[EMOTIONS.index("sad"), ARKIT_NAMES.index("browInnerUp")] = 0.4
    generator = MotionGenerator(network, stats)
    tracks = [EmotionTrack.constant(parse(text)) for text in ("happy", "sad", "happy:3,sad:1")]
    happy, sad, mixed = (
        Motion.concatenate(list(generator.generate([babble(16000)], track))).expression for track in tracks
    )
    brow = ARKIT_NAMES.index("browInnerUp")
    assert (sad[:, brow] > happy[:, brow] + 0.3).all()
    unclipped = ((happy > 0) & (happy < 1) & (sad > 0) & (sad < 1)).all(0)
    unclipped[MOUTH_CLOSE] = False
    assert unclipped.sum() > 20
    np.testing.assert_allclose(mixed[:, unclipped], (0.75 * happy + 0.25 * sad)[:, unclipped], atol=1e-5)


def test_a_jump_of_the_emotion_is_no_jump_of_the_face() -> None:
    smile, silence = ARKIT_NAMES.index("mouthSmileLeft"), np.zeros(16000 * 4, np.float32)
    network = talkative()
    torch.nn.init.zeros_(network.emotion.weight)
    jump = EmotionTrack((2.0, 2.001), (Emotion(), parse("happy")))
    motion = Motion.concatenate(list(MotionGenerator(network, person()).generate([silence], jump, blink=False)))
    value = motion.expression[:, smile] - motion.expression[0, smile]
    assert np.abs(value[:35]).max() < 1e-4 and np.abs(value[65:] - 0.5).max() < 1e-4
    assert np.diff(value).max() <= 0.5 * 2 / EASE_S / FPS * 1.01  # a Hann window's steepest slope


def test_cheeks_follow_slowly() -> None:
    network, samples = talkative(4), babble(16000 * 3)
    cheek = ARKIT_NAMES.index("cheekSquintLeft")
    spoken = Motion.concatenate(list(MotionGenerator(network, person()).generate([samples], NEUTRAL))).expression
    rows = np.concatenate([log_mel(samples), np.tile(NEUTRAL.at(0.0), (75, 1))], axis=1)
    with torch.no_grad():
        driven = network.calibrated(network(torch.from_numpy(rows)[None])[0]).numpy()
    wanted = np.clip(driven[:, SPEECH_COLUMNS.tolist().index(cheek)], 0, 1)[network.config.past :]
    steps = np.abs(np.diff(spoken[network.config.past :, cheek]))
    assert 0.005 < steps.max() < 0.5 * np.abs(np.diff(wanted)).max()


def test_the_seed_decides_and_blinks_can_be_left_out() -> None:
    samples = np.zeros(16000 * 9, np.float32)
    first, same, other, open_eyed = (
        whole(samples, seed=seed, blink=blink) for seed, blink in ((1, True), (1, True), (2, True), (1, False))
    )
    np.testing.assert_array_equal(first.rotation, same.rotation)
    assert np.abs(first.rotation - other.rotation).max() > 1e-3
    assert first.expression[:, BLINK_COLUMNS].max() > 0.75 > 0.3 > open_eyed.expression[:, BLINK_COLUMNS].max()
    others = np.setdiff1d(np.arange(52), BLINK_COLUMNS)
    np.testing.assert_array_equal(first.expression[:, others], open_eyed.expression[:, others])


@pytest.mark.parametrize("option", [{"mouth_gain": -1}, {"mouth_gain": 9}, {"audio_offset_s": 5}, {"seed": -1}])
def test_options_out_of_range_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        MotionOptions(**option)


def test_parts_of_different_avatars_are_refused() -> None:
    with pytest.raises(InputError, match="different avatars"):
        MotionGenerator(GenericMouth(MotionConfig("generic")), person())


def test_settings_survive_json_and_rebuild_the_same_model() -> None:
    network = talkative()
    settings_text = json.dumps(dataclasses.asdict(network.config))
    again = make_mouth(MotionConfig.from_dict(json.loads(settings_text)))
    again.load_state_dict(network.state_dict())
    assert again.config == network.config
    window = torch.randn(network.config.window, 328)
    torch.testing.assert_close(again.frame(window), network.frame(window), rtol=0, atol=0)


@pytest.mark.parametrize(
    "change",
    [{"n_hidden": 10**9}, {"kind": "other"}, {"dilations": []}, {"dilations": ["a"]}, {"lookahead": 99}, {"extra": 1},
     {"ahead": [1]}, {"ahead": [1, 1, 0, -1]}, {"ahead": [1, 3, 0, 0]}, {"ahead": 2},
     {"n_mouth_residual": 40}, {"encoder": 3}, {"dropout": "x"}, {"n_features": 1.5}],
)  # fmt: skip
def test_settings_from_strangers_are_checked(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="Motion settings"):
        MotionConfig.from_dict({**dataclasses.asdict(MotionConfig()), **change})


def test_an_older_avatar_keeps_the_layers_that_it_was_trained_with() -> None:
    settings_then = dataclasses.asdict(MotionConfig(lookahead=5))
    del settings_then["ahead"]
    assert MotionConfig.from_dict(settings_then).ahead == (1, 1, 2, 2)


def test_statistics_survive_as_arrays_and_are_checked() -> None:
    arrays = person().to_arrays()
    again = MotionStats.from_arrays(arrays).to_arrays()
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)
    with pytest.raises(InputError, match="lack rest"):
        MotionStats.from_arrays({name: array for name, array in arrays.items() if name != "rest"})
    for name, bad in (
        ("low", np.zeros(3)),
        ("idle", np.full_like(arrays["idle"], np.nan)),
        ("idle_starts", np.array([5])),
    ):
        with pytest.raises(InputError):
            MotionStats.from_arrays({**arrays, name: bad})


def test_the_generic_mouth_opens_for_vowels_and_closes_in_silence() -> None:
    mouth = GenericMouth(MotionConfig("generic", n_residual=5, n_mouth_residual=3))
    generator = MotionGenerator(mouth, person())
    time = np.arange(16000 * 3) / 16000
    vowel = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 26)) * 0.1
    samples = np.concatenate([np.zeros(16000), vowel, np.zeros(16000)]).astype(np.float32)
    jaw = Motion.concatenate(list(generator.generate([samples], NEUTRAL))).expression[:, JAW_OPEN]
    assert jaw[:22].max() < 0.01 and jaw[-22:].max() < 0.01
    assert jaw[40:90].min() > 0.15
