"""No coefficient of the shipped avatar's motion jumps, whatever it says and however its emotion changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from aednerf.avatar.bundle import load_bundle
from aednerf.avatar.restore import restore_voice
from aednerf.capture.capture import Capture
from aednerf.core.records import ARKIT_NAMES, EMOTIONS, Array, Motion
from aednerf.core.units import SAMPLE_RATE_HZ
from aednerf.emotion.space import EmotionTrack, parse
from aednerf.media.audio import load_audio
from aednerf.motion.generate import MotionGenerator
from aednerf.synthetic import shipped

MOST_OVER_RECORDED = 1.5
NO_STEP = 0.022
"""So small a step is none, also where the recording did not move at all. Worst 0.0211: mouthLeft, as contempt ends."""

SECONDS = 10
MIXTURES = ("happy:0.5,surprised:0.5", "sad:0.7,fear:0.3", "angry:0.6,disgusted:0.4")


@pytest.fixture(scope="module")
def voice() -> MotionGenerator:
    torch.set_num_threads(1)
    path = shipped.shipped(shipped.AVATAR_NAME)
    made = restore_voice(load_bundle(path), path)
    assert made is not None
    return made


@pytest.fixture(scope="module")
def most() -> Array:
    """[52] the step that each coefficient may take from frame to frame."""
    expression = Capture.open(shipped.shipped(shipped.CAPTURE_NAME)).tracking.expression
    recorded = np.percentile(np.abs(np.diff(expression, axis=0)), 99.9, axis=0)
    return np.maximum(MOST_OVER_RECORDED * recorded, NO_STEP)


def every_emotion(hold_s: float, change_s: float) -> EmotionTrack:
    """All eight emotions and three mixtures, each held, then changed."""
    times, emotions = [], []
    for number, text in enumerate((*EMOTIONS, *MIXTURES)):
        start = number * (hold_s + change_s)
        times += [start, start + hold_s]
        emotions += [parse(text)] * 2
    return EmotionTrack(tuple(times), tuple(emotions))


def require_no_jump(voice: MotionGenerator, sound: np.ndarray, track: EmotionTrack, most: Array, what: str) -> Motion:
    motion = Motion.concatenate(list(voice.generate([sound], track)))
    over = np.abs(np.diff(motion.expression, axis=0)) / most
    frame, column = np.unravel_index(over.argmax(), over.shape)
    assert over.max() <= 1, f"{what}: {ARKIT_NAMES[column]} jumps in frame {frame + 1}, {over.max():.2f} of its most"
    return motion


@pytest.mark.parametrize(("hold_s", "change_s"), [(0.9, 0.001), (0.5, 0.5), (0.1, 0.7)])
def test_speech_in_changing_emotions_has_no_pops(
    voice: MotionGenerator, most: Array, data: Path, hold_s: float, change_s: float
) -> None:
    paths = sorted((data / "speech").glob("*.wav"))
    assert paths, "AEDNERF_DATA has no speech"
    track = every_emotion(hold_s, change_s)
    for path in paths:
        sound = load_audio(path)[: SECONDS * SAMPLE_RATE_HZ]
        motion = require_no_jump(voice, sound, track, most, path.name)
        brows = motion.expression[:, [i for i, name in enumerate(ARKIT_NAMES) if name.startswith("brow")]]
        assert np.ptp(brows, axis=0).max() > 0.3, f"{path.name}: the emotions do not show"


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_the_shipped_sentence_has_no_pops(voice: MotionGenerator, most: Array, emotion: str) -> None:
    sound = load_audio(shipped.shipped(shipped.SENTENCE_NAME))
    require_no_jump(voice, sound, EmotionTrack.constant(parse(emotion)), most, emotion)
