"""The sound that drives an avatar: a file, an array, or a stream of chunks, always read in small pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.units import SAMPLE_RATE_HZ, frames_for_samples

Samples = NDArray[np.float32]
SoundSource = str | Path | Samples | Iterable[Samples]

_PIECE = SAMPLE_RATE_HZ  # one second


class Sound:
    """A source of samples, 16 kHz mono float32 in [-1, 1].

    Args:
        source: The path of any file with sound, an array [n], or an iterable of arrays (a microphone), which may be
            without end and is read only once.
    Raises:
        InputError: the file has no sound, or the array is no mono sound.
    """

    def __init__(self, source: SoundSource) -> None:
        self._source = source
        self._is_used = False
        self.n_frames: int | None = None
        """About how many video frames the sound lasts; None where nobody knows yet."""
        if isinstance(source, str | Path):
            from aednerf.media.audio import probe_audio

            self.n_frames = frames_for_samples(round(probe_audio(source).duration_s * SAMPLE_RATE_HZ))
        elif isinstance(source, np.ndarray):
            self.n_frames = frames_for_samples(len(_mono(source)))

    def whole(self) -> Samples:
        """Return all samples [n] at once.

        Raises:
            InputError: the sound is a stream, which nobody can hear in advance, or cannot be read.
        """
        if not isinstance(self._source, str | Path | np.ndarray):
            raise InputError(
                "The emotion of a voice can only be guessed from a whole sound, and this is a stream. Give a file, an "
                "array, or an emotion's name."
            )
        return np.concatenate([np.zeros(0, np.float32), *self.chunks()])

    def chunks(self) -> Iterator[Samples]:
        """Yield the samples piece by piece.

        Raises:
            InputError: the file cannot be read, a piece is no mono sound, or a stream is read a second time.
        """
        if isinstance(self._source, str | Path):
            from aednerf.media.audio import read_audio

            yield from read_audio(self._source)
        elif isinstance(self._source, np.ndarray):
            whole = _mono(self._source)
            for first in range(0, len(whole), _PIECE):
                yield whole[first : first + _PIECE]
        else:
            if self._is_used:
                raise InputError("The sound was a stream, which can be spoken only once. Give a file or an array.")
            self._is_used = True
            for chunk in self._source:
                yield _mono(chunk)


def _mono(samples: NDArray[np.float32]) -> Samples:
    array = np.asarray(samples)
    if array.ndim != 1 or array.dtype.kind != "f":
        raise InputError(
            f"Expected sound as mono float samples [n] at {SAMPLE_RATE_HZ} Hz in [-1, 1], got {array.dtype} of shape "
            f"{array.shape}. Convert it, or give the path of a file."
        )
    return array.astype(np.float32, copy=False)
