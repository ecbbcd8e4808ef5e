"""How a speech is delivered: its emotion, and what is added to or scaled in the motion that speech gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.files import read_json
from aednerf.core.records import ARKIT_NAMES, Emotion, Motion
from aednerf.emotion.space import EmotionTrack, parse
from aednerf.motion.channels import SPEECH_COLUMNS

ExpressionSpec = str | Path | Mapping[str, float] | Motion
MAX_OFFSET_S = 10.0
MAX_MOUTH_GAIN = 4.0


@dataclass(frozen=True)
class Delivery:
    """The choices that turn a sound into a motion."""

    emotion: EmotionTrack
    addition: NDArray[np.float32] | None = None
    """[N, 52] added to the expression frame by frame, the last row held; None adds nothing."""

    mouth_gain: float = 1.0
    """Factor on the lower face."""

    audio_offset_s: float = 0.0
    """> 0: the lips move earlier than the sound would have them."""

    blink: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.mouth_gain <= MAX_MOUTH_GAIN:
            raise InputError(f"The mouth gain must lie in [0, {MAX_MOUTH_GAIN:g}], got {self.mouth_gain}.")
        if not abs(self.audio_offset_s) <= MAX_OFFSET_S:
            raise InputError(f"The audio offset must lie within {MAX_OFFSET_S:g} s, got {self.audio_offset_s} s.")

    def applied(self, motion: Motion, first: int) -> Motion:
        """Return a piece of motion with gain and addition; `first` is its first frame's number in the speech."""
        if self.addition is None and self.mouth_gain == 1.0:
            return motion
        expression = motion.expression.copy()
        expression[:, SPEECH_COLUMNS] *= self.mouth_gain
        if self.addition is not None:
            expression += self.addition[np.minimum(np.arange(first, first + len(motion)), len(self.addition) - 1)]
        return replace(motion, expression=np.clip(expression, 0.0, 1.0))


def fitted_residual(motion: Motion, n_residual: int) -> Motion:
    """Return a motion whose residual code has `n_residual` numbers: a motion without one gets zeros.

    Raises:
        InputError: it has another number of them, so that it belongs to another avatar.
    """
    found = motion.residual.shape[1]
    if found == n_residual:
        return motion
    if found:
        raise InputError(f"The motion's residual code has {found} numbers, the avatar's {n_residual}: it is another's.")
    return replace(motion, residual=np.zeros((len(motion), n_residual), np.float32))


def parse_emotion(
    emotion: str | Emotion | EmotionTrack | None, intensity: float, track: str | Path | EmotionTrack | None
) -> EmotionTrack:
    """Read an emotion as users write it: a label or mixture with an intensity, or a track. None is neutral.

    Raises:
        InputError: it is unknown or out of range, or both an emotion and a track were given.
    """
    if track is not None:
        if emotion is not None:
            raise InputError("Both an emotion and an emotion track were given. Give one of them.")
        return track if isinstance(track, EmotionTrack) else EmotionTrack.load(track)
    if isinstance(emotion, EmotionTrack):
        return emotion
    if isinstance(emotion, Emotion):
        return EmotionTrack.constant(emotion)
    return EmotionTrack.constant(parse(emotion or "neutral", intensity))


def parse_expression(spec: ExpressionSpec | None) -> NDArray[np.float32] | None:
    """Read an expression that is added to the speech.

    Args:
        spec: ARKit names and values ({"browInnerUp": 0.5}), a JSON file of the same, a Motion, or a motion file.
    Returns:
        [N, 52], or None where nothing is added.
    Raises:
        InputError: a name is unknown, a value is no number in [-1, 1], or the file cannot be read.
    """
    if spec is None:
        return None
    if isinstance(spec, Motion):
        return spec.expression
    if isinstance(spec, str | Path):
        if Path(spec).suffix.lower() != ".json":
            from aednerf.motion.files import load_motion

            return load_motion(spec).expression
        content = read_json(spec)
        if not isinstance(content, dict):
            raise InputError(f'{spec} is no expression: expected names and values such as {{"browInnerUp": 0.5}}.')
        spec = content
    row = np.zeros((1, len(ARKIT_NAMES)), np.float32)
    for name, value in spec.items():
        if name not in ARKIT_NAMES:
            raise InputError(f"Unknown expression {name!r}. Expected ARKit names such as browInnerUp, jawOpen.")
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or abs(value) > 1:
            raise InputError(f"Expression {name} must be a number in [-1, 1], got {value!r}.")
        row[0, ARKIT_NAMES.index(name)] = value
    return row
