"""A prepared recording, opened for reading: frames, mattes, tracking, sound, split. Needs no PyAV and no MediaPipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aednerf.capture.face_table import FACE_TABLE_NAME, FaceTable
from aednerf.capture.manifest import ClipRecord, Manifest
from aednerf.capture.tracking import TRACKING_NAME, Tracking
from aednerf.core.errors import InputError
from aednerf.core.records import Camera, Emotion, Motion
from aednerf.media.audio import load_audio
from aednerf.media.image import read_image
from aednerf.media.video import decode_frames

FRAMES_NAME = "frames.mp4"
MATTE_NAME = "matte.mkv"
PARTS_NAME = "parts.mkv"


class Shot(NamedTuple):
    """A stretch `[first, end)` of frames with one camera set-up, one backdrop and one posture."""

    first: int
    end: int
    clip: int
    plate: str
    """The name of its clean background picture inside the capture."""


class Capture:
    """A prepared recording: one record a frame, several clips in sequence, one shared identity."""

    def __init__(self, path: Path, manifest: Manifest, tracking: Tracking) -> None:
        self.path = path
        self.manifest = manifest
        self.tracking = tracking

    @staticmethod
    def open(path: str | Path) -> Capture:
        """Open the capture in the folder `path` and check that its files are whole and belong together.

        Raises:
            InputError: it is no capture, of another schema, or a file is missing, cut short or disagrees with the rest.
        """
        path = Path(path)
        manifest = Manifest.load(path)
        _check_files(path, manifest)
        tracking = Tracking.load(path)
        if len(tracking) != manifest.n_frames:
            raise InputError(
                f"{path / TRACKING_NAME} has {len(tracking)} rows, capture.json {manifest.n_frames} frames. "
                "Prepare the capture again."
            )
        return Capture(path, manifest, tracking)

    def with_residual(self, residual: NDArray[np.float32]) -> Capture:
        """Return this capture with another residual [T, K], NaN in invalid frames; its files stay as they are."""
        return Capture(self.path, self.manifest, replace(self.tracking, residual=residual))

    @property
    def n_frames(self) -> int:
        """How many frames the capture has, invalid ones included."""
        return self.manifest.n_frames

    @property
    def size(self) -> int:
        """Edge of the square frames in pixels."""
        return self.manifest.size

    @property
    def clips(self) -> tuple[ClipRecord, ...]:
        """The clips in sequence."""
        return self.manifest.clips

    def camera(self, clip_index: int) -> Camera:
        """Return the camera of a clip, for the frames as they are stored."""
        return self.clips[clip_index].camera(self.size)

    def clip_of(self, frame: int) -> int:
        """Return the index of the clip that the frame belongs to."""
        for index, clip in enumerate(self.clips):
            if clip.first <= frame < clip.end:
                return index
        raise IndexError(f"frame {frame} of {self.n_frames}")

    @cached_property
    def shots(self) -> tuple[Shot, ...]:
        """All stretches between cuts, in sequence; a clip without cuts is one."""
        return tuple(
            Shot(first, end, index, plate)
            for index, clip in enumerate(self.clips)
            for (first, end), plate in zip(clip.shots, clip.plates, strict=True)
        )

    def shot_of(self, frame: int) -> int:
        """Return the index of the shot that the frame belongs to."""
        for index, shot in enumerate(self.shots):
            if shot.first <= frame < shot.end:
                return index
        raise IndexError(f"frame {frame} of {self.n_frames}")

    def emotion(self, frame: int) -> Emotion:
        """Return the emotion that the frame's clip was labelled with."""
        clip = self.clips[self.clip_of(frame)]
        return Emotion.of(clip.emotion, clip.intensity)

    @property
    def train_frames(self) -> NDArray[np.int64]:
        """The valid frames of each clip's first `int(n * 10 / 11)` frames, ascending."""
        return self._valid_frames([(clip.first, clip.train_end) for clip in self.clips])

    @property
    def test_frames(self) -> NDArray[np.int64]:
        """The valid frames of each clip's last part, ascending."""
        return self._valid_frames([(clip.train_end, clip.end) for clip in self.clips])

    def images(self, first: int = 0, end: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Yield the RGB pictures [H, W, 3] of the frames `[first, end)`."""
        return self._frames(FRAMES_NAME, first, end, gray=False)

    def mattes(self, first: int = 0, end: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Yield the person's alpha [H, W], 0..255, of the frames `[first, end)`."""
        return self._frames(MATTE_NAME, first, end, gray=True)

    def parts(self, first: int = 0, end: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Yield the labels [H, W] (0 background, 1 head, 2 neck, 3 torso) of the frames `[first, end)`."""
        return self._frames(PARTS_NAME, first, end, gray=True)

    def plate(self, shot_index: int) -> NDArray[np.uint8]:
        """Return the shot's clean background [H, W, 3]."""
        return read_image(self.path / self.shots[shot_index].plate)[..., :3]

    def audio(self, clip_index: int) -> NDArray[np.float32] | None:
        """Return the clip's sound, 16 kHz mono in [-1, 1], as long as its frames; None for a silent clip."""
        name = self.clips[clip_index].audio
        return None if name is None else load_audio(self.path / name)

    def motion(self, frames: NDArray[np.int64] | slice) -> Motion:
        """Return the tracked motion of the given frames; the rows of invalid frames are NaN."""
        t = self.tracking
        return Motion(
            t.expression[frames], t.residual[frames], t.rotation[frames], t.translation[frames],
            posture=t.posture[frames],
        )  # fmt: skip

    @cached_property
    def face(self) -> FaceTable:
        """The person's surface and how each expression moves it."""
        return FaceTable.load(self.path)

    def _valid_frames(self, ranges: list[tuple[int, int]]) -> NDArray[np.int64]:
        frames = np.concatenate([np.arange(first, end) for first, end in ranges])
        return frames[self.tracking.valid[frames]]

    def _frames(self, name: str, first: int, end: int | None, gray: bool) -> Iterator[NDArray[np.uint8]]:
        end = self.n_frames if end is None else end
        if not 0 <= first <= end <= self.n_frames:
            raise IndexError(f"frames [{first}, {end}) of {self.n_frames}")
        path, count = self.path / name, first
        if first == end:
            return
        for image in decode_frames(path, first, end, gray=gray):
            if image.shape[:2] != (self.size, self.size):
                raise InputError(
                    f"{path} has frames of {image.shape[1]}x{image.shape[0]} pixels, capture.json says "
                    f"{self.size}x{self.size}. Prepare the capture again."
                )
            yield image
            count += 1
        if count != end:
            raise InputError(f"{path} ends after {count} of {self.n_frames} frames. Prepare the capture again.")


def data_files(manifest: Manifest) -> list[str]:
    """Return the names of the files that a capture with this manifest consists of, capture.json and reports aside."""
    audio = [clip.audio for clip in manifest.clips if clip.audio is not None]
    plates = [plate for clip in manifest.clips for plate in clip.plates]
    return [FRAMES_NAME, MATTE_NAME, PARTS_NAME, TRACKING_NAME, FACE_TABLE_NAME, *plates, *audio]


def _check_files(path: Path, manifest: Manifest) -> None:
    for name in data_files(manifest):
        file = path / name
        if not file.is_file():
            raise InputError(f"{file} is missing. Prepare the capture again, or restore the file.")
        size, expected = file.stat().st_size, manifest.files.get(name)
        if size != expected:
            raise InputError(
                f"{file} has {size} bytes, expected {expected}: it is cut short or was changed. "
                "Prepare the capture again, or restore the file."
            )
