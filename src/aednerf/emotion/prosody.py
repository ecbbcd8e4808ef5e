"""A guess at the emotion of a voice from its prosody: pitch, loudness and rate, by rules, without anything learned.

High arousal raises pitch, its range, loudness and rate, sadness lowers them; anger is loud and bright more than it is
melodious, joy melodious, fear high and fast without being loud (R. Banse and K. Scherer, "Acoustic profiles in vocal
emotion expression", J. Personality and Social Psychology 70(3), 1996; P. Juslin and P. Laukka,
"Communication of emotions in vocal expression", Psychological Bulletin 129(5), 2003). Disgust, contempt and
surprise have no reliable profile and are never guessed. Valence hardly shows in prosody: `docs/speech.md` says how
seldom this is right.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.records import EMOTIONS, Emotion
from aednerf.core.units import SAMPLE_RATE_HZ
from aednerf.emotion.space import EmotionTrack

Array = NDArray[np.float64]

AUTO = "auto"
"""What users write instead of a label, to have it guessed."""

WINDOW_S, HOP_S = 3.0, 1.0
MOST_INTENSITY = 0.5
"""A guess never shows more strongly."""

NOTICE = (
    "The emotion is guessed from the voice's pitch, loudness and rate, and shown weakly. The guess is no better than "
    "chance: of five acted voices it was right for none (docs/speech.md). Name the emotion where you know it."
)

_FRAME, _STEP = 640, 160  # 40 ms every 10 ms
_LOWEST_HZ, _HIGHEST_HZ = 70.0, 450.0
_VOICED = 0.5
_USUAL = {"range": (2.8, 1.2), "rate": (4.0, 1.0), "tilt": (-16.0, 5.0)}
"""Mean and spread of speech in general: deviation of pitch in semitones, loudness peaks a second, and dB above 1 kHz
against below."""


class Prosody(NamedTuple):
    """A voice every 10 ms."""

    pitch: Array
    """[N] semitones over 100 Hz; NaN where there is no voice."""

    level: Array
    """[N] dB."""

    tilt: Array
    """[N] dB above 1 kHz against below."""


def listen(samples: NDArray[np.float32]) -> Prosody:
    """Measure pitch (the peak of the autocorrelation), level and tilt of samples [n], 16 kHz mono."""
    n = max(0, 1 + (len(samples) - _FRAME) // _STEP)
    pitch, level, tilt = np.full(n, np.nan), np.full(n, -100.0), np.zeros(n)
    window = np.hanning(_FRAME)
    shortest, longest = int(SAMPLE_RATE_HZ / _HIGHEST_HZ), int(SAMPLE_RATE_HZ / _LOWEST_HZ)
    own = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * _FRAME)) ** 2)[: longest + 1]
    high = np.fft.rfftfreq(2 * _FRAME, 1 / SAMPLE_RATE_HZ) > 1000
    for i in range(n):
        frame = samples[i * _STEP : i * _STEP + _FRAME].astype(np.float64)
        power = np.abs(np.fft.rfft((frame - frame.mean()) * window, 2 * _FRAME)) ** 2
        level[i] = 10 * np.log10(power.sum() / _FRAME**2 + 1e-10)
        tilt[i] = 10 * np.log10((power[high].sum() + 1e-9) / (power[~high].sum() + 1e-9))
        correlation = np.fft.irfft(power)[: longest + 1]
        if correlation[0] <= 1e-9:
            continue
        normal = correlation / correlation[0] / (own / own[0])
        lag = shortest + int(normal[shortest:].argmax())
        if normal[lag] > _VOICED:
            pitch[i] = 12 * np.log2(SAMPLE_RATE_HZ / lag / 100)
    loud = level > np.quantile(level, 0.95) - 30 if n else np.zeros(0, bool)
    return Prosody(np.where(loud, pitch, np.nan), level, tilt)


def estimate(samples: NDArray[np.float32], intensity: float = 1.0) -> EmotionTrack:
    """Guess the emotion of a voice over time.

    Args:
        samples: [n] 16 kHz mono in [-1, 1], of one speaker.
        intensity: factor in [0, 1] on how strongly a guess shows.

    Raises:
        InputError: there is less than a second, or the intensity is out of range.
    """
    if not 0.0 <= intensity <= 1.0:
        raise InputError(f"Emotion intensity must lie in [0, 1], got {intensity}.")
    if len(samples) < SAMPLE_RATE_HZ:
        seconds = len(samples) / SAMPLE_RATE_HZ
        raise InputError(f"The emotion of a voice takes at least 1 s to guess, got {seconds:.2f} s. Give --emotion.")
    heard = listen(samples)
    length, hop = int(WINDOW_S * 100), int(HOP_S * 100)
    voiced = heard.pitch[np.isfinite(heard.pitch)]
    own_pitch = float(np.median(voiced)) if len(voiced) else 0.0
    own_level = float(np.median(heard.level[np.isfinite(heard.pitch)])) if len(voiced) else 0.0
    times, emotions = [], []
    for first in range(0, max(1, len(heard.level) - length // 2), hop):
        part = Prosody(*(values[first : first + length] for values in heard))
        times.append((first + len(part.level) / 2) / 100 if first else 0.0)
        emotions.append(_guess(part, own_pitch, own_level, intensity * MOST_INTENSITY))
    return EmotionTrack(tuple(times), tuple(emotions))


def _guess(part: Prosody, own_pitch: float, own_level: float, most: float) -> Emotion:
    """Return the emotion of a window; neutral where nothing stands out or hardly anything is voiced."""
    voiced = np.isfinite(part.pitch)
    if voiced.sum() < 50:
        return Emotion()
    pitch = float(np.clip((np.median(part.pitch[voiced]) - own_pitch) / 3, -2, 2))
    level = float(np.clip((np.median(part.level[voiced]) - own_level) / 6, -2, 2))
    spread = float(np.subtract(*np.quantile(part.pitch[voiced], (0.84, 0.16)))) / 2
    wide, fast, bright = (
        float(np.clip((value - _USUAL[name][0]) / _USUAL[name][1], -2, 2))
        for name, value in (("range", spread), ("rate", _rate(part.level)), ("tilt", np.median(part.tilt[voiced])))
    )
    evidence = {
        "happy": 0.4 * wide + 0.3 * pitch + 0.2 * level + 0.1 * fast,
        "angry": 0.4 * level + 0.4 * bright + 0.2 * fast - 0.2 * wide,
        "fear": 0.4 * pitch + 0.3 * fast - 0.3 * level - 0.1 * wide,
        "sad": -0.3 * wide - 0.3 * fast - 0.2 * bright - 0.2 * level,
    }
    label = max(evidence, key=lambda each: evidence[each])
    return Emotion.of(label, float(np.clip(evidence[label] - 0.2, 0, 1)) * most)


def _rate(level: Array) -> float:
    """Return peaks of loudness a second, about the syllables."""
    smooth = np.convolve(level, np.hanning(11) / np.hanning(11).sum(), mode="same")
    peaks = (smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:]) & (smooth[1:-1] > smooth.max() - 20)
    return float(peaks.sum()) / max(len(level) / 100, 1e-3)


def strongest(track: EmotionTrack) -> str:
    """Return the label that a track shows most of, neutral only where it shows nothing else."""
    felt = np.mean([emotion.vector()[1:] for emotion in track.emotions], axis=0)
    return EMOTIONS[1 + int(felt.argmax())] if felt.max() > 0 else "neutral"
