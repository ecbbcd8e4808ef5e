"""Steadies what landmarks tell of eyes: both turn together, and between their moves gaze, lids and brows rest.

A detector's irises err by a degree or two, each eye for itself and differently at every turn of the head; eyes that
look at something further away than a hand do not. So the gaze is the mean of both eyes, each about its own usual
direction. Then each number is smoothed over a few frames, but not across a step larger than its own noise (a bilateral
filter): a blink and a saccade stay as sharp as they were.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aednerf.core.records import ARKIT_NAMES

Array = NDArray[np.float64]

_GAZE = (
    (("eyeLookOutLeft", "eyeLookInLeft"), ("eyeLookInRight", "eyeLookOutRight")),
    (("eyeLookUpLeft", "eyeLookDownLeft"), ("eyeLookUpRight", "eyeLookDownRight")),
)
"""Of both axes, and of the left and the right eye: the coefficients for turning one way and the other."""
_GAZE_REACH, _LID_REACH = 3, 2
"""Frames to either side that are looked at."""
_REACH_SIGMA = 2.0
_NOISE_KEPT = 2.5
"""A step of so many times the noise counts exp(-1/2)."""
_LEAST_NOISE = 1e-6


def steady_eyes(expression: NDArray[np.floating], ranges: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
    """Return the expressions with steadier eyes and brows.

    Args:
        expression: [T, 52] fitted coefficients; NaN rows where there is no face.
        ranges: the stretches `[first, end)` of frames without a cut.

    Returns:
        [T, 52]; what does not belong to eyes and brows is unchanged, and so are the NaN rows.

    Source: Tomasi and Manduchi, "Bilateral filtering for gray and color images" (1998), over time.
    """
    values = np.asarray(expression, np.float64).copy()
    column = ARKIT_NAMES.index
    for (left_one, left_other), (right_one, right_other) in _GAZE:
        left = values[:, column(left_one)] - values[:, column(left_other)]
        right = values[:, column(right_one)] - values[:, column(right_other)]
        together = _rest_between_moves((left + right) / 2, ranges, _GAZE_REACH)
        apart = _usual((left - right) / 2, ranges)
        for turn, one, other in ((together + apart, left_one, left_other), (together - apart, right_one, right_other)):
            values[:, column(one)], values[:, column(other)] = np.maximum(turn, 0.0), np.maximum(-turn, 0.0)
    for index, name in enumerate(ARKIT_NAMES):
        if name.startswith(("eyeBlink", "eyeSquint", "eyeWide", "brow")):
            values[:, index] = _rest_between_moves(values[:, index], ranges, _LID_REACH)
    has_face = np.isfinite(expression).all(axis=1, keepdims=True)
    return np.where(has_face, values, expression).astype(np.float32)


def _usual(values: Array, ranges: Sequence[tuple[int, int]]) -> Array:
    """Return for every frame the median [T] of its stretch."""
    usual = np.zeros_like(values)
    for first, end in ranges:
        seen = values[first:end][np.isfinite(values[first:end])]
        usual[first:end] = np.median(seen) if len(seen) else 0.0
    return usual


def _rest_between_moves(values: Array, ranges: Sequence[tuple[int, int]], reach: int) -> Array:
    """Smooth a number [T] over time where it does not move."""
    width = _NOISE_KEPT * _noise(values, ranges)
    smooth = values.copy()
    for first, end in ranges:
        part = values[first:end]
        total, weights = np.zeros((2, len(part)))
        for shift in range(-reach, reach + 1):
            other = part[np.clip(np.arange(len(part)) + shift, 0, len(part) - 1)]
            step = other - part
            weight = np.exp(-0.5 * ((step / width) ** 2 + (shift / _REACH_SIGMA) ** 2))
            weight = np.where(np.isfinite(step), weight, 0.0)
            total += weight * np.nan_to_num(other)
            weights += weight
        smooth[first:end] = np.where(weights > 0, total / np.maximum(weights, _LEAST_NOISE), part)
    return smooth


def _noise(values: Array, ranges: Sequence[tuple[int, int]]) -> float:
    """Return the deviation of the noise, from the median second difference, which moves hardly reach."""
    bends = np.concatenate([np.zeros(0), *(np.diff(values[first:end], 2) for first, end in ranges)])
    bends = bends[np.isfinite(bends)]
    return float(np.median(np.abs(bends)) * 1.4826 / np.sqrt(6.0)) + _LEAST_NOISE if len(bends) else _LEAST_NOISE
