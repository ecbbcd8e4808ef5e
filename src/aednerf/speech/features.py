"""Log-mel features of speech: one row per video frame, computed as the sound arrives.

Row i describes the samples [640 i, 640 (i + 1)) of its video frame by four spectra of 25 ms, 10 ms apart, centred
80, 240, 400 and 560 samples into the frame. The last one reaches 120 samples (7.5 ms) past the frame: `LOOKAHEAD_S`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from aednerf.core.errors import InputError
from aednerf.core.records import Array
from aednerf.core.units import FPS, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME, frames_for_samples

N_MELS = 80
N_SPECTRA = 4
"""Spectra per video frame (one each 10 ms)."""

LOG_MEL_DIM = N_SPECTRA * N_MELS
"""Columns of a row: the four spectra in order of time, each from low to high frequency."""

LOW_HZ, HIGH_HZ = 60.0, 7600.0
DB_PER_UNIT = 20.0
FLOOR_DB = -60.0
"""Lowest value, relative to the speaker's level; a row of silence is `FLOOR_DB / DB_PER_UNIT` throughout."""

SILENT_VALUE = FLOOR_DB / DB_PER_UNIT

_WINDOW = 400
_HOP = SAMPLES_PER_FRAME // N_SPECTRA
_FFT = 512
_LEAD = _WINDOW // 2 - _HOP // 2
_TAIL = _LEAD
_SPAN = _LEAD + SAMPLES_PER_FRAME + _TAIL
LOOKAHEAD_S = _TAIL / SAMPLE_RATE_HZ


@lru_cache(maxsize=1)
def mel_filters() -> np.ndarray:
    """Return [257, 80] triangular filters, equally spaced on the mel scale, each of unit height."""
    edges = np.linspace(_mel(LOW_HZ), _mel(HIGH_HZ), N_MELS + 2)
    bins = _mel(np.arange(_FFT // 2 + 1) * SAMPLE_RATE_HZ / _FFT)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0.0, np.minimum(rising, falling))
    # Low filters are narrower than one FFT bin and may miss every bin: give those the nearest one.
    empty = np.flatnonzero(filters.sum(0) == 0)
    filters[np.abs(bins - edges[1:-1][empty]).argmin(0), empty] = 1.0
    return filters


def mel_centres_hz() -> np.ndarray:
    """Return [80] the centre frequency of each mel band."""
    mels = np.linspace(_mel(LOW_HZ), _mel(HIGH_HZ), N_MELS + 2)[1:-1]
    return 700.0 * (10.0 ** (mels / 2595.0) - 1.0)


def _mel(hz: np.ndarray | float) -> np.ndarray:
    return 2595.0 * np.log10(1.0 + np.asarray(hz) / 700.0)


@lru_cache(maxsize=1)
def _hann() -> np.ndarray:
    window = np.hanning(_WINDOW + 1)[:-1]
    # A full-scale sine then has a power of about 0 dB in its bin.
    return window * (2.0 / window.sum())


@dataclass
class SpeakerLevel:
    """A running estimate of how loud the speaker is, from what was heard so far.

    Frames well above the background count as speech; the level is their mean in dB, a prior of 0.4 s at first, then
    with a memory of about 6 s of speech. Silence and steady noise leave it alone, so pauses are never amplified. After
    the active speech level of ITU-T P.56, made recursive.
    """

    level_db: float = -30.0
    noise_db: float | None = None
    n_active: int = 0

    PRIOR_FRAMES = 10
    MEMORY_FRAMES = 6 * FPS
    ACTIVE_DB = 12.0
    NOISE_RISE_DB = 2.0 / FPS
    NOISE_RANGE_DB = (-72.0, -40.0)
    LEVEL_RANGE_DB = (-60.0, 0.0)

    def update(self, energy_db: float) -> float:
        """Take in one frame's energy and return the level, both in dB."""
        low, high = self.NOISE_RANGE_DB
        noise = energy_db if self.noise_db is None else min(energy_db, self.noise_db + self.NOISE_RISE_DB)
        self.noise_db = min(max(noise, low), high)
        if energy_db > self.noise_db + self.ACTIVE_DB:
            self.n_active += 1
            share = 1.0 / min(self.n_active + self.PRIOR_FRAMES, self.MEMORY_FRAMES)
            level = self.level_db + share * (energy_db - self.level_db)
            self.level_db = min(max(level, self.LEVEL_RANGE_DB[0]), self.LEVEL_RANGE_DB[1])
        return self.level_db


class LogMel:
    """A stream of samples in, rows of log-mel features out.

    However the samples are cut into pieces, the rows are the same, bit for bit: each row is computed alone, by the
    same operations on arrays of the same shapes. The rows are relative to the speaker's running level, so that a quiet
    recording and a loud one look alike, and nothing is ever taken from the rest of the file.
    """

    def __init__(self) -> None:
        self._level = SpeakerLevel()
        self._pending = np.zeros(_LEAD, np.float32)
        self._n_samples = 0
        self._n_rows = 0

    def push(self, samples: np.ndarray) -> Array:
        """Take the next samples and return the rows they complete.

        Args:
            samples: [n] mono 16 kHz in [-1, 1], any n.

        Returns:
            [m, 320] float32 in units of 20 dB relative to the speaker's level, at least -3.

        Raises:
            InputError: the samples are not one row of finite numbers.
        """
        samples = np.asarray(samples, np.float32)
        if samples.ndim != 1 or not np.isfinite(samples).all():
            raise InputError(
                f"Expected mono audio as finite numbers [n], got an array {samples.shape}: mix or repair it."
            )
        self._n_samples += len(samples)
        self._pending = np.concatenate([self._pending, samples])
        n_ready = max(0, (len(self._pending) - _SPAN) // SAMPLES_PER_FRAME + 1)
        return self._rows(n_ready)

    def flush(self) -> Array:
        """End the stream: return the rows that are left, so that there are `frames_for_samples(n)` in all."""
        n_left = frames_for_samples(self._n_samples) - self._n_rows
        missing = n_left * SAMPLES_PER_FRAME + _LEAD + _TAIL - len(self._pending)
        if missing > 0:
            self._pending = np.concatenate([self._pending, np.zeros(missing, np.float32)])
        return self._rows(n_left)

    def _rows(self, n: int) -> Array:
        rows = np.empty((n, LOG_MEL_DIM), np.float32)
        for i in range(n):
            start = i * SAMPLES_PER_FRAME
            rows[i] = self._row(self._pending[start : start + _SPAN])
        self._pending = self._pending[n * SAMPLES_PER_FRAME :]
        self._n_rows += n
        return rows

    def _row(self, span: np.ndarray) -> np.ndarray:
        return _relative(_mel_power(span.astype(np.float64)), self._level)


def log_mel(samples: np.ndarray) -> Array:
    """Return the rows [T, 320], T = `frames_for_samples(n)`, of a whole recording [n], bit for bit as streamed."""
    stream = LogMel()
    return np.concatenate([stream.push(samples), stream.flush()])


def log_mel_at_once(samples: np.ndarray) -> Array:
    """Return the rows [T, 320] of a whole recording, those of a stream up to rounding, and far sooner."""
    n_rows = frames_for_samples(len(samples))
    padded = np.zeros(_LEAD + n_rows * SAMPLES_PER_FRAME + _TAIL)
    heard = samples[: len(padded) - _LEAD]  # what is left of the last frame when it is too short to count
    padded[_LEAD : _LEAD + len(heard)] = heard
    power = _mel_power(padded) if n_rows else np.zeros((0, N_MELS))
    level = SpeakerLevel()
    rows = [_relative(part, level) for part in power.reshape(n_rows, N_SPECTRA, N_MELS)]
    return np.array(rows, np.float32).reshape(n_rows, LOG_MEL_DIM)


def _mel_power(samples: np.ndarray) -> np.ndarray:
    """Return [spectra, 80]: the power in each band of windows of the samples, a hop apart."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP]
    spectra = np.fft.rfft(frames * _hann(), _FFT)
    return (spectra.real**2 + spectra.imag**2) @ mel_filters()


def _relative(power: np.ndarray, level: SpeakerLevel) -> np.ndarray:
    """Return a row [320] of a frame's spectra [4, 80], relative to the speaker's level, which takes it in."""
    energy_db = 10.0 * np.log10(power.sum(1).mean() + 1e-12)
    relative_db = 10.0 * np.log10(power + 1e-12) - level.update(float(energy_db))
    return np.maximum(relative_db, FLOOR_DB).ravel() / DB_PER_UNIT
