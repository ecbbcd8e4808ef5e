"""The log-mel features: streaming is exact, loudness does not matter, time is where it should be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aednerf.core.errors import InputError
from aednerf.core.units import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME, frames_for_samples
from aednerf.speech.encoder import encode, find_encoder
from aednerf.speech.features import (
    LOG_MEL_DIM,
    LOOKAHEAD_S,
    N_MELS,
    N_SPECTRA,
    SILENT_VALUE,
    LogMel,
    log_mel,
    mel_centres_hz,
    mel_filters,
)


def speech_like(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise that comes and goes four times a second, over a faint floor."""
    rng = np.random.default_rng(seed)
    n = int(seconds * SAMPLE_RATE_HZ)
    loud = np.clip(np.sin(2 * np.pi * 4 * np.arange(n) / SAMPLE_RATE_HZ), 0, 1)
    return (0.15 * loud * rng.standard_normal(n) + 2e-4 * rng.standard_normal(n)).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(0, 9000),
    cuts=st.lists(st.integers(0, 9000), max_size=8),
    seed=st.integers(0, 3),
)
def test_any_cutting_gives_the_same_bits(n: int, cuts: list[int], seed: int) -> None:
    samples = speech_like(1.0, seed)[:n]
    bounds = [0, *sorted(min(cut, n) for cut in cuts), n]
    stream = LogMel()
    pieces = [stream.push(samples[a:b]) for a, b in zip(bounds, bounds[1:], strict=False)]
    rows = np.concatenate([*pieces, stream.flush()])
    assert rows.shape == (frames_for_samples(n), LOG_MEL_DIM)
    np.testing.assert_array_equal(rows, log_mel(samples))


def test_a_row_needs_no_more_than_the_stated_look_ahead() -> None:
    samples, needed = speech_like(1.0), 10 * SAMPLES_PER_FRAME + round(LOOKAHEAD_S * SAMPLE_RATE_HZ)
    assert len(LogMel().push(samples[: needed - 1])) == 9
    rows = LogMel().push(samples[:needed])
    assert len(rows) == 10
    changed = samples.copy()
    changed[needed:] = 0.9
    np.testing.assert_array_equal(log_mel(changed)[:10], rows)


def test_a_tone_lands_in_its_band_at_its_time() -> None:
    samples = np.zeros(SAMPLE_RATE_HZ, np.float32)
    start = 12 * SAMPLES_PER_FRAME
    samples[start:] = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(len(samples) - start) / SAMPLE_RATE_HZ)
    rows = log_mel(samples).reshape(-1, N_SPECTRA, N_MELS)
    assert (rows[:11] == SILENT_VALUE).all()
    assert abs(mel_centres_hz()[rows[14, 0].argmax()] - 1000) < 40
    assert rows[12, -1].max() > SILENT_VALUE + 1.5


@pytest.mark.parametrize("gain", [0.05, 0.2, 4.0])
def test_loudness_hardly_matters_once_the_voice_is_known(gain: float) -> None:
    samples = speech_like(8.0)
    loud = log_mel(samples).reshape(-1, N_SPECTRA, N_MELS).mean(2)
    other = log_mel(samples * gain).reshape(-1, N_SPECTRA, N_MELS).mean(2)
    audible = loud[150:] > -1.5
    # Worst seen: 0.22 of 20 dB, where the gains themselves span 38 dB.
    assert np.abs(other - loud)[150:][audible].max() < 0.3


def test_pauses_and_noise_are_not_amplified() -> None:
    noise = (1e-3 * np.random.default_rng(0).standard_normal(20 * SAMPLE_RATE_HZ)).astype(np.float32)
    assert log_mel(noise).mean() < -2.0
    assert (log_mel(np.zeros(SAMPLE_RATE_HZ, np.float32)) == SILENT_VALUE).all()


def test_every_mel_filter_hears_something() -> None:
    assert (mel_filters().sum(0) > 0).all()


@pytest.mark.parametrize("bad", [np.zeros((10, 2), np.float32), np.array([0.0, np.nan], np.float32)])
def test_what_is_no_mono_sound_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(InputError, match="mono"):
        LogMel().push(bad)


def test_encoders_are_found_by_name() -> None:
    encoder = find_encoder("log-mel")
    samples = speech_like(0.5)
    np.testing.assert_array_equal(encode(encoder, samples), log_mel(samples))
    assert encoder.silence.shape == (encoder.dim,) and encoder.lookahead_s == LOOKAHEAD_S
    with pytest.raises(InputError, match="nosuch.*log-mel"):
        find_encoder("nosuch")
