"""How a mouth and a sound go together: the delay at which the lips' opening follows the loudness of the speech."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from aednerf.core.units import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME

MAX_LAG = 10
"""Delays of up to this many frames either way are tried."""

_BAND_HZ = (300.0, 3000.0)
_TREND_FRAMES = 51


@dataclass(frozen=True)
class MouthSound:
    """The correlation of mouth and sound over the delay between them."""

    lag_frames: float
    """The delay with the best correlation: above 0 the mouth moves after the sound, so the sound comes too early."""

    correlation: float
    """At the best delay."""

    curve: tuple[float, ...]
    """At the delays -10 ... 10 frames."""


def mouth_and_sound(gap: NDArray[np.floating], sound: NDArray[np.float32]) -> MouthSound:
    """Find the delay between mouth and sound.

    Args:
        gap: [T] how far the lips are open, in any unit; NaN where it is not known.
        sound: [n] 16 kHz samples, from the first frame on.

    Returns:
        The delay, to a fraction of a frame, and how well it explains the two; all 0 when nothing moves.
    """
    n = min(len(gap), len(sound) // SAMPLES_PER_FRAME)
    known = np.isfinite(gap[:n])
    if known.sum() < 3 * MAX_LAG:
        return MouthSound(0.0, 0.0, (0.0,) * (2 * MAX_LAG + 1))
    mouth = np.interp(np.arange(n), np.flatnonzero(known), gap[:n][known])
    mouth, loudness = _without_trend(mouth), _without_trend(band_energy_db(sound)[:n])
    curve = np.array([_correlation(mouth, loudness, known, lag) for lag in range(-MAX_LAG, MAX_LAG + 1)])
    best = int(curve.argmax()) if curve.max() > 0 else MAX_LAG
    lag = float(best - MAX_LAG)
    if 0 < best < 2 * MAX_LAG:  # the peak of the parabola through three points
        before, peak, after = curve[best - 1 : best + 2]
        if (bend := before - 2 * peak + after) < 0:
            lag += float(0.5 * (before - after) / bend)
    return MouthSound(round(lag, 2), round(float(curve[best]), 4), tuple(np.round(curve, 4).tolist()))


def band_energy_db(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return [n // 640] the level between 300 and 3000 Hz around each frame, in decibels, not below -60."""
    n = len(sound) // SAMPLES_PER_FRAME
    padded = np.pad(sound, (SAMPLES_PER_FRAME // 2, 2 * SAMPLES_PER_FRAME))
    energy = np.empty(n)
    frequency = np.fft.rfftfreq(2 * SAMPLES_PER_FRAME, 1 / SAMPLE_RATE_HZ)
    band = (frequency >= _BAND_HZ[0]) & (frequency <= _BAND_HZ[1])
    window = np.hanning(2 * SAMPLES_PER_FRAME)
    for frame in range(n):
        piece = padded[frame * SAMPLES_PER_FRAME : (frame + 2) * SAMPLES_PER_FRAME]
        energy[frame] = np.square(np.abs(np.fft.rfft(piece * window))[band]).mean()
    level = 10 * np.log10(energy + 1e-10)
    return np.maximum(level, level.max() - 60)


def _without_trend(values: NDArray[np.float64]) -> NDArray[np.float64]:
    smooth = gaussian_filter1d(values, 1.0)
    return smooth - uniform_filter1d(smooth, _TREND_FRAMES, mode="nearest")


def _correlation(mouth: NDArray[Any], loudness: NDArray[Any], known: NDArray[np.bool_], lag: int) -> float:
    """Correlate mouth[t + lag] with loudness[t] where the mouth is known."""
    n = len(mouth)
    later = slice(max(0, lag), n + min(0, lag))
    earlier = slice(max(0, -lag), n + min(0, -lag))
    a, b = mouth[later][known[later]], loudness[earlier][known[later]]
    a, b = a - a.mean(), b - b.mean()
    size = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / size) if size > 0 else 0.0
