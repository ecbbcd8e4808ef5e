"""How far an emotion moves a face away from its neutral, and how alike two such shifts are: pure functions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from aednerf.capture.capture import Capture
from aednerf.core.records import ARKIT_NAMES, EMOTIONS
from aednerf.motion.channels import BLINK_COLUMNS, LOOK_COLUMNS

Array = NDArray[np.float64]

N_STEPS = 11
INTENSITIES = tuple(float(each) for each in np.linspace(0.0, 1.0, N_STEPS).round(3))

FELT_COLUMNS = np.setdiff1d(np.arange(len(ARKIT_NAMES)), [*BLINK_COLUMNS, *LOOK_COLUMNS])
"""The coefficients that count: blinks and gaze come and go by themselves."""


def recorded_shifts(capture: Capture) -> dict[str, Array]:
    """Return, by label, [52]: the mean expression of the capture's clips of it less the neutral clips', at intensity 1.

    Labels without clips are left out; all are, where no clip is neutral.
    """
    means = {label: _mean(capture, label) for label in EMOTIONS}
    neutral = means.pop("neutral")
    if neutral is None:
        return {}
    return {label: (mean[0] - neutral[0]) / mean[1] for label, mean in means.items() if mean is not None}


def _mean(capture: Capture, label: str) -> tuple[Array, float] | None:
    """Return the mean expression [52] of a label's valid frames, clips alike, and the clips' mean intensity."""
    rows, intensities = [], []
    for clip in capture.clips:
        frames = np.arange(clip.first, clip.end)
        frames = frames[capture.tracking.valid[frames]]
        if clip.emotion == label and len(frames):
            rows.append(capture.motion(frames).expression.mean(0).astype(np.float64))
            intensities.append(clip.intensity)
    return (np.mean(rows, axis=0), max(float(np.mean(intensities)), 1 / 3)) if rows else None


def cosine(shift: Array, reference: Array, columns: NDArray[np.intp] = FELT_COLUMNS) -> float:
    """Return the cosine of two shifts [52] over some columns; NaN where one of them is nothing."""
    a, b = shift[columns], reference[columns]
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 1e-9 else math.nan


def length_ratio(shift: Array, reference: Array, columns: NDArray[np.intp] = FELT_COLUMNS) -> float:
    """Return the length of a shift [52] over that of its reference; NaN where the reference is nothing."""
    size = float(np.linalg.norm(reference[columns]))
    return float(np.linalg.norm(shift[columns])) / size if size > 1e-9 else math.nan


def progress_along(shift: Array, reference: Array, columns: NDArray[np.intp] = FELT_COLUMNS) -> float:
    """Return how much of the reference [52] a shift shows: 1 where its part along the reference is as long."""
    size = float(reference[columns] @ reference[columns])
    return float(shift[columns] @ reference[columns]) / size if size > 1e-18 else math.nan


def rank_correlation(values: Array) -> float:
    """Return Spearman's correlation of values [N] with their order: 1 where each is larger than the one before."""
    found = np.asarray(values, np.float64)
    known = np.isfinite(found)
    if known.sum() < 3 or np.ptp(found[known]) == 0:
        return math.nan
    correlation, _ = spearmanr(np.flatnonzero(known), found[known])
    return float(np.asarray(correlation))
