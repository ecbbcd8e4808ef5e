"""How well a mouth says a sound: when and how closely the lips follow it, how far they part, and whether they close."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aednerf.capture.sync import mouth_and_sound
from aednerf.core.units import FPS
from aednerf.speech.phoneme import BILABIALS, Phoneme

CLOSED_SHARE = 0.1
"""Lips are closed below this share of the recording's 95th percentile of their gap."""

REACH_FRAMES = 2
"""So far from a bilabial's moment its closure may be."""

WIDE_PERCENTILE = 95


@dataclass(frozen=True)
class Articulation:
    """The figures of one mouth and one sound; NaN where a figure is not known."""

    n_frames: int
    lag_frames: float
    """The delay at which the lips' gap follows the sound best: above 0 the lips come later."""

    correlation: float
    """Of the gap with the level between 300 and 3000 Hz, at that delay."""

    chance: float
    """The same with the sound moved on by half its length: what the best of all delays finds where nothing belongs."""

    wide: float
    """95th percentile of the gap, over the recording's."""

    n_bilabials: int
    """How many m, b and p there are; 0 where the phonemes are not known."""

    closure_rate: float
    """The share of them for which the lips close."""

    @staticmethod
    def of(
        gap: NDArray[np.floating], sound: NDArray[np.float32], phonemes: Sequence[Phoneme], wide: float
    ) -> Articulation:
        """Measure a mouth.

        Args:
            gap: [T] how far the lips part, in any unit; NaN where it is not known.
            sound: [n] 16 kHz samples, from the first frame on.
            phonemes: What is said, in seconds of the sound; none where that is not known.
            wide: 95th percentile of the recording's gap, in the same unit.
        """
        sync, moved = mouth_and_sound(gap, sound), mouth_and_sound(gap, np.roll(sound, len(sound) // 2))
        known = gap[np.isfinite(gap)]
        n_bilabials, n_closed = count_closures(gap, phonemes, CLOSED_SHARE * wide)
        is_measured = any(sync.curve)
        return Articulation(
            len(gap), sync.lag_frames if is_measured else math.nan, sync.correlation if is_measured else math.nan,
            moved.correlation if is_measured else math.nan, wide_gap(known) / wide if len(known) else math.nan,
            n_bilabials, n_closed / n_bilabials if n_bilabials else math.nan,
        )  # fmt: skip


def wide_gap(gap: NDArray[np.floating]) -> float:
    """Return the 95th percentile of a gap, those not known left out."""
    return float(np.nanpercentile(gap, WIDE_PERCENTILE))


def count_closures(gap: NDArray[np.floating], phonemes: Sequence[Phoneme], closed: float) -> tuple[int, int]:
    """Count the bilabials that fall into known frames, and those of them for which the lips close.

    The lips part where p and b begin (the silence before a burst counts to the sound before), and touch in the middle
    of m. The least gap within `REACH_FRAMES` frames of that moment decides.

    Args:
        gap: [T] how far the lips part; NaN where it is not known.
        phonemes: In seconds from the first frame's beginning.
        closed: The gap under which lips are closed.
    """
    n, n_closed = 0, 0
    for phoneme in phonemes:
        if phoneme.name[:1] not in BILABIALS:
            continue
        is_held = phoneme.name[0] == "m"
        moment_s = (phoneme.start_s + phoneme.end_s) / 2 if is_held else phoneme.start_s
        frame = round(moment_s * FPS - 0.5)  # frame t is seen at (t + 0.5) / 25 s
        around = gap[max(0, frame - REACH_FRAMES) : frame + REACH_FRAMES + 1]
        if np.isfinite(around).any():
            n += 1
            n_closed += bool(np.nanmin(around) < closed)
    return n, n_closed
