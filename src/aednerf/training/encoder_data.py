"""What the bundled speech encoder learns from: spoken texts as they sound in rooms, through microphones, in noise.

Every copy of an utterance has another speed (which moves pitch and formants too), room, microphone, background and
loudness; formants alone move later, along the mel axis of a batch (`motion_data.perturb_log_mel`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, resample

from aednerf.core.records import Array
from aednerf.core.units import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from aednerf.speech.features import log_mel
from aednerf.speech.phone_network import STEPS_PER_ROW
from aednerf.training.motion_data import coloured_noise

STEP_S = SAMPLES_PER_FRAME / STEPS_PER_ROW / SAMPLE_RATE_HZ


@dataclass(frozen=True)
class Spoken:
    """A spoken text and the times of its phones."""

    samples: Array
    """[n] 16 kHz mono."""

    starts_s: NDArray[np.float64]
    """[P] when each phone begins."""

    phones: NDArray[np.int64]
    """[P] indices into `PHONES`."""


@dataclass(frozen=True)
class Heard:
    """An utterance as the network gets it."""

    rows: NDArray[np.float16]
    """[T, 320] log-mel rows."""

    phones: NDArray[np.int64]
    """[2 T] the phone in the middle of each step."""


def heard(spoken: Spoken) -> Heard:
    """Return the rows and the phones of an utterance."""
    rows = log_mel(spoken.samples)
    middles = (np.arange(len(rows) * STEPS_PER_ROW) + 0.5) * STEP_S
    at = np.clip(np.searchsorted(spoken.starts_s, middles, side="right") - 1, 0, None)
    return Heard(rows.astype(np.float16), spoken.phones[at])


def varied(spoken: Spoken, babble: list[Array], rng: np.random.Generator) -> Spoken:
    """Return the utterance at another speed, in another room, through another microphone, in noise.

    Args:
        spoken: what is said.
        babble: sounds of other speakers.
        rng: draws all of it.
    """
    speed = float(rng.uniform(0.8, 1.25))
    samples = resample(spoken.samples.astype(np.float64), max(1, int(len(spoken.samples) / speed)))
    samples = np.asarray(samples)
    if rng.random() < 0.4:
        samples = in_a_room(samples, rng)
    if rng.random() < 0.6:
        samples = through_a_microphone(samples, rng)
    if rng.random() < 0.75:
        snr_db = float(rng.uniform(-2, 32))
        samples = in_noise(samples, background(len(samples), babble, rng), snr_db)
    samples = samples * 10 ** (rng.uniform(-26, 4) / 20) * 0.1 / (np.sqrt(np.mean(samples**2)) + 1e-6)
    samples = np.clip(samples, -1, 1).astype(np.float32)
    return Spoken(samples, spoken.starts_s / speed, spoken.phones)


def nobody(seconds: float, rng: np.random.Generator) -> Spoken:
    """Return a stretch in which nobody speaks: a room's noise, now and then loud, or digital silence."""
    samples = np.zeros(int(seconds * SAMPLE_RATE_HZ))
    if rng.random() < 0.85:
        noise = background(len(samples), [], rng)
        samples = noise / (noise.std() + 1e-9) * 10 ** (rng.uniform(-80, -25) / 20)
    return Spoken(np.clip(samples, -1, 1).astype(np.float32), np.zeros(1), np.zeros(1, np.int64))


def in_a_room(samples: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the sound with decaying noise for a room's answer, the direct sound first."""
    decay_s, level_db = float(rng.uniform(0.08, 0.7)), float(rng.uniform(-14, 2))
    times = np.arange(int(decay_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    answer = rng.standard_normal(len(times)) * 10 ** (-3 * times / decay_s)
    answer[: int(rng.uniform(0.001, 0.015) * SAMPLE_RATE_HZ)] = 0
    answer *= 10 ** (level_db / 20) / (np.sqrt(np.square(answer).sum()) + 1e-9)
    answer[0] = 1.0
    return fftconvolve(samples, answer)[: len(samples)]


def through_a_microphone(samples: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the sound through a filter of random smooth response; sometimes its lows or its highs are cut."""
    spectrum = np.fft.rfft(samples)
    hz = np.linspace(0, SAMPLE_RATE_HZ / 2, len(spectrum))
    octaves = np.log2(np.maximum(hz, 40) / 40)
    knots = rng.normal(0, 4.5, 9)
    gain_db = np.interp(octaves, np.linspace(0, octaves[-1], 9), knots)
    if rng.random() < 0.3:
        gain_db -= 24 * np.maximum(0, np.log2(rng.uniform(100, 350) / np.maximum(hz, 10)))
    if rng.random() < 0.3:
        gain_db -= 60 * np.maximum(0, np.log2(np.maximum(hz, 10) / rng.uniform(3200, 7000)))
    return np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(samples))


def background(n: int, babble: list[Array], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return [n] noise, or up to six people who talk at once, or a hum."""
    kind = rng.random()
    noise = coloured_noise(n, rng)
    if kind < 0.35 and babble:
        crowd = np.zeros(n)
        for index in rng.integers(0, len(babble), int(rng.integers(3, 7))):
            voice = babble[index]
            crowd += np.resize(np.roll(voice, int(rng.integers(0, len(voice)))), n) / (voice.std() + 1e-6)
        noise = crowd + 0.2 * noise
    elif kind < 0.5:
        times, pitch = np.arange(n) / SAMPLE_RATE_HZ, rng.uniform(45, 240)
        hum = sum(np.sin(2 * np.pi * pitch * k * times + rng.uniform(0, 6)) / k for k in range(1, 9))
        noise = hum + 0.3 * noise
    if rng.random() < 0.3:
        # Comes and goes.
        swell = np.interp(np.arange(n), np.linspace(0, n, 9), rng.uniform(0, 1, 9) ** 2)
        noise = noise * swell
    return noise


def in_noise(samples: NDArray[np.float64], noise: NDArray[np.float64], snr_db: float) -> NDArray[np.float64]:
    """Return the sum, the noise so many dB below the loud half of the speech."""
    power = np.square(samples)
    loud = np.sqrt(power[power >= np.median(power)].mean()) + 1e-9
    return samples + noise * loud / (np.sqrt(np.square(noise).mean()) + 1e-9) * 10 ** (-snr_db / 20)
