"""Video out: the mp4 that people watch and captures keep, and the lossless gray file of mattes and labels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.files import atomic_path
from aednerf.core.units import FPS, SAMPLE_RATE_HZ
from aednerf.media import colour
from aednerf.media.container import require_pyav, unwritable

METADATA_KEYS = ("title", "artist", "comment", "description", "copyright", "date")
"""The metadata that an mp4 keeps under its own names; FFmpeg drops others without a word."""

_AUDIO_BIT_RATE = 96_000


class _Writer:
    """A file that is written frame by frame and appears under its name when the block ends well, or not at all."""

    def __init__(self, path: str | Path, width: int, height: int) -> None:
        self.path, self.width, self.height = Path(path), width, height
        self._n_frames = 0
        self._stack = contextlib.ExitStack()
        self._container: Any = None
        self._video: Any = None

    def __enter__(self) -> Self:
        require_pyav()
        with self._explained(), contextlib.ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self.path))
            self._container = self._open(temporary)
            stack.push(self._close_container)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)  # deletes the file; the caller's error goes on as it is
            return
        with self._explained(), self._stack:
            if self._n_frames == 0:
                raise ValueError(f"no frame was written to {self.path}")
            self._flush()

    def _close_container(self, *exception: object) -> None:
        """Close the file; an error of closing counts only if nothing failed before."""
        if exception[1] is None:
            self._container.close()
        else:
            with contextlib.suppress(Exception):
                self._container.close()

    def _open(self, temporary: Path) -> Any:
        raise NotImplementedError

    def _flush(self) -> None:
        self._container.mux(self._video.encode(None))

    def _write(self, image: NDArray[np.uint8], pixel_format: str, channels: tuple[int, ...]) -> None:
        shape = (self.height, self.width, *channels)
        if image.dtype != np.uint8 or image.shape != shape:
            raise ValueError(f"expected uint8 {shape}, got {image.dtype} {image.shape}")
        import av

        with self._explained():
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=pixel_format)
            self._container.mux(self._video.encode(self._prepared(frame)))
        self._n_frames += 1

    def _prepared(self, frame: Any) -> Any:
        frame.pts = self._n_frames
        frame.time_base = Fraction(1, FPS)
        return frame

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn the system's errors (a full disk, no permission) into one line that names the file."""
        try:
            yield
        except OSError as error:
            raise unwritable(self.path, error) from error


class VideoWriter(_Writer):
    """Write an mp4 of H.264 (yuv420p, BT.709, limited range, 25 fps) and AAC, a frame or a chunk of sound at a time.

    The file appears under its name when the `with` block ends well; after any error nothing is left. Frames and sound
    may come in any order; each is encoded when it comes and
    interleaved, and only the encoders' few frames are in memory.

        with VideoWriter("out.mp4", 512, 512, with_audio=True, metadata={"comment": "synthetic"}) as writer:
            for rgb, samples in pieces:
                writer.write(rgb)
                writer.write_audio(samples)
    """

    def __init__(
        self, path: str | Path, width: int, height: int, *, with_audio: bool = False, crf: float = 18,
        keyframe_s: float | None = None, metadata: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Describe the file; entering the `with` block creates it.

        Args:
            path: ends in .mp4 (or .mov, .mkv).
            width, height: even numbers of pixels.
            with_audio: whether `write_audio` will be called.
            crf: x264's quality, 0 (lossless) to 51; 12 is visually lossless, 18 is very good.
            keyframe_s: seconds from key frame to key frame; None leaves it to x264 (up to 10 s).
            metadata: of `METADATA_KEYS`.

        Raises:
            InputError: the size is odd or not positive.
        """
        super().__init__(path, width, height)
        if width < 2 or height < 2 or width % 2 or height % 2:
            raise InputError(f"{path}: H.264 needs an even width and height, got {width}x{height}. Choose even ones.")
        if unknown := set(metadata or ()) - set(METADATA_KEYS):
            raise ValueError(f"metadata keys must be of {METADATA_KEYS}, got {sorted(unknown)}")
        self.with_audio, self.crf, self.keyframe_s, self.metadata = with_audio, crf, keyframe_s, dict(metadata or {})
        self._audio: Any = None
        self._n_samples = 0
        self._pending = np.zeros(0, np.float32)

    def write(self, rgb: NDArray[np.uint8]) -> None:
        """Append one frame, uint8 RGB [H, W, 3]; it lasts 1/25 s."""
        self._write(rgb, "rgb24", (3,))

    def write_audio(self, samples: NDArray[np.float32]) -> None:
        """Append sound: float32 [n] in [-1, 1], 16 kHz mono, any n; it starts at time 0 with the first frame."""
        if self._audio is None:
            raise ValueError("this writer was opened without with_audio=True")
        if samples.ndim != 1:
            raise ValueError(f"expected mono samples [n], got {samples.shape}")
        self._pending = np.concatenate([self._pending, samples.astype(np.float32, copy=False)])
        n_whole = len(self._pending) // 1024 * 1024
        for first in range(0, n_whole, 1024):
            self._write_samples(self._pending[first : first + 1024])
        self._pending = self._pending[n_whole:].copy()

    def _open(self, temporary: Path) -> Any:
        import av

        options = {"movflags": "+faststart"} if temporary.suffix in (".mp4", ".mov", ".m4v") else {}
        container = av.open(f"file:{temporary}", "w", options=options)
        container.metadata.update(self.metadata)
        self._video = container.add_stream("libx264", rate=FPS, options={"crf": str(self.crf), "preset": "medium"})
        self._video.width, self._video.height, self._video.pix_fmt = self.width, self.height, "yuv420p"
        context = self._video.codec_context
        context.colorspace = context.color_primaries = colour.SPC_BT709
        context.color_trc, context.color_range = colour.TRC_BT709, colour.RANGE_LIMITED
        if self.keyframe_s is not None:
            context.gop_size = max(1, round(self.keyframe_s * FPS))
        if self.with_audio:
            self._audio = container.add_stream("aac", rate=SAMPLE_RATE_HZ)
            self._audio.layout, self._audio.bit_rate = "mono", _AUDIO_BIT_RATE
        return container

    def _prepared(self, frame: Any) -> Any:
        from av.video.reformatter import Interpolation

        frame = frame.reformat(
            format="yuv420p", src_colorspace=colour.SPC_BT709, dst_colorspace=colour.SPC_BT709,
            src_color_range=colour.RANGE_FULL, dst_color_range=colour.RANGE_LIMITED,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT,
        )  # fmt: skip
        return super()._prepared(frame)

    def _write_samples(self, samples: NDArray[np.float32]) -> None:
        import av

        with self._explained():
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE_HZ, self._n_samples, Fraction(1, SAMPLE_RATE_HZ)
            self._container.mux(self._audio.encode(frame))
        self._n_samples += len(samples)

    def _flush(self) -> None:
        if self._audio is not None:
            if len(self._pending):
                self._write_samples(self._pending)
            self._container.mux(self._audio.encode(None))
        super()._flush()


class LosslessGrayWriter(_Writer):
    """Write 8-bit gray frames without loss: FFV1 in Matroska (.mkv), each frame a key frame, 25 fps.

    Used as `VideoWriter` is; `decode_frames(path, gray=True)` gives the same numbers back.
    """

    def write(self, gray: NDArray[np.uint8]) -> None:
        """Append one frame, uint8 [H, W]."""
        self._write(gray, "gray", ())

    def _open(self, temporary: Path) -> Any:
        import av

        container = av.open(f"file:{temporary}", "w", format="matroska")
        self._video = container.add_stream("ffv1", rate=FPS, options={"level": "3", "slices": "4", "slicecrc": "1"})
        self._video.width, self._video.height, self._video.pix_fmt = self.width, self.height, "gray"
        self._video.codec_context.gop_size = 1
        return container
