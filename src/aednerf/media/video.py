"""Video in: what a recording is, and its pictures on the project's clock. Frames, writers: `frames.py`, `writer.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.units import FPS
from aednerf.media import colour
from aednerf.media.clock import nearest_in_time
from aednerf.media.container import decoded, open_media, require_pyav, seek_before, time_zero_s, video_stream
from aednerf.media.frames import decode_frames
from aednerf.media.writer import LosslessGrayWriter, VideoWriter

__all__ = ["LosslessGrayWriter", "VideoInfo", "VideoWriter", "decode_frames", "probe", "read_video"]

_COLORSPACES = {0: "rgb", 1: "bt709", 2: "untagged", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}


@dataclass(frozen=True)
class VideoInfo:
    """What a video file says of itself, checked against its first picture."""

    width: int
    """Pixels of the pictures that `read_video` yields: after rotation, with square pixels."""

    height: int
    duration_s: float
    fps: float
    """Mean frames per second."""

    is_variable_rate: bool
    """Whether more than one frame in a hundred, of the first 500, lasts a quarter longer or shorter than the median."""

    codec: str
    pixel_format: str
    bit_depth: int
    is_hdr: bool
    """Whether the transfer function is PQ or HLG: `read_video` tone-maps, and callers warn by name."""

    rotation_deg: int
    """By how much the stored picture is turned clockwise to be upright."""

    has_audio: bool
    colorspace: str
    """The stream's YUV matrix: bt709, bt601, bt2020, rgb, another name, or untagged."""


def probe(path: str | Path) -> VideoInfo:
    """Say what a video is, without decoding more than its first picture.

    Raises:
        InputError: it is missing, empty, a folder, no video, without a video stream, or nothing in it decodes.
    """
    with open_media(path) as container:
        stream = _require_video(container, path)
        fps, is_variable, end_s = _rate_of(container, stream)
    with open_media(path) as container:
        stream = _require_video(container, path)
        frame = next(decoded(container, stream), None)
        if frame is None:
            raise _undecodable(path, stream)
        width, height = colour.square_size(frame.width, frame.height, stream.sample_aspect_ratio)
        matrix = colour.display_matrix(frame)
        turn = colour.rotation_deg(matrix)
        if turn in (90, 270):
            width, height = height, width
        return VideoInfo(
            width=width, height=height, duration_s=_duration_s(container, stream) or end_s, fps=fps,
            is_variable_rate=is_variable, codec=stream.codec_context.name, pixel_format=frame.format.name,
            bit_depth=max((component.bits for component in frame.format.components), default=8),
            is_hdr=colour.is_hdr(frame), rotation_deg=turn, has_audio=bool(container.streams.audio),
            colorspace=_COLORSPACES.get(int(stream.codec_context.colorspace), "other"),
        )  # fmt: skip


def read_video(
    path: str | Path, fps: float = FPS, start_s: float = 0.0, max_s: float | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Yield a user's video as upright RGB pictures of square pixels on a constant clock.

    Each tick shows the frame nearest in time by its time stamp, so that other and variable frame rates neither drift
    nor blend. Time 0 is the first frame's; `read_audio` counts from the same. A file that breaks off, or has damaged
    packets, yields what decodes; a file of which nothing decodes, or whose index is lost (an mp4 cut in the middle),
    is an error. One picture at a time is in memory, beside the decoder's own few.

    Args:
        path: any container, codec, pixel format, rotation and frame rate that FFmpeg reads.
        fps: ticks per second.
        start_s: where to begin, in seconds.
        max_s: how much to read at most, in seconds; None reads to the end.

    Returns:
        uint8 [H, W, 3] each; the size is that of the first picture (`probe` gives it).

    Raises:
        InputError: see `probe`; also where the video ends before `start_s`.
    """
    rate = Fraction(fps).limit_denominator(1_000_000)
    start = Fraction(start_s).limit_denominator(1_000_000)
    n_max = None if max_s is None else max(1, int(Fraction(max_s).limit_denominator(1_000_000) * rate + Fraction(1, 2)))
    n_yielded = 0
    size: tuple[int, int] | None = None
    last: tuple[Any, NDArray[np.uint8]] | None = None
    with open_media(path) as container:
        stream = _require_video(container, path)
        for frame in islice(nearest_in_time(_timed(container, stream, start), rate, start), n_max):
            if last is None or last[0] is not frame:
                last = (frame, colour.to_rgb(frame, stream))
            picture = last[1]
            size = size or picture.shape[:2]
            if picture.shape[:2] != size:
                raise InputError(
                    f"{path} changes its size from {size[1]}x{size[0]} to {picture.shape[1]}x{picture.shape[0]} at "
                    f"{start_s + n_yielded / fps:.2f} s. Cut it there, or give --max-seconds."
                )
            yield picture
            n_yielded += 1
        if n_yielded == 0:
            if start_s > 0:
                raise InputError(f"{path} has no picture at or after {start_s} s. Choose an earlier start.")
            raise _undecodable(path, stream)


def _require_video(container: Any, path: str | Path) -> Any:
    stream = video_stream(container)
    if stream is None:
        kind = "only sound" if container.streams.audio else "no pictures"
        raise InputError(f"{path} has {kind}; expected a video. Give a file with a video stream.")
    stream.thread_type = "AUTO"
    return stream


def _undecodable(path: str | Path, stream: Any) -> InputError:
    codec = stream.codec_context.name
    return InputError(f"{path}: no picture in it can be decoded ({codec}). Export it again as mp4.")


def _timed(container: Any, stream: Any, start: Fraction) -> Iterator[tuple[Fraction, Fraction, Any]]:
    """Yield (time, duration, frame) from the last key frame before `start` on; times count from the first frame."""
    zero = time_zero_s(container)
    if start > 0:
        seek_before(container, stream, zero + start)
    usual = 1 / Fraction(stream.average_rate or stream.guessed_rate or FPS)
    end: Fraction | None = None
    for frame in decoded(container, stream):
        if frame.pts is not None:
            time = frame.pts * frame.time_base - zero
        else:
            time = Fraction(0) if end is None else end
        duration = frame.duration * frame.time_base if frame.duration else usual
        end = time + duration
        yield time, duration, frame


def _duration_s(container: Any, stream: Any) -> float:
    """Return the video's length as its header says, or 0."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if container.duration:
        return max(0.0, container.duration / 1e6 - float(time_zero_s(container)) + (container.start_time or 0) / 1e6)
    return 0.0


def _rate_of(container: Any, stream: Any) -> tuple[float, bool, float]:
    """Return (frames per second, whether it varies, end time of the last packet looked at) from the first packets."""
    av = require_pyav()
    times: list[int] = []
    try:
        for packet in islice(container.demux(stream), 500):
            if packet.pts is not None:
                times.append(packet.pts)
    except av.FFmpegError:
        pass  # a file that breaks off: what was read so far is enough
    steps = np.diff(np.unique(times))
    rate = stream.average_rate or stream.guessed_rate
    if len(steps) < 2:
        fps = float(rate or FPS)
        return fps, False, len(times) / fps
    step = float(np.median(steps))
    # A clock of whole milliseconds (Matroska, FLV) alone makes steps differ by one.
    is_variable = bool(np.mean(np.abs(steps - step) > max(0.25 * step, 1.5)) > 0.01)
    fps = float(rate or 1 / (step * stream.time_base))
    return fps, is_variable, float((max(times) - min(times) + step) * stream.time_base)
