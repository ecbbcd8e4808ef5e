"""Emotions as users write them: a label, a mixture, or a track of keys over time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aednerf.core.errors import InputError
from aednerf.core.files import read_json
from aednerf.core.records import EMOTIONS, Array, Emotion

EASE_S = 1.0
"""A face takes at least about half of this for a change of emotion, also where a track jumps."""

_EASE_OFFSETS = (np.arange(100) - 49.5) / 100  # in shares of EASE_S
_EASE_WEIGHTS = np.cos(np.pi * _EASE_OFFSETS) ** 2 / 50


def parse(text: str, intensity: float = 1.0) -> Emotion:
    """Read an emotion from text.

    Args:
        text: a label (`happy`) or a mixture (`happy:0.6,sad:0.4`), whose weights are scaled to sum to 1.
        intensity: how strongly it shows, in [0, 1].

    Raises:
        InputError: a label is none of the eight or stands twice, or a number is out of range.

    >>> parse("happy:3,sad:1", 0.5).weights[5:7]
    (0.75, 0.25)
    """
    weights: dict[str, float] = {}
    for part in text.split(","):
        label, _, number = (piece.strip() for piece in part.partition(":"))
        if label in weights:
            raise InputError(f"Emotion {label!r} stands twice in {text!r}: give each label once.")
        weights[label] = _number(number, f"the weight of {label!r} in {text!r}") if number or ":" in part else 1.0
    return mixture(weights, intensity)


def mixture(weights: Mapping[str, float], intensity: float = 1.0) -> Emotion:
    """Return the emotion of several labels, the weights scaled to sum to 1.

    Raises:
        InputError: a label is none of the eight, or a number is out of range.
    """
    for label, weight in weights.items():
        if label not in EMOTIONS:
            raise InputError(f"Unknown emotion {label!r}. The labels are: {', '.join(EMOTIONS)}.")
        if not (math.isfinite(weight) and weight >= 0):
            raise InputError(f"The weight of emotion {label!r} must be a number from 0 up, got {weight}.")
    if not 0.0 <= intensity <= 1.0:
        raise InputError(f"Emotion intensity must lie in [0, 1], got {intensity}.")
    total = sum(weights.values())
    if total <= 0:
        raise InputError("The emotion's weights are all zero: give at least one label a weight above 0.")
    return Emotion(tuple(float(weights.get(label, 0.0)) / total for label in EMOTIONS), float(intensity))


def blend(first: Emotion, second: Emotion, share: float) -> Emotion:
    """Return the emotion that lies `share` (0 to 1) of the way from `first` to `second`, as track keys are blended."""
    vector = (1.0 - share) * first.vector() + share * second.vector()
    return Emotion(tuple(float(weight) for weight in vector), 1.0)


@dataclass(frozen=True)
class EmotionTrack:
    """An emotion over time: keys with linear change in between, held before the first and after the last."""

    times_s: tuple[float, ...]
    emotions: tuple[Emotion, ...]

    def __post_init__(self) -> None:
        if len(self.times_s) != len(self.emotions) or not self.times_s:
            raise InputError(
                f"An emotion track needs one time per emotion, got {len(self.times_s)} and {len(self.emotions)}."
            )
        if not all(math.isfinite(t) and t >= 0 for t in self.times_s):
            raise InputError(f"Times of an emotion track must be seconds from 0 up, got {min(self.times_s)}.")
        if any(later <= earlier for earlier, later in zip(self.times_s, self.times_s[1:], strict=False)):
            raise InputError(
                "Times of an emotion track must rise from key to key: sort the keys, and give each time once."
            )

    @staticmethod
    def constant(emotion: Emotion) -> EmotionTrack:
        """Return the track that never changes."""
        return EmotionTrack((0.0,), (emotion,))

    @staticmethod
    def load(path: str | Path) -> EmotionTrack:
        """Read a track from JSON: `[{"t": 0.0, "emotion": {"happy": 1}, "intensity": 0.8}, ...]`.

        `emotion` may also be text as in `parse`; `intensity` is 1 where it is missing.

        Raises:
            InputError: the file is missing, is no JSON, or a key is not as above (its number is named, from 0).
        """
        keys = read_json(path)
        if not isinstance(keys, list) or not keys:
            raise InputError(f'{path}: expected a list of keys such as {{"t": 0, "emotion": {{"happy": 1}}}}.')
        try:
            read = [_read_key(key, number) for number, key in enumerate(keys)]
            return EmotionTrack(tuple(time for time, _ in read), tuple(emotion for _, emotion in read))
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    def at(self, time_s: float | np.ndarray) -> Array:
        """Return the emotion vector [8] at a time (or [..., 8] at times), not negative, summing to 1."""
        vectors = np.stack([emotion.vector() for emotion in self.emotions])
        columns = [np.interp(time_s, self.times_s, vectors[:, i]) for i in range(len(EMOTIONS))]
        return np.stack(columns, axis=-1).astype(np.float32)

    def eased(self, time_s: float | np.ndarray) -> Array:
        """Return the emotion vector as a face can follow it: `at`, averaged by a Hann window of `EASE_S`.

        A jump becomes a smooth change that begins half a window before it; what changes slowly stays as it is.
        """
        if len(self.emotions) == 1:
            return self.at(time_s)
        around = self.at(np.asarray(time_s, np.float64)[..., None] + EASE_S * _EASE_OFFSETS)
        return (around * _EASE_WEIGHTS[:, None]).sum(axis=-2).astype(np.float32)


def _read_key(key: Any, number: int) -> tuple[float, Emotion]:
    """Read one key of a track's JSON."""
    if not isinstance(key, dict) or not {"t", "emotion"} <= key.keys() <= {"t", "emotion", "intensity"}:
        raise InputError(f"key {number} must have t and emotion, and may have intensity; got {key!r}.")
    time = _number(key["t"], f"t of key {number}")
    intensity = _number(key.get("intensity", 1.0), f"intensity of key {number}")
    emotion = key["emotion"]
    if isinstance(emotion, str):
        return time, parse(emotion, intensity)
    if not isinstance(emotion, dict):
        raise InputError(f"emotion of key {number} must be a label or a mixture of labels, got {emotion!r}.")
    weights = {label: _number(weight, f"{label!r} of key {number}") for label, weight in emotion.items()}
    return time, mixture(weights, intensity)


def _number(value: Any, what: str) -> float:
    """Return `value` as a number; `what` names it in the error."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise InputError(f"Expected a number as {what}, got {value!r}.") from None
