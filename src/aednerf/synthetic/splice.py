"""Join videos that were written piece by piece, packet by packet: nothing is decoded, nothing is encoded again."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf.core.files import atomic_path
from aednerf.core.units import FPS, SAMPLE_RATE_HZ
from aednerf.media.container import open_media, require_pyav, unwritable, video_stream

_AAC_FRAME = 1024
_AUDIO_BIT_RATE = 128_000


def join_videos(
    pieces: Sequence[tuple[Path, int]], path: Path, samples: NDArray[np.float32] | None = None,
    metadata: dict[str, str] | None = None,
) -> None:  # fmt: skip
    """Write the pieces one after the other into one file, atomically.

    Args:
        pieces: each file, all written by the same writer with the same settings, and its number of frames.
        path: the joined file; its suffix chooses the container.
        samples: sound to go with it, 16 kHz mono [n] in [-1, 1]; None for none.
        metadata: of `media.writer.METADATA_KEYS`.

    Raises:
        InputError: a piece is missing or damaged.
        MachineError: the disk is full or the folder cannot be written.
    """
    av = require_pyav()
    # Without "bitexact", Matroska draws a random number for every file.
    options = {"fflags": "+bitexact"} | ({"movflags": "+faststart"} if path.suffix == ".mp4" else {})
    try:
        with atomic_path(path) as temporary, av.open(f"file:{temporary}", "w", options=options) as out:
            out.metadata.update(metadata or {})
            with open_media(pieces[0][0]) as first:
                video = out.add_stream_from_template(video_stream(first))
            audio: Any = None
            if samples is not None:
                audio = out.add_stream("aac", rate=SAMPLE_RATE_HZ)
                audio.layout, audio.bit_rate = "mono", _AUDIO_BIT_RATE
            done = 0
            for piece, n_frames in pieces:
                _copy(piece, done, video, out)
                done += n_frames
                if samples is not None:
                    start, end = (round((frame * SAMPLE_RATE_HZ) / FPS) for frame in (done - n_frames, done))
                    _encode(samples, start, end, audio, out)
            if samples is not None:
                _encode(samples, -1, -1, audio, out)
    except OSError as error:
        raise unwritable(path, error) from error


def _copy(piece: Path, first_frame: int, video: Any, out: Any) -> None:
    """Copy a piece's packets, moved by the frames before it."""
    with open_media(piece) as container:
        stream: Any = video_stream(container)
        shift = Fraction(first_frame, FPS) / stream.time_base
        for packet in container.demux(stream):
            if packet.dts is None or packet.pts is None:
                continue  # the demuxer's last packet is empty
            packet.pts, packet.dts = packet.pts + round(shift), packet.dts + round(shift)
            packet.stream = video
            out.mux(packet)


def _encode(samples: NDArray[np.float32], start: int, end: int, audio: Any, out: Any) -> None:
    """Encode the whole AAC frames that begin in [start, end) of the samples; a negative start flushes the encoder."""
    import av

    if start < 0:
        out.mux(audio.encode(None))
        return
    for first in range(-(-start // _AAC_FRAME) * _AAC_FRAME, min(end, len(samples)), _AAC_FRAME):
        block = np.ascontiguousarray(samples[None, first : first + _AAC_FRAME], np.float32)
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE_HZ, first, Fraction(1, SAMPLE_RATE_HZ)
        out.mux(audio.encode(frame))
