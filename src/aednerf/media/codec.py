"""What a lossy codec does to speech: sound through an encoder and back."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from aednerf.core.units import SAMPLE_RATE_HZ

CODECS: dict[str, tuple[str, str, int]] = {
    "opus": ("ogg", "libopus", 16_000), "mp3": ("mp3", "libmp3lame", 16_000), "aac": ("mp4", "aac", 16_000),
    "mu-law": ("wav", "pcm_mulaw", 8_000), "adpcm": ("wav", "adpcm_ms", 8_000),
}  # fmt: skip
"""By name: the container, FFmpeg's encoder and the rate at which it is given the sound."""


def through_codec(samples: NDArray[np.float32], codec: str, bit_rate: int) -> NDArray[np.float32]:
    """Return the sound as a codec leaves it, as long as it was and not shifted in time.

    Args:
        samples: [n] 16 kHz mono in [-1, 1].
        codec: one of `CODECS`.
        bit_rate: bits a second; codecs of a fixed rate ignore it.
    """
    container_name, encoder, rate = CODECS[codec]
    file = io.BytesIO()
    with av.open(file, "w", format=container_name) as container:
        stream: Any = container.add_stream(encoder, rate=rate)
        stream.layout = "mono"
        if not encoder.startswith(("pcm", "adpcm")):
            stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples, np.float32)[None], "flt", "mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        resampler = av.AudioResampler(stream.format.name, "mono", rate)
        fifo = av.AudioFifo()
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            fifo.write(piece)
        size = stream.frame_size or 1024
        while (piece := fifo.read(size, partial=True)) is not None:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as container:
        resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE_HZ)
        pieces = [p for frame in container.decode(audio=0) for p in resampler.resample(frame)]
        pieces += resampler.resample(None)
    decoded = np.concatenate([piece.to_ndarray()[0] for piece in pieces])
    return _aligned(decoded, samples)


def _aligned(decoded: NDArray[np.float32], samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `decoded` moved to where it fits `samples` best, and cut or filled to its length."""
    n = len(samples) + len(decoded)
    spectrum = np.fft.rfft(decoded, n) * np.conj(np.fft.rfft(samples, n))
    likeness = np.fft.irfft(spectrum, n)
    shift = int(np.argmax(likeness))
    shift -= n if shift > n // 2 else 0
    moved = decoded[shift:] if shift > 0 else np.pad(decoded, (-shift, 0))
    moved = np.pad(moved, (0, max(0, len(samples) - len(moved))))[: len(samples)]
    return moved.astype(np.float32)
