"""Lips that speech closes stay closed, whatever the emotion: it gives way where the neutral mouth closes.

A mouth network learns from a minute of speech, most of it neutral, and an emotion that smiles, sneers or drops the jaw
lifts all of the mouth's movement, its closures for m, b, p, f and v included. People do not: they close their lips
through a grin. So the same sound is also heard as neutral speech, and where that mouth is closed, what the emotion
parts the lips by is taken back.
"""

from __future__ import annotations

import numpy as np

from aednerf.core.records import ARKIT_NAMES, Array
from aednerf.motion.channels import JAW_OPEN
from aednerf.motion.statistics import MotionStats

_GAP_MM: dict[str, float] = {
    "jawOpen": 28.9, "jawForward": 1.1, "jawLeft": -0.2, "jawRight": -0.2, "mouthClose": -37.2,
    "mouthDimpleLeft": -0.8, "mouthDimpleRight": -0.8, "mouthFunnel": 10.8, "mouthLeft": -0.5, "mouthRight": -0.5,
    "mouthLowerDownLeft": 2.9, "mouthLowerDownRight": 2.9, "mouthPressLeft": -1.1, "mouthPressRight": -1.1,
    "mouthPucker": -1.3, "mouthRollLower": -2.5, "mouthRollUpper": 1.6, "mouthShrugLower": -6.4,
    "mouthShrugUpper": 4.6, "mouthUpperUpLeft": 3.5, "mouthUpperUpRight": 3.5, "noseSneerLeft": 3.2,
    "noseSneerRight": 3.2,
}  # fmt: skip
"""By how much each coefficient at 1 parts the middle of the inner lips of the face model's mean person. What parts them
by less than 0.2 mm is left out."""

GAP_BY = np.array([_GAP_MM.get(name, 0.0) for name in ARKIT_NAMES], np.float32)

REST_RANGE_MM = (0.5, 3.0)
"""Where the neutral mouth counts as closed: where it is at rest, within these bounds above the model's own gap."""

_FIRMLY = 1.3
"""What is taken back is more than the table says: it is the mean person's, and lips that nearly close are open."""

OPEN_SHARE = 0.25
"""So far from rest to the jaw's widest the neutral mouth is no longer closed at all."""

MEMORY_FRAMES = 2
"""A closure belongs to speech for so long after the mouth was open or speech was heard; in a longer pause the emotion
has the mouth."""

ADDED_MEMORY_FRAMES = 16
"""The same of an emotion that adds to the mouth whatever is said, as the prior does. Nobody showed what it makes of a
pause; lips that it parts in each short one stand open when nothing sounds, as if they were late."""

DEAF_MEMORY_FRAMES = 20
"""The same where the encoder does not tell speech, so that lips which stay closed between words look like a pause."""


class Closing:
    """Take back what an emotion parts closed lips by, frame after frame.

    Args:
        stats: the person's rest pose and range.
        hears_speech: whether the encoder tells how surely somebody speaks.
    """

    def __init__(self, stats: MotionStats, hears_speech: bool) -> None:
        rest = stats.rest[: len(ARKIT_NAMES)]
        self._closed = float(np.clip(rest @ GAP_BY, *REST_RANGE_MM))
        jaw = max(float(stats.high[JAW_OPEN] - rest[JAW_OPEN]), 0.02)
        self._open = self._closed + OPEN_SHARE * jaw * float(GAP_BY[JAW_OPEN])
        self._memory = MEMORY_FRAMES if hears_speech else DEAF_MEMORY_FRAMES
        self._speaking = 0.0

    def __call__(self, expression: Array, neutral: Array, speech: float, added: Array) -> tuple[Array, np.float32]:
        """Return the expression [52] of the next frame, and what share of the emotion's opening was taken back.

        Args:
            expression: [52] with the emotion.
            neutral: [52] what the same sound makes of the face without it.
            speech: in [0, 1] how surely somebody speaks now or at once: lips that close first thing after a pause
                were not open before.
            added: [52] what of `expression` the emotion adds whatever is said.
        """
        gap = float(neutral @ GAP_BY)
        openness = _smooth((gap - self._closed) / (self._open - self._closed))
        memory = max(self._memory, ADDED_MEMORY_FRAMES) if (added * GAP_BY > 0).any() else self._memory
        self._speaking = max(openness, speech, self._speaking - 1.0 / memory)
        closed = (1.0 - openness) * _smooth(2.0 * self._speaking)
        parts = (expression - neutral) * GAP_BY
        excess, parted = max(float(parts.sum()), 0.0), float(parts[parts > 0].sum())
        if closed <= 0.0 or excess <= 0.0:
            return expression, np.float32(0.0)
        share = np.float32(closed * min(1.0, _FIRMLY * excess / parted))
        return np.where(parts > 0, expression + share * (neutral - expression), expression), share


def _smooth(share: float) -> float:
    share = min(max(share, 0.0), 1.0)
    return share * share * (3.0 - 2.0 * share)
