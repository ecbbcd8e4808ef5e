"""One clip of a capture on its way into one folder of the RAD-NeRF layout."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from aednerf.capture.capture import Capture
from aednerf.capture.manifest import ClipRecord
from aednerf.capture.truth import TRUTH_FOLDER, TRUTH_NAME, Truth
from aednerf.core.errors import InputError
from aednerf.core.files import atomic_path
from aednerf.core.progress import Progress
from aednerf.core.records import Camera

Parsing = Literal["rad-nerf", "talking-gaussian"]

JPEG_QUALITY = 98
"""With full colour resolution: 48 dB in the mean on a real clip of 256 pixels."""


@dataclass(frozen=True)
class ExportTask:
    """What goes into one folder, and how."""

    capture: Capture
    clip_index: int
    folder: Path
    frames: NDArray[np.int64]
    """[N] the capture's frames to write, ascending."""

    features: Path | None
    """Speech features to write in place of ours."""

    parsing: Parsing
    progress: Progress

    @property
    def clip(self) -> ClipRecord:
        """The clip's record."""
        return self.capture.clips[self.clip_index]

    @property
    def name(self) -> str:
        """The clip's name."""
        return self.clip.name

    @property
    def camera(self) -> Camera:
        """The clip's camera."""
        return self.capture.camera(self.clip_index)

    @property
    def n_train(self) -> int:
        """How many pictures train: those of the frames that train with us."""
        return int(np.searchsorted(self.frames, self.clip.train_end))

    @cached_property
    def truth(self) -> Truth | None:
        """A synthetic capture's truth, which knows the very 68 points; else None."""
        path = self.capture.path
        return Truth.load(path) if (path / TRUTH_FOLDER / TRUTH_NAME).is_file() else None


def valid_frames(capture: Capture, clip_index: int) -> NDArray[np.int64]:
    """Return the capture's frames of a clip that show a face, ascending.

    Raises:
        InputError: there are none.
    """
    clip = capture.clips[clip_index]
    frames = clip.first + np.flatnonzero(capture.tracking.valid[clip.first : clip.end])
    if not len(frames):
        raise InputError(f"Clip {clip.name} shows no face in any frame. Choose another one with --clip.")
    return frames


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write a .npy file, atomically."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.save(file, array, allow_pickle=False)
