"""How people show an emotion, for a person whose recording does not: facial action units as ARKit coefficients.

Which action units go with which emotion, and in what share of people each is seen: S. Du, Y. Tao and A. Martinez,
"Compound facial expressions of emotion", PNAS 111(15), 2014, table 1; contempt, which they leave out: P. Ekman and
W. Friesen, "A new pan-cultural facial expression of emotion", Motivation and Emotion 10(2), 1986 (12 and 14 on one
side), which C. Izard and O. Haynes, same journal 12(1), 1988, derive from the snarl (that it is 10 on that side, we
guess). What an action unit does: P. Ekman, W. Friesen and J. Hager, "Facial Action Coding System", 2002. The dropped
jaw (26) of fear and surprise is left out: the mouth's opening is left to speech; lips part (25) as far as 10 and 16 do
it. Where the literature leaves a choice, two actors of MEAD were looked at: 6 with anger and disgust, 2 and 7 with
contempt, and no smile.
On purpose not the faces that `synthetic.feeling` plays: those are one actor's, whom this guesses like anyone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aednerf.core.records import ARKIT_NAMES, Array

ACTION_UNITS: dict[str, dict[str, float]] = {
    "1": {"browInnerUp": 1.0},
    "2": {"browOuterUpLeft": 1.0, "browOuterUpRight": 1.0},
    "4": {"browDownLeft": 1.0, "browDownRight": 1.0},
    "5": {"eyeWideLeft": 1.0, "eyeWideRight": 1.0},
    # Squints raise the lower lid, each by a fifth of the eye's opening: those that narrow the eyes take both.
    "6": {"cheekSquintLeft": 1.0, "cheekSquintRight": 1.0, "eyeSquintLeft": 0.6, "eyeSquintRight": 0.6},
    "7": {"eyeSquintLeft": 1.0, "eyeSquintRight": 1.0, "cheekSquintLeft": 0.5, "cheekSquintRight": 0.5},
    # 9 also lowers the brows and pushes the cheeks up against the eyes.
    "9": {
        "noseSneerLeft": 1.0, "noseSneerRight": 1.0, "browDownLeft": 0.4, "browDownRight": 0.4,
        "cheekSquintLeft": 0.5, "cheekSquintRight": 0.5, "eyeSquintLeft": 0.4, "eyeSquintRight": 0.4,
    },
    "10": {"mouthUpperUpLeft": 1.0, "mouthUpperUpRight": 1.0},
    "10L": {"mouthUpperUpLeft": 1.0},
    "12": {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0},
    "14L": {"mouthDimpleLeft": 1.0},
    "15": {"mouthFrownLeft": 1.0, "mouthFrownRight": 1.0},
    "16": {"mouthLowerDownLeft": 1.0, "mouthLowerDownRight": 1.0},
    "17": {"mouthShrugLower": 1.0},
    "20": {"mouthStretchLeft": 1.0, "mouthStretchRight": 1.0},
}  # fmt: skip
"""Each action unit (L: on the person's left only) as the coefficients that look like it."""

STRONG, MEDIUM, SLIGHT = 1.0, 0.7, 0.4
"""Of an action unit that every face with the emotion shows, that most show, and that belongs to it for some."""

PROTOTYPES: dict[str, dict[str, float]] = {
    "neutral": {},
    "angry": {"4": MEDIUM, "7": SLIGHT, "6": SLIGHT, "10": SLIGHT, "16": SLIGHT},
    "contempt": {"14L": MEDIUM, "10L": MEDIUM, "2": MEDIUM, "7": MEDIUM},
    "disgusted": {"9": MEDIUM, "10": SLIGHT / 2, "6": MEDIUM, "17": SLIGHT},
    "fear": {"1": STRONG, "20": MEDIUM, "2": SLIGHT, "5": STRONG, "10": SLIGHT / 2, "16": SLIGHT},
    "happy": {"12": MEDIUM, "6": MEDIUM},
    "sad": {"4": SLIGHT, "15": STRONG, "1": MEDIUM, "6": MEDIUM, "17": SLIGHT / 2},
    "surprised": {"1": STRONG, "2": MEDIUM, "5": STRONG},
}
"""Strength of each action unit at intensity 1. Those that hinder lips which speak (10, 12, 16, 17, 20) are held back;
so is 4, which in coefficients only lowers the brows: beside 1 it would undo what it should draw together (in fear it
is left out), and low brows cover the eyes that 7 narrows. 5 is shown in full, in place of the dropped jaw."""

GAIN_RANGE = (0.6, 1.25)
"""Bounds of how much less or more than the prior a person shows, as the emotions that were recorded tell."""


def prior(label: str) -> Array:
    """Return [52]: what an emotion at full intensity adds to a neutral face, in coefficients.

    >>> float(prior("happy")[ARKIT_NAMES.index("mouthSmileLeft")])
    0.699999988079071
    """
    row = np.zeros(len(ARKIT_NAMES), np.float32)
    for unit, strength in PROTOTYPES[label].items():
        for name, share in ACTION_UNITS[unit].items():
            row[ARKIT_NAMES.index(name)] += strength * share
    return np.clip(row, 0.0, 1.0)


def expressiveness(recorded: Mapping[str, Array]) -> float:
    """Return how strongly a person shows emotions against the prior: bounded; 1 where nothing tells.

    Args:
        recorded: by label, [52] each: how far the mean expression moved from neutral, at full intensity.
    """
    gains = []
    for label, shift in recorded.items():
        expected = prior(label)
        if expected.any() and shift.any():
            gains.append(float(expected @ shift) / float(expected @ expected))
    return float(np.clip(np.median(gains), *GAIN_RANGE)) if gains else 1.0


def for_person(label: str, rest: Array, gain: float = 1.0) -> Array:
    """Return [52]: the prior of an emotion on this person's face, as far as coefficients go.

    How far the recording went says nothing: whoever was recorded without any emotion would show none.

    Args:
        label: one of the eight.
        rest: [52] the person's silent face.
        gain: from `expressiveness`.
    """
    return np.minimum(gain * prior(label), np.maximum(1.0 - rest, 0.0)).astype(np.float32)
