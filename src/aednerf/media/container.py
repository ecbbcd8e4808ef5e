"""Open a user's media file with PyAV, and say in one line what is wrong with it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aednerf.core.errors import InputError, MachineError

if TYPE_CHECKING:
    import av.container

NOT_RECORDINGS = {"tty", "bin", "xbin", "adf", "idf", "image2", "srt", "lrc", "webvtt", "ass", "subviewer", "microdvd"}
"""Formats by which FFmpeg reads plain text, binary art, subtitles and single pictures; never a recording."""


def require_pyav() -> Any:
    """Import PyAV, or say how to get it.

    Raises:
        MachineError: it is not installed.
    """
    try:
        import av
    except ImportError:
        raise MachineError("PyAV, which reads and writes recordings, is missing: run `pip install av`.") from None
    return av


def require_file(path: str | Path) -> Path:
    """Return `path` if it names a file that has something in it.

    Raises:
        InputError: it does not exist, is a folder, or is empty.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected a media file. Name one of the files in it.")
    if not path.exists():
        raise InputError(f"{path} does not exist. Check the name and the folder.")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes). Record or copy it again.")
    return path


def unwritable(path: str | Path, error: OSError) -> MachineError:
    """Return the one-line error for a file that the system would not write (a full disk, no permission)."""
    return MachineError(f"{path} could not be written: {error.strerror or error}. Free space or choose another folder.")


@contextlib.contextmanager
def open_media(path: str | Path) -> Iterator[av.container.InputContainer]:
    """Open a recording for reading, of any container and codec that FFmpeg reads.

    Raises:
        InputError: it is missing, empty, a folder, unreadable, no recording at all, or cut so that its index is lost.
        MachineError: PyAV is not installed.
    """
    av = require_pyav()
    path = require_file(path)
    try:
        # "file:" keeps a colon in the name from being read as a protocol, and a playlist from reaching the network.
        container = av.open(f"file:{path}", metadata_errors="replace", options={"protocol_whitelist": "file"})
    except PermissionError:
        raise InputError(f"{path} cannot be read: permission denied.") from None
    except av.FFmpegError as error:
        raise InputError(
            f"{path} is not a readable video or audio file ({error.strerror}): it is another kind of file, or cut off."
        ) from None
    with container:
        names = set(container.format.name.split(","))
        if names & NOT_RECORDINGS or any(name.endswith("_pipe") for name in names):
            kind = container.format.name
            raise InputError(f"{path} is no recording (it reads as {kind}). Give a video or audio file.")
        yield container


def video_stream(container: av.container.InputContainer) -> Any | None:
    """Return the first video stream that is not a cover picture, or None."""
    av = require_pyav()
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic and stream.codec_context is not None:
            return stream
    return None


def time_zero_s(container: av.container.InputContainer) -> Fraction:
    """Return the container time that this package counts from: the video's first time stamp, else the audio's.

    Both `read_video` and `read_audio` subtract it, so that picture and sound of one file stay together whatever
    offset each stream starts with.
    """
    stream = video_stream(container) or next(iter(container.streams.audio), None)
    if stream is None or stream.start_time is None or stream.time_base is None:
        return Fraction(0)
    return stream.start_time * stream.time_base


def decoded(container: av.container.InputContainer, stream: Any) -> Iterator[Any]:
    """Yield a stream's frames; damaged packets are passed over, and a file that breaks off ends where it breaks."""
    av = require_pyav()
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError):
            break
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue
    with contextlib.suppress(av.FFmpegError):
        # After a broken demuxer the decoder still holds frames; after a regular end this is refused as "end of file".
        yield from stream.decode(None)


def seek_before(container: av.container.InputContainer, stream: Any, time_s: Fraction) -> None:
    """Move to a key frame at or before `time_s` (container time); a format that cannot seek stays at its beginning."""
    av = require_pyav()
    with contextlib.suppress(av.FFmpegError):
        container.seek(int(time_s / stream.time_base), stream=stream, backward=True)
