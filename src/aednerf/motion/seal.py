"""Lips that m, b and p seal: they close where the sound says so surely, however little the mouth network moves them.

A network that is fitted to a minute of speech moves the lips towards their mean: it hears a b, and stops short of the
closure. What it reads says more: the encoder tells how surely each sound is heard, also of voices and languages that
the person never spoke. Where that is an m, b or p, the rest of the way is gone here, with the coefficients by which
this person parts and closes the lips.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aednerf.core.records import ARKIT_NAMES, Array
from aednerf.core.units import FPS
from aednerf.motion.channels import JAW_OPEN, MOUTH_CLOSE, SNEER_COLUMNS
from aednerf.motion.closing import GAP_BY

UNSURE, SURE = 0.4, 0.8
"""Probabilities of m, b and p together up to which the lips are left alone, and from which they close fully."""

HOLD_S, RAMP_S = 0.010, 0.070
"""So far from the sound's middle the lips are closed, and so long they take to get there and back."""

REACH = 2
"""Frames each way in which a sound matters: those within `HOLD_S + RAMP_S`."""

SEALED_MM = -0.6
"""The gap by the table `GAP_BY` at which lips count as sealed: in the mean neutral face they are 0.8 mm apart, in many
people's less, and lips shall not go through each other."""

LEAST_MM = 2.0
"""Coefficients that part the lips by less are left alone."""

JAW_SHARE = 0.25
"""Each coefficient goes by the same share of the range that this person uses, the jaw by so much of it: lips close over
teeth that stay apart, and the jaw goes on following the vowels."""

_PASSES = 12
"""A coefficient at its bound leaves its share to the others, in the next pass."""


class Seal:
    """Close the lips of one person as far as speech asks for.

    Args:
        stats_low: [52] the least of each coefficient that the recording shows.
        stats_high: [52] the most of each.
    """

    def __init__(self, stats_low: Array, stats_high: Array) -> None:
        self._low, self._high = stats_low, stats_high
        # The nose's wings belong to feeling, and what parts the lips by little would have to move by much.
        is_used = (np.abs(GAP_BY) >= LEAST_MM) & ~np.isin(np.arange(len(ARKIT_NAMES)), SNEER_COLUMNS)
        self._weight = np.where(is_used, (stats_high - stats_low) * np.sign(GAP_BY), 0.0)
        self._weight[JAW_OPEN] *= JAW_SHARE

    def __call__(self, expression: Array, share: float) -> Array:
        """Return the expression [52] with so large a share in [0, 1] of the lips' opening taken back.

        `mouthClose` must not be above `jawOpen`, and is not in the answer.
        """
        to_close = share * max(float(expression @ GAP_BY) - SEALED_MM, 0.0)
        if to_close <= 0.0:
            return expression
        row = expression.astype(np.float32)
        wanted = float(row @ GAP_BY) - to_close
        low, high = np.minimum(self._low, row), np.maximum(self._high, row)
        for _ in range(_PASSES):
            high[MOUTH_CLOSE] = max(min(high[MOUTH_CLOSE], row[JAW_OPEN]), row[MOUTH_CLOSE])
            weight = np.where(np.where(self._weight > 0, row > low, row < high), self._weight, 0.0)
            power = float(weight @ GAP_BY)
            excess = float(row @ GAP_BY) - wanted
            if power < 1e-6 or excess < 1e-3:
                break
            row = np.clip(row - excess / power * weight, low, high).astype(np.float32)
            row[MOUTH_CLOSE] = min(row[MOUTH_CLOSE], row[JAW_OPEN])
        return row


def sealing(heard: Sequence[Array], own: int) -> float:
    """Return in [0, 1] how far the lips close in a frame.

    Args:
        heard: the probabilities of m, b and p together in the equal parts of each frame, [parts] a frame, around it.
        own: which of the frames is the one that is asked for.
    """
    sure = _smooth((np.stack(heard) - UNSURE) / (SURE - UNSURE))
    n_frames, n_parts = sure.shape
    middles = np.arange(n_frames)[:, None] - own + (np.arange(n_parts) + 0.5) / n_parts - 0.5
    near = _smooth(1.0 - (np.abs(middles) / FPS - HOLD_S) / RAMP_S)
    return float((sure * near).max())


def _smooth(share: np.ndarray) -> np.ndarray:
    share = np.clip(share, 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)
