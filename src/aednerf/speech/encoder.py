"""The seam between sound and motion: an encoder turns samples into one row of features per video frame, streaming.

A new encoder is a class with these members and one line in `ENCODERS`; the motion network takes its width and
its look-ahead from here, and an avatar stores its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Protocol

import numpy as np

from aednerf.core.errors import InputError
from aednerf.core.records import Array
from aednerf.speech.bundled import bundled_encoder
from aednerf.speech.features import LOG_MEL_DIM, LOOKAHEAD_S, SILENT_VALUE, LogMel, log_mel_at_once
from aednerf.speech.hub import hub_encoder


class SpeechStream(Protocol):
    """Samples in, rows out; cutting the samples differently never changes the rows."""

    def push(self, samples: np.ndarray) -> Array:
        """Take samples [n] at 16 kHz and return the rows [m, D] that they complete."""
        ...

    def flush(self) -> Array:
        """End the stream and return the rows that are left: `frames_for_samples(total)` in all."""
        ...


class SpeechEncoder(Protocol):
    """What every encoder says about itself, and how to begin a stream."""

    @property
    def name(self) -> str:
        """Its name in `ENCODERS`, stored in the avatar."""
        ...

    @property
    def dim(self) -> int:
        """Columns D of a row."""
        ...

    @property
    def lookahead_s(self) -> float:
        """Sound after the end of a video frame that its row depends on, in seconds."""
        ...

    @property
    def silence(self) -> Array:
        """[D] the row that stands for silence before the first sound and after the last."""
        ...

    @property
    def tells_speech(self) -> bool:
        """Whether its rows say how surely somebody speaks."""
        ...

    def speech(self, row: Array) -> float:
        """Return in [0, 1] how surely somebody speaks in a row [D]; 0 where the rows do not say."""
        ...

    def closed_lips(self, row: Array) -> Array:
        """Return [parts] how surely an m, b or p is heard in equal parts of a row's frame; 0 where it does not say."""
        ...

    def stream(self) -> SpeechStream:
        """Begin a stream."""
        ...

    def recording(self, samples: np.ndarray) -> Array:
        """Return the rows [T, D] of a whole recording [n] as fast as can be: those of a stream, up to rounding."""
        ...


@dataclass(frozen=True)
class LogMelEncoder:
    """The encoder that needs nothing: log-mel spectra relative to the speaker's level."""

    name: str = "log-mel"
    dim: int = LOG_MEL_DIM
    lookahead_s: float = LOOKAHEAD_S
    tells_speech: bool = False

    @property
    def silence(self) -> Array:
        """[320] the lowest level in every band."""
        return np.full(self.dim, SILENT_VALUE, np.float32)

    def speech(self, row: Array) -> float:
        """Return 0: loudness does not tell speech from noise."""
        return 0.0

    def closed_lips(self, row: Array) -> Array:
        """Return [1] zero: spectra alone do not say what is spoken."""
        return np.zeros(1, np.float32)

    def stream(self) -> LogMel:
        """Begin a stream."""
        return LogMel()

    def recording(self, samples: np.ndarray) -> Array:
        """Return the rows [T, 320] of a whole recording."""
        return log_mel_at_once(samples)


ENCODERS: Mapping[str, Callable[[], SpeechEncoder]] = MappingProxyType({
    "log-mel": LogMelEncoder,
    "bundled": bundled_encoder,
    "hubert": partial(hub_encoder, "hubert"),
    "wav2vec2": partial(hub_encoder, "wav2vec2"),
})  # fmt: skip
"""How to get each encoder; weights are loaded when it is asked for, and once."""


def find_encoder(name: str) -> SpeechEncoder:
    """Return the encoder of that name.

    Raises:
        InputError: there is none, or what it needs is not installed.
        MachineError: its weights could not be downloaded.
    """
    if name not in ENCODERS:
        raise InputError(f"Unknown speech encoder {name!r}. This version has: {', '.join(ENCODERS)}.")
    return ENCODERS[name]()


def encode(encoder: SpeechEncoder, samples: np.ndarray) -> Array:
    """Return the rows [T, D] of a whole recording [n], bit for bit as a stream gives them."""
    stream = encoder.stream()
    return np.concatenate([stream.push(samples), stream.flush()])
