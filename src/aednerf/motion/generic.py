"""The mouth of a person whose recording has no sound: opened by loudness and shaped by the tilt of the spectrum.

The jaw follows the log energy from 300 to 3000 Hz, where vowels live; a dark spectrum (o, u) rounds the lips and a
bright one (i, e) spreads them. It keeps time with the sound and closes in silence; it knows no phonemes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES
from aednerf.motion.network import N_EXPRESSION, MotionConfig
from aednerf.speech.features import N_MELS, N_SPECTRA, mel_centres_hz

CLOSED, OPEN = -1.9, -0.6
"""Vowel-band level (units of 20 dB against the speaker's level) at which the jaw is closed, and fully open."""

DARK, BRIGHT = 0.75, -0.15
"""Level at 300-900 Hz less that at 1800-3500 Hz, in the same units, of a rounded and of a spread vowel."""

JAW = {
    "jawOpen": 0.35,
    "mouthLowerDownLeft": 0.25,
    "mouthLowerDownRight": 0.25,
    "mouthUpperUpLeft": 0.12,
    "mouthUpperUpRight": 0.12,
}
ROUNDED = {"mouthFunnel": 0.35, "mouthPucker": 0.3}
SPREAD = {"mouthSmileLeft": 0.2, "mouthSmileRight": 0.2, "mouthStretchLeft": 0.15, "mouthStretchRight": 0.15}


class GenericMouth(nn.Module):
    """The mouth model of a silent recording: nothing learned but the rest pose."""

    rest: Tensor

    def __init__(self, config: MotionConfig) -> None:
        super().__init__()
        if config.encoder != "log-mel":
            raise InputError(f"The generic mouth reads log-mel features, not {config.encoder!r}.")
        self.config = config
        self.register_buffer("rest", torch.zeros(N_EXPRESSION + config.n_residual))
        hz = mel_centres_hz()
        self._vowels, self._dark, self._bright = (
            torch.from_numpy((hz >= low) & (hz < high)) for low, high in ((300, 3000), (300, 900), (1800, 3500))
        )
        self._shapes = [
            torch.tensor([shape.get(name, 0.0) for name in ARKIT_NAMES]) for shape in (JAW, ROUNDED, SPREAD)
        ]  # fmt: skip

    @torch.no_grad()
    def frame(self, window: Tensor) -> tuple[Tensor, Tensor]:
        """Return expression [52] and residual [K] of the frame of a window [W, D + 8]."""
        past = self.config.past
        rows = window[past - 1 : past + 2, : self.config.n_features].reshape(3 * N_SPECTRA, N_MELS)
        weights = torch.from_numpy(np.hanning(3 * N_SPECTRA + 2)[1:-1]).float()
        level = (rows * (weights / weights.sum())[:, None]).sum(0)
        opened = _share(level[self._vowels].mean(), CLOSED, OPEN)
        rounded = _share(level[self._dark].mean() - level[self._bright].mean(), BRIGHT, DARK)
        jaw, round_lips, spread_lips = self._shapes
        shape = opened * (jaw + rounded * round_lips + (1 - rounded) * spread_lips)
        rest = self.rest[:N_EXPRESSION]
        return (rest + shape).clamp(0, 1), self.rest[N_EXPRESSION:].clone()


def _share(value: Tensor, low: float, high: float) -> Tensor:
    """Return where `value` lies between `low` (0) and `high` (1), without corners."""
    share = ((value - low) / (high - low)).clamp(0, 1)
    return share * share * (3 - 2 * share)
