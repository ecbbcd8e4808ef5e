"""How a speech is delivered: its emotion, the options of the motion, and what is changed about the expression."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from aednerf.avatar.expression import ExpressionEdit
from aednerf.avatar.sound import Samples
from aednerf.core.errors import InputError
from aednerf.core.records import Emotion, Motion
from aednerf.emotion.space import EmotionTrack, parse
from aednerf.motion.generate import MotionOptions


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
    edit: ExpressionEdit | None = None
    """What is changed about the expression."""

    def perform(self, voice: Voice, chunks: Iterable[Samples]) -> Iterator[Motion]:
        """Yield the motion that a voice makes of a sound, piece by piece."""
        o, first = self.options, 0
        for motion in voice.generate(
            chunks, self.emotion, blink=o.blink, seed=o.seed, mouth_gain=o.mouth_gain, audio_offset_s=o.audio_offset_s
        ):
            if self.edit is not None:
                # The residual tells of the mouth as it was.
                residual = np.zeros_like(motion.residual) if self.edit.moves_mouth else motion.residual
                motion = replace(motion, expression=self.edit.apply(motion.expression, first), residual=residual)
            yield motion
            first += len(motion)


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
