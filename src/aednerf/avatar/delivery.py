"""How a speech is delivered: its emotion, the options of the motion, and what is added to the expression."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aednerf.avatar.sound import Samples
from aednerf.core.errors import InputError
from aednerf.core.files import read_json
from aednerf.core.records import ARKIT_NAMES, Emotion, Motion
from aednerf.emotion.space import EmotionTrack, parse
from aednerf.motion.files import load_motion
from aednerf.motion.generate import MotionOptions

ExpressionSpec = str | Path | Mapping[str, float] | Motion


class Voice(Protocol):
    """What turns sound into motion: `motion.generate.MotionGenerator`, or a stand-in with its surface."""

    def generate(
        self, chunks: Iterable[Samples], emotion: EmotionTrack, *, blink: bool = True, seed: int = 0,
        mouth_gain: float = 1.0, audio_offset_s: float = 0.0,
    ) -> Iterator[Motion]:  # fmt: skip
        """Yield the motion piece by piece, while the sound is read."""
        ...


@dataclass(frozen=True)
class Delivery:
    """The choices that turn a sound into a motion."""

    emotion: EmotionTrack
    options: MotionOptions
    addition: NDArray[np.float32] | None = None
    """[N, 52] added to the expression frame by frame, the last row held; None adds nothing."""

    def perform(self, voice: Voice, chunks: Iterable[Samples]) -> Iterator[Motion]:
        """Yield the motion that a voice makes of a sound, piece by piece."""
        o, first = self.options, 0
        for motion in voice.generate(
            chunks, self.emotion, blink=o.blink, seed=o.seed, mouth_gain=o.mouth_gain, audio_offset_s=o.audio_offset_s
        ):
            yield self._added(motion, first)
            first += len(motion)

    def _added(self, motion: Motion, first: int) -> Motion:
        if self.addition is None:
            return motion
        rows = np.minimum(np.arange(first, first + len(motion)), len(self.addition) - 1)
        return replace(motion, expression=np.clip(motion.expression + self.addition[rows], 0.0, 1.0))


def parse_emotion(
    emotion: str | Emotion | EmotionTrack | None, intensity: float, track: str | Path | EmotionTrack | None
) -> EmotionTrack:
    """Read an emotion as users write it: a label or mixture with an intensity, or a track. None is neutral.

    Raises:
        InputError: it is unknown or out of range, or both an emotion and a track were given.
    """
    if track is not None:
        if emotion not in (None, "neutral"):
            raise InputError("Both an emotion and an emotion track were given. Give one of them.")
        return track if isinstance(track, EmotionTrack) else EmotionTrack.load(track)
    if isinstance(emotion, EmotionTrack):
        return emotion
    if isinstance(emotion, Emotion):
        return EmotionTrack.constant(emotion)
    return EmotionTrack.constant(parse(emotion or "neutral", intensity))


def parse_expression(
    spec: ExpressionSpec | None, rotation: NDArray[np.float32], translation: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    """Read an expression that is added to the speech.

    Args:
        spec: ARKit names and values ({"browInnerUp": 0.5}), a JSON file of the same, a Motion, or a motion file.
        rotation: [3, 3] the avatar's mean pose: Live Link files may come without one.
        translation: [3] likewise.
    Returns:
        [N, 52], or None where nothing is added.
    Raises:
        InputError: a name is unknown, a value is no number in [-1, 1], or the file cannot be read.
    """
    if spec is None:
        return None
    if isinstance(spec, str | Path):
        if Path(spec).suffix.lower() != ".json":
            return load_motion(spec, mean_rotation=rotation, mean_translation=translation).expression
        content = read_json(spec)
        if not isinstance(content, dict):
            raise InputError(f'{spec} is no expression: expected names and values such as {{"browInnerUp": 0.5}}.')
        spec = content
    if isinstance(spec, Motion):
        if not len(spec):
            raise InputError("The motion to add has no frames. Give one with at least one.")
        return spec.expression
    row = np.zeros((1, len(ARKIT_NAMES)), np.float32)
    for name, value in spec.items():
        if name not in ARKIT_NAMES:
            raise InputError(f"Unknown expression {name!r}. Expected ARKit names such as browInnerUp, jawOpen.")
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or abs(value) > 1:
            raise InputError(f"Expression {name} must be a number in [-1, 1], got {value!r}.")
        row[0, ARKIT_NAMES.index(name)] = value
    return row
