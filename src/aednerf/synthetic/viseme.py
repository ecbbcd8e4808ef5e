"""Phonemes to the shapes of the mouth, with coarticulation by dominance functions.

Every speech sound has a target for each shape and a dominance that falls off around it; a shape's value is the mean of
the targets, weighted by dominance. So a `t` lets the rounding of a coming `u` pass, and a short vowel is undershot.
Source: M. Cohen and D. Massaro, "Modeling coarticulation in synthetic visual speech", 1993. What lips must do whatever
surrounds them (m, b, p closed; f, v against the teeth) is a track of its own, in [0, 1], without undershoot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aednerf.core.records import ARKIT_NAMES
from aednerf.speech.phoneme import SILENCE, Phoneme

Array = NDArray[np.float64]

SHAPES: tuple[str, ...] = (
    "jawOpen", "mouthFunnel", "mouthPucker", "mouthRollLower", "mouthPress", "mouthUpperUp", "mouthLowerDown",
    "mouthStretch", "mouthSmile", "mouthShrugLower",
)  # fmt: skip
"""The columns that speech drives; a name without a side stands for both sides."""

_ROUNDING = ("mouthFunnel", "mouthPucker")

TARGETS: dict[str, dict[str, float]] = {
    "rest": {"jawOpen": 0.01},
    "a": {"jawOpen": 0.48, "mouthLowerDown": 0.26, "mouthUpperUp": 0.12},
    "ae": {"jawOpen": 0.41, "mouthLowerDown": 0.29, "mouthUpperUp": 0.19, "mouthStretch": 0.20, "mouthSmile": 0.08},
    "uh": {"jawOpen": 0.29, "mouthLowerDown": 0.20, "mouthUpperUp": 0.10},
    "schwa": {"jawOpen": 0.19, "mouthLowerDown": 0.17, "mouthUpperUp": 0.07},
    "e": {"jawOpen": 0.29, "mouthLowerDown": 0.27, "mouthUpperUp": 0.15, "mouthStretch": 0.22, "mouthSmile": 0.10},
    "i": {"jawOpen": 0.13, "mouthLowerDown": 0.29, "mouthUpperUp": 0.14, "mouthStretch": 0.34, "mouthSmile": 0.20},
    "o": {"jawOpen": 0.35, "mouthFunnel": 0.50, "mouthPucker": 0.12, "mouthLowerDown": 0.09},
    "u": {"jawOpen": 0.13, "mouthFunnel": 0.30, "mouthPucker": 0.72},
    "er": {"jawOpen": 0.19, "mouthFunnel": 0.34, "mouthPucker": 0.16, "mouthLowerDown": 0.12},
    "w": {"jawOpen": 0.08, "mouthFunnel": 0.24, "mouthPucker": 0.85},
    "r": {"jawOpen": 0.09, "mouthFunnel": 0.42, "mouthPucker": 0.22},
    "l": {"jawOpen": 0.14, "mouthLowerDown": 0.15, "mouthUpperUp": 0.07},
    "t": {"jawOpen": 0.09, "mouthLowerDown": 0.18, "mouthUpperUp": 0.08, "mouthStretch": 0.08},
    "s": {"jawOpen": 0.04, "mouthLowerDown": 0.29, "mouthUpperUp": 0.12, "mouthStretch": 0.22},
    "sh": {"jawOpen": 0.06, "mouthFunnel": 0.62, "mouthPucker": 0.16, "mouthLowerDown": 0.15, "mouthUpperUp": 0.12},
    "th": {"jawOpen": 0.09, "mouthLowerDown": 0.21, "mouthUpperUp": 0.10},
    "k": {"jawOpen": 0.13, "mouthLowerDown": 0.12, "mouthUpperUp": 0.06},
    "h": {"jawOpen": 0.15, "mouthLowerDown": 0.12, "mouthUpperUp": 0.06},
    "f": {"jawOpen": 0.09, "mouthUpperUp": 0.20},
    "m": {"jawOpen": 0.07, "mouthPress": 0.22},
}
"""Each viseme's targets, coefficients at ordinary speech; what is not named is 0."""

_STRENGTH = {
    "rest": 0.75, "schwa": 0.55, "h": 0.2, "k": 0.4, "t": 0.6, "th": 0.8, "l": 0.6, "r": 0.9, "s": 1.0, "sh": 1.2,
    "w": 1.4, "f": 1.1, "m": 1.1,
}  # fmt: skip
"""Dominance at a viseme's core; vowels have 1."""

_NO_ROUNDING_OF_ITS_OWN = {"t": 0.15, "k": 0.15, "h": 0.1, "th": 0.3, "l": 0.2, "s": 0.35, "f": 0.3, "m": 0.15,
                           "schwa": 0.3, "rest": 0.5}  # fmt: skip
"""Factor on the dominance over rounding: through these the rounding of the neighbours passes."""

_MONOPHTHONGS: dict[str, str] = {
    "A": "a", "0": "a", "aa": "ae", "a": "ae", "&": "ae", "E": "e", "e": "e", "I": "i", "i": "i", "V": "uh",
    "@": "schwa", "a#": "schwa", "3": "er", "O": "o", "o": "o", "U": "u", "u": "u", "y": "u", "Y": "u", "W": "o",
}  # fmt: skip
_DIPHTHONGS: dict[str, tuple[str, str]] = {
    "aI": ("a", "i"), "aU": ("a", "u"), "OI": ("o", "i"), "oU": ("o", "u"), "eI": ("e", "i"), "A@": ("a", "er"),
    "O@": ("o", "er"), "e@": ("e", "er"), "i@": ("i", "schwa"), "U@": ("u", "er"), "@U": ("schwa", "u"),
    "aI@": ("a", "i"), "aU@": ("a", "u"), "@L": ("schwa", "l"), "@5": ("schwa", "schwa"), "ju": ("i", "u"),
}  # fmt: skip
_CONSONANTS: dict[str, str] = {
    "m": "m", "b": "m", "p": "m", "f": "f", "v": "f", "w": "w", "r": "r", "l": "l", "t": "t", "d": "t", "n": "t",
    "s": "s", "z": "s", "S": "sh", "Z": "sh", "tS": "sh", "dZ": "sh", "T": "th", "D": "th", "k": "k", "g": "k",
    "N": "k", "x": "k", "C": "k", "h": "h", "j": "i", "?": "k", "Q": "k",
}  # fmt: skip

_CORE = 0.6  # the middle share of a sound where its dominance is full
_FALL_S, _ROUNDING_FALL_S = 0.045, 0.090
_SLUGGISH_S, _INERTIA_S = 0.022, np.linspace(-0.045, 0.045, 7)
"""Flesh follows with some inertia: the shapes are smoothed over time by this standard deviation, at these offsets."""

_STRESSED, _UNSTRESSED = 1.10, 0.92

_CLOSED_BEFORE_S = {"m": 0.010, "b": 0.040, "p": 0.055}
_CLOSED_AFTER_S = {"b": 0.030, "p": 0.012}
"""How long before and after its start a sound's lips are closed; `m` is closed until it ends. espeak-ng counts the
silence before a burst to the sound before, so a `p` begins where the lips part."""

_RAMP_S = 0.075
_LEAST_HOLD_S = 0.060
"""Longer than a video frame, so that at least one frame falls into every closure."""


class Mouth(NamedTuple):
    """What speech asks of the mouth in T frames."""

    expression: Array
    """[T, 52] coefficients."""

    closure: Array
    """[T] in [0, 1]: 1 where the lips must touch."""

    bite: Array
    """[T] in [0, 1]: 1 where the lower lip must touch the upper teeth."""


def viseme_of(name: str) -> tuple[str, ...]:
    """Return the viseme, or a diphthong's two, of a phoneme by espeak-ng's name.

    >>> viseme_of("m"), viseme_of("aI"), viseme_of("I2"), viseme_of("_")
    (('m',), ('a', 'i'), ('i',), ('rest',))
    """
    if name == SILENCE:
        return ("rest",)
    for end in range(len(name), 0, -1):
        start = name[:end]
        if start in _DIPHTHONGS:
            return _DIPHTHONGS[start]
        if start in _CONSONANTS:
            return (_CONSONANTS[start],)
        if start in _MONOPHTHONGS:
            return (_MONOPHTHONGS[start],)
    return ("schwa",)


def shape_mouth(phonemes: Sequence[Phoneme], times_s: Array, gain: Array | float = 1.0) -> Mouth:
    """Shape the mouth for speech.

    Args:
        phonemes: the sounds, in sequence.
        times_s: [T] the instants of the frames.
        gain: [T] or one factor on how far the mouth moves; it does not touch closures.
    """
    segments = [part for phoneme in phonemes for part in _segments(phoneme)]
    weights = np.exp(-0.5 * (_INERTIA_S / _SLUGGISH_S) ** 2)
    moved = [_blended(segments, times_s + offset) * weight for offset, weight in zip(_INERTIA_S, weights, strict=True)]
    values = np.sum(moved, axis=0) / weights.sum()
    expression = np.zeros((len(times_s), len(ARKIT_NAMES)))
    factor = np.broadcast_to(np.asarray(gain, float), times_s.shape)
    for column, shape in enumerate(SHAPES):
        is_opening = shape in ("jawOpen", "mouthLowerDown", "mouthUpperUp")
        expression[:, columns_of(shape)] = (values[:, column] * (factor if is_opening else 1.0))[:, None]
    closure = _held([_closed(p) for p in phonemes if p.name[:1] in _CLOSED_BEFORE_S], times_s)
    bite = _held([(p.start_s - 0.01, p.end_s - 0.01) for p in phonemes if p.name[:1] in ("f", "v")], times_s)
    return Mouth(np.clip(expression, 0, 1), closure, bite)


def columns_of(name: str) -> list[int]:
    """Return the columns of a coefficient: of both sides where the name has none.

    >>> [ARKIT_NAMES[i] for i in columns_of("mouthSmile")]
    ['mouthSmileLeft', 'mouthSmileRight']
    """
    if name in ARKIT_NAMES:
        return [ARKIT_NAMES.index(name)]
    return [ARKIT_NAMES.index(name + side) for side in ("Left", "Right")]


class _Segment(NamedTuple):
    viseme: str
    start_s: float
    end_s: float
    jaw: float


def _segments(phoneme: Phoneme) -> list[_Segment]:
    visemes = viseme_of(phoneme.name)
    edges = np.linspace(phoneme.start_s, phoneme.end_s, len(visemes) + 1)
    jaw = _STRESSED if phoneme.is_stressed else _UNSTRESSED
    return [_Segment(v, a, b, jaw) for v, a, b in zip(visemes, edges[:-1], edges[1:], strict=True)]


def _blended(segments: list[_Segment], times_s: Array) -> Array:
    """Return the shapes' values [T, len(SHAPES)]: targets weighted by dominance."""
    targets = np.array([[TARGETS[s.viseme].get(shape, 0.0) for shape in SHAPES] for s in segments])
    targets[:, SHAPES.index("jawOpen")] *= [s.jaw for s in segments]
    strength = np.array([_STRENGTH.get(s.viseme, 1.0) for s in segments])
    rounding = strength * [_NO_ROUNDING_OF_ITS_OWN.get(s.viseme, 1.0) for s in segments]
    middle = np.array([(s.start_s + s.end_s) / 2 for s in segments])
    half_core = np.array([(s.end_s - s.start_s) / 2 * _CORE for s in segments])
    distance = np.maximum(np.abs(times_s[:, None] - middle) - half_core, 0.0)
    values = np.zeros((len(times_s), len(SHAPES)))
    for fall_s, weight, is_rounding in ((_FALL_S, strength, False), (_ROUNDING_FALL_S, rounding, True)):
        # A Gaussian-like fall keeps values smooth at the edge of a core; 1e-9 keeps far silence defined.
        dominance = np.exp(-((distance / fall_s) ** 1.5)) * weight + 1e-9
        chosen = [i for i, shape in enumerate(SHAPES) if (shape in _ROUNDING) == is_rounding]
        values[:, chosen] = dominance @ targets[:, chosen] / dominance.sum(1, keepdims=True)
    return values


def _closed(phoneme: Phoneme) -> tuple[float, float]:
    kind = phoneme.name[0]
    start = phoneme.start_s - _CLOSED_BEFORE_S[kind]
    end = phoneme.end_s - 0.01 if kind == "m" else phoneme.start_s + _CLOSED_AFTER_S[kind]
    return start, end


def _held(intervals: list[tuple[float, float]], times_s: Array) -> Array:
    """Return [T]: 1 within the intervals, at least `_LEAST_HOLD_S` long, with smooth ramps around them."""
    level = np.zeros_like(times_s)
    for start, end in intervals:
        missing = max(0.0, _LEAST_HOLD_S - (end - start)) / 2
        outside = np.maximum(np.maximum(start - missing - times_s, times_s - end - missing), 0.0)
        share = np.clip(1 - outside / _RAMP_S, 0, 1)
        level = np.maximum(level, share * share * (3 - 2 * share))
    return level
