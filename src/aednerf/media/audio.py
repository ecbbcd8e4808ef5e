"""Audio in and out: any recording's sound as 16 kHz mono float32 chunks, and our own WAV files."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.files import atomic_path
from aednerf.core.units import SAMPLE_RATE_HZ
from aednerf.media.container import decoded, open_media, require_file, seek_before, time_zero_s, unwritable

Samples = NDArray[np.float32]

_CHUNK = SAMPLE_RATE_HZ
_MAX_DRIFT_S = Fraction(1, 50)
"""Half a video frame: where time stamps and counted samples differ by more, silence is put in or samples are cut."""

_DOWNMIX = {"FL": 0.7071, "FR": 0.7071, "FC": 1.0, "LFE": 0.0, "LFE2": 0.0}
"""Weights of the channels of surround sound in mono (ITU-R BS.775); the others count half."""


@dataclass(frozen=True)
class AudioInfo:
    """What an audio stream says of itself."""

    duration_s: float
    sample_rate_hz: int
    channels: int
    codec: str
    sample_format: str


def probe_audio(path: str | Path) -> AudioInfo:
    """Say what the first audio stream of a file is.

    Raises:
        InputError: the file is missing, unreadable, or has no sound.
    """
    with open_media(path) as container:
        stream = _require_audio(container, path)
        context = stream.codec_context
        if stream.duration:
            duration_s = float(stream.duration * stream.time_base)
        else:
            duration_s = (container.duration or 0) / 1e6
        return AudioInfo(duration_s, context.sample_rate, context.channels, context.name, context.format.name)


def read_audio(path: str | Path, start_s: float = 0.0, max_s: float | None = None) -> Iterator[Samples]:
    """Yield the sound of a recording as 16 kHz mono chunks of about a second.

    Time 0 is the file's first picture, or its first sample where it has no pictures: sound that starts later begins
    with silence, sound that starts earlier is cut, and gaps in the time stamps become silence, so that sample
    `t * 16000` always belongs to the picture at `t` to within half a frame. Channels are mixed before resampling:
    mono and stereo by their mean, surround sound by ITU-R BS.775 without the bass channel.

    Args:
        path: any container, codec, sample rate, sample format and channel count that FFmpeg reads.
        start_s: where to begin, in seconds.
        max_s: how much to read at most, in seconds; None reads to the end.

    Returns:
        float32 [n] each, in [-1, 1].

    Raises:
        InputError: the file is missing, unreadable, without sound, or none of it decodes.
    """
    n_left = None if max_s is None else round(max_s * SAMPLE_RATE_HZ)
    parts: list[Samples] = []
    n_parts = n_read = 0
    for samples in _resampled(path, Fraction(start_s).limit_denominator(1_000_000)):
        n_read += len(samples)
        if n_left is not None:
            samples = samples[:n_left]
            n_left -= len(samples)
        parts.append(samples)
        n_parts += len(samples)
        while n_parts >= _CHUNK:
            whole = np.concatenate(parts)
            yield whole[:_CHUNK]
            parts, n_parts = [whole[_CHUNK:]], n_parts - _CHUNK
        if n_left == 0:
            break
    if n_read == 0:
        after = f" after {start_s} s" if start_s > 0 else ""
        raise InputError(f"{path}: no sound in it can be decoded{after}. Export it again, as WAV or mp4.")
    if n_parts:
        yield np.concatenate(parts)


def load_audio(path: str | Path, max_s: float | None = None) -> Samples:
    """Return the whole sound of a recording, float32 [n] at 16 kHz mono (an hour is 230 MB; `read_audio` streams).

    A WAV file as `write_wav` makes it is read without PyAV.

    Raises:
        InputError: see `read_audio`.
    """
    own = _read_own_wav(path)
    if own is not None:
        return own if max_s is None else own[: round(max_s * SAMPLE_RATE_HZ)]
    return np.concatenate(list(read_audio(path, max_s=max_s)))


def write_wav(path: str | Path, samples: Samples) -> None:
    """Write 16 kHz mono samples in [-1, 1] as a 16-bit WAV file, atomically; values outside are clipped.

    Raises:
        MachineError: the disk is full or the folder cannot be written.
    """
    if samples.ndim != 1:
        raise ValueError(f"expected mono samples [n], got {samples.shape}")
    codes = np.clip(np.rint(np.asarray(samples, np.float64) * 32768), -32768, 32767).astype("<i2")
    try:
        with atomic_path(path) as temporary, wave.open(str(temporary), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE_HZ)
            file.writeframes(codes.tobytes())
    except OSError as error:
        raise unwritable(path, error) from error


def _read_own_wav(path: str | Path) -> Samples | None:
    """Return the samples of a 16 kHz mono 16-bit WAV file, or None where the file is anything else."""
    try:
        with wave.open(str(require_file(path)), "rb") as file:
            if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (SAMPLE_RATE_HZ, 1, 2):
                return None
            codes = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    except (wave.Error, EOFError):
        return None
    return codes.astype(np.float32) / np.float32(32768) if len(codes) else None


def _require_audio(container: Any, path: str | Path) -> Any:
    for stream in container.streams.audio:
        if stream.codec_context is not None:
            return stream
    raise InputError(f"{path} has no sound; expected an audio track. Give a file with sound.")


def _resampled(path: str | Path, start: Fraction) -> Iterator[Samples]:
    """Yield 16 kHz mono pieces from `start` on, whatever the source's rate, also where it changes on the way."""
    import av

    with open_media(path) as container:
        stream = _require_audio(container, path)
        stream.thread_type = "AUTO"
        zero = time_zero_s(container)
        if start > 0:
            # A little earlier, because the first packets after a seek may decode to less (AAC, MP3 and Opus overlap).
            seek_before(container, stream, zero + max(Fraction(0), start - 1))
        resampler, rate = None, 0
        for samples, rate_now in _continuous(_mono(decoded(container, stream)), zero + start):
            if rate_now == SAMPLE_RATE_HZ and resampler is None:
                if len(samples):
                    yield np.clip(samples, -1, 1)
                continue
            if resampler is None or rate_now != rate:
                if resampler is not None:
                    yield from _converted(resampler, None, rate)
                resampler, rate = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ), rate_now
            yield from _converted(resampler, samples, rate)
        if resampler is not None:
            yield from _converted(resampler, None, rate)


def _converted(resampler: Any, samples: Samples | None, rate: int) -> Iterator[Samples]:
    """Push samples (None: the end) into a resampler and yield what comes out."""
    import av

    frame = None
    if samples is not None:
        if not len(samples):
            return
        frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate = rate
    for out in resampler.resample(frame):
        yield np.clip(out.to_ndarray()[0], -1, 1)


def _continuous(
    pieces: Iterator[tuple[Fraction | None, Samples, int]], start: Fraction
) -> Iterator[tuple[Samples, int]]:
    """Yield samples without gaps from `start` on: silence where time stamps leave a hole, cuts where they overlap."""
    now = start
    for time, samples, rate in pieces:
        drift = Fraction(0) if time is None else time - now
        if drift > _MAX_DRIFT_S or (drift > 0 and now == start):
            for n in _blocks(round(drift * rate)):
                yield np.zeros(n, np.float32), rate
            now = time if time is not None else now
        elif drift < -_MAX_DRIFT_S or (drift < 0 and now == start):
            n_cut = min(len(samples), round(-drift * rate))
            samples = samples[n_cut:]
        yield samples, rate
        now += Fraction(len(samples), rate)


def _blocks(n: int, size: int = 1 << 16) -> Iterator[int]:
    """Yield the sizes of the blocks that `n` samples are written in."""
    for first in range(0, n, size):
        yield min(size, n - first)


def _mono(frames: Iterator[Any]) -> Iterator[tuple[Fraction | None, Samples, int]]:
    """Yield (time, mono samples, rate) of each decoded frame; the last one is cut to its stated duration.

    AAC fills its last frame up with silence; where the container counts in samples it says how many are real.
    """
    held: Any = None
    for frame in frames:
        if held is not None:
            yield _mixed(held)
        held = frame
    if held is not None:
        time, samples, rate = _mixed(held)
        if held.duration and held.time_base == Fraction(1, rate):
            samples = samples[: held.duration]
        yield time, samples, rate


def _mixed(frame: Any) -> tuple[Fraction | None, Samples, int]:
    """Return (time, float32 [n] mono, sample rate) of an av.AudioFrame."""
    values = frame.to_ndarray()
    channels = frame.layout.nb_channels
    if not frame.format.is_planar:
        values = values.reshape(-1, channels).T
    if values.dtype == np.uint8:
        scaled = (values.astype(np.float32) - 128) / 128
    elif values.dtype.kind == "i":
        scaled = (values / -float(np.iinfo(values.dtype).min)).astype(np.float32)
    else:
        scaled = values.astype(np.float32)
    if channels > 2:
        weights = np.array([_DOWNMIX.get(channel.name, 0.5) for channel in frame.layout.channels], np.float32)
        mono = (weights / weights.sum()) @ scaled
    else:
        mono = scaled.mean(0)
    time = None if frame.pts is None else frame.pts * frame.time_base
    return time, np.nan_to_num(mono, posinf=0, neginf=0).astype(np.float32), frame.sample_rate
