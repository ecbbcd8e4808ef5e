"""Emotions as facial actions over time: which muscles an emotion moves, how it comes and goes, how it is never still.

Action units after P. Ekman, W. Friesen and J. Hager, "Facial Action Coding System", 2002, and its table of emotions
(EMFACS): happy 6+12, sad 1+4+15+17, angry 4+5+7+23, fear 1+2+4+5+20+25, disgusted 9+10+15, contempt 12+14 on one side,
surprised 1+2+5+26; as ARKit coefficients. This is how one actor plays them, jaw, lids and a raised brow
included; on purpose not from `emotion.prior`, which would otherwise be tried on a person made of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aednerf.core.records import ARKIT_NAMES, EMOTIONS
from aednerf.core.units import FPS
from aednerf.synthetic.viseme import columns_of

Array = NDArray[np.float64]

ACTIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "happy": {
        "mouthSmile": 0.72, "cheekSquint": 0.62, "eyeSquint": 0.30, "mouthDimple": 0.14, "mouthUpperUp": 0.16,
        "browOuterUp": 0.12, "browInnerUp": 0.06, "mouthLowerDown": 0.06,
    },
    "sad": {
        "browInnerUp": 0.85, "browDown": 0.22, "mouthFrown": 0.72, "mouthShrugLower": 0.28, "eyeSquint": 0.22,
        "cheekSquint": 0.10, "eyeBlink": 0.16, "eyeLookDown": 0.0, "mouthRollLower": 0.06,
    },
    "angry": {
        "browDown": 1.0, "eyeWide": 0.30, "eyeSquint": 0.60, "noseSneer": 0.32, "mouthPress": 0.36, "mouthFrown": 0.28,
        "jawForward": 0.16, "mouthStretch": 0.12, "mouthLowerDown": 0.10, "mouthUpperUp": 0.10, "cheekSquint": 0.12,
    },
    "fear": {
        "browInnerUp": 0.95, "browOuterUp": 0.40, "browDown": 0.28, "eyeWide": 0.85, "mouthStretch": 0.62,
        "mouthLowerDown": 0.18, "jawOpen": 0.07, "mouthFrown": 0.16,
    },
    "disgusted": {
        "noseSneer": 0.76, "mouthUpperUp": 0.36, "browDown": 0.55, "cheekSquint": 0.42, "eyeSquint": 0.48,
        "mouthFrown": 0.42, "mouthShrugLower": 0.30, "mouthShrugUpper": 0.16, "eyeBlink": 0.06,
    },
    "contempt": {
        "mouthSmileLeft": 0.46, "mouthDimpleLeft": 0.90, "mouthPressLeft": 0.30, "mouthLeft": 0.16,
        "mouthUpperUpLeft": 0.14, "cheekSquintLeft": 0.34, "noseSneerLeft": 0.30, "browOuterUpRight": 0.62,
        "browDownLeft": 0.34, "eyeBlink": 0.20, "eyeSquint": 0.20,
    },
    "surprised": {
        "browInnerUp": 0.92, "browOuterUp": 0.92, "eyeWide": 0.85, "jawOpen": 0.13, "mouthFunnel": 0.10,
        "mouthUpperUp": 0.04,
    },
}  # fmt: skip
"""Coefficients of each emotion at intensity 1; a name without a side stands for both sides."""

PAUSING: dict[str, dict[str, float]] = {
    "surprised": {"jawOpen": 0.16, "mouthFunnel": 0.06}, "fear": {"jawOpen": 0.06, "mouthUpperUp": 0.10},
    "happy": {"mouthUpperUp": 0.10, "mouthSmile": 0.10, "mouthLowerDown": 0.10},
    "angry": {"mouthPress": 0.30, "mouthRollUpper": 0.10, "mouthRollLower": 0.10},
}  # fmt: skip
"""What is added while the person says nothing."""

MOUTH_GAIN: dict[str, float] = {"sad": 0.82, "contempt": 0.88, "disgusted": 0.92, "angry": 1.18, "happy": 1.06,
                                "surprised": 1.12, "fear": 0.96}  # fmt: skip
"""Factor on how far speech opens the mouth, at intensity 1."""

_ONSET_S, _OFFSET_LEVEL, _OFFSET_S = 0.7, 0.82, 0.5
_SWING = 0.13
_ASYMMETRY = 0.09
_ROUNDED = columns_of("mouthPucker") + columns_of("mouthFunnel")
_GIVES_WAY = [i for n in ("mouthSmile", "mouthStretch", "mouthDimple", "mouthFrown") for i in columns_of(n)]


def emotion_levels(
    clips: Sequence[tuple[int, int, str, float]], rng: np.random.Generator
) -> tuple[Array, Array]:  # fmt: skip
    """Say how strongly each emotion shows over time.

    A clip's emotion comes within 0.7 s while the one before goes, swells and ebbs slowly, and eases at the end.

    Args:
        clips: first and end frame, label and intensity of each, in sequence from 0 without gaps.
        rng: of the swelling.

    Returns:
        [T, 8] levels in [0, 1], and the part of them that their labels give [T, 8] (without swelling).
    """
    n_frames = clips[-1][1]
    plain = np.zeros((n_frames, len(EMOTIONS)))
    before = np.zeros(len(EMOTIONS))
    for first, end, label, intensity in clips:
        goal = np.zeros(len(EMOTIONS))
        goal[EMOTIONS.index(label)] = intensity if label != "neutral" else 1.0
        age, left = np.arange(end - first) / FPS, np.arange(end - first, 0, -1) / FPS
        arrived = _smooth(age / _ONSET_S)[:, None]
        eased = (1 - (1 - _OFFSET_LEVEL) * _smooth(1 - left / _OFFSET_S))[:, None]
        plain[first:end] = (before * (1 - arrived) + goal * arrived) * eased
        before = goal * _OFFSET_LEVEL
    swell = 1 + _SWING * slow_noise(n_frames, rng, cutoff_hz=0.35)
    return np.clip(plain * swell[:, None], 0, 1), plain


def feel(levels: Array, speaking: Array, rng: np.random.Generator) -> Array:
    """Return what the emotions do to the face.

    Args:
        levels: [T, 8] from `emotion_levels`.
        speaking: [T] in [0, 1]: 0 in pauses.
        rng: of asymmetry and slow change.

    Returns:
        [T, 52] coefficients, without speech.
    """
    n_frames, names = len(levels), len(ARKIT_NAMES)
    face = np.zeros((n_frames, names))
    for index, label in enumerate(EMOTIONS):
        level = levels[:, index, None]
        face += level * _row(ACTIONS[label])
        face += level * (1 - speaking)[:, None] * _row(PAUSING.get(label, {}))
    sides = np.ones(names)
    for left, name in enumerate(ARKIT_NAMES):
        if name.endswith("Left") and not name.startswith(("eyeBlink", "eyeLook", "eyeWide")) and left + 1 < names:
            lean = _ASYMMETRY * rng.uniform(-1, 1)
            sides[left], sides[left + 1] = 1 + lean, 1 - lean
    drift = np.stack([slow_noise(n_frames, rng, cutoff_hz=0.5) for _ in range(names)], axis=1)
    for left, name in enumerate(ARKIT_NAMES):  # both sides of a muscle mostly move together
        if name.endswith("Left") and left + 1 < names:
            drift[:, left + 1] = 0.8 * drift[:, left] + 0.2 * drift[:, left + 1]
    return np.clip(face * sides * (1 + 0.10 * drift), 0, 1)


def join(speech: Array, feeling: Array) -> Array:
    """Add speech and feeling, both [T, 52]: rounded lips and open lips leave less room for what spreads and presses."""
    rounded = np.clip(speech[:, _ROUNDED].max(1) / 0.7, 0, 1)[:, None]
    opened = np.clip(speech[:, columns_of("jawOpen")] / 0.25, 0, 1)
    felt = feeling.copy()
    felt[:, _GIVES_WAY] *= 1 - 0.55 * rounded
    for name in ("mouthPress", "mouthRollLower", "mouthRollUpper"):
        felt[:, columns_of(name)] *= 1 - 0.9 * np.maximum(opened, rounded)
    for name, share in (("mouthShrugLower", 0.6), ("mouthUpperUp", 0.25), ("mouthLowerDown", 0.3)):
        felt[:, columns_of(name)] *= 1 - share * np.maximum(opened, rounded)
    return np.clip(speech + felt - 0.3 * np.minimum(speech, felt), 0, 1)


def accents(stress_s: Sequence[float], times_s: Array, rng: np.random.Generator, width_s: float = 0.16) -> Array:
    """Return [T] soft pulses of random height in [0, 1] at some of the stressed syllables."""
    level = np.zeros_like(times_s)
    for moment in stress_s:
        height = rng.uniform(0.2, 1.0) if rng.random() < 0.65 else 0.0
        level = np.maximum(level, height * np.exp(-0.5 * ((times_s - moment) / width_s) ** 2))
    return level


def slow_noise(n_frames: int, rng: np.random.Generator, cutoff_hz: float) -> Array:
    """Return [T] smooth noise of standard deviation about 1, within [-2, 2], without content above the cutoff."""
    step = FPS / (2 * cutoff_hz)
    n_knots = int(np.ceil(n_frames / step)) + 4
    knots = np.clip(rng.normal(size=n_knots), -1.8, 1.8)
    from scipy.interpolate import CubicSpline

    return np.clip(CubicSpline(np.arange(n_knots), knots)(1 + np.arange(n_frames) / step), -2, 2)


def _row(actions: dict[str, float]) -> Array:
    row = np.zeros(len(ARKIT_NAMES))
    for name, value in actions.items():
        row[columns_of(name)] = value
    return row


def _smooth(share: Array) -> Array:
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)
