"""The posture code of a capture: read off its frames while it is made, or added to one that was made without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aednerf.capture.capture import FRAMES_NAME, PARTS_NAME, Capture
from aednerf.capture.tracking import TRACKING_NAME
from aednerf.core.progress import Progress, silent
from aednerf.face.posture import posture_code
from aednerf.media.frames import decode_frames


def read_posture(
    folder: Path, n_frames: int, train_frames: NDArray[np.int64], progress: Progress = silent
) -> NDArray[np.float32]:
    """Return the posture code [T, P] of the frames in a capture's folder, finished or not.

    Args:
        folder: with `frames.mp4` and `parts.mkv`.
        n_frames: T.
        train_frames: [N] frames of the training part in which the person is seen, ascending.
        progress: is told how many frames are done.
    """
    return posture_code(
        lambda: decode_frames(folder / FRAMES_NAME), lambda: decode_frames(folder / PARTS_NAME, gray=True), n_frames,
        train_frames, progress=lambda done: progress("posture", done, n_frames),
    )  # fmt: skip


def add_posture(path: str | Path, progress: Progress = silent) -> Capture:
    """Give a finished capture its posture code, in place; one that it has is read off anew.

    Args:
        path: the capture's folder.
        progress: is told how many frames are done.

    Returns:
        The capture, opened again.

    Raises:
        InputError: it is no capture, or a file is damaged.
    """
    capture = Capture.open(path)
    tracking = capture.tracking
    code = read_posture(capture.path, capture.n_frames, capture.train_frames, progress)
    code[~tracking.valid] = np.nan
    replace(tracking, posture=code).save(capture.path)
    size = (capture.path / TRACKING_NAME).stat().st_size
    replace(capture.manifest, files={**capture.manifest.files, TRACKING_NAME: size}).save(capture.path)
    return Capture.open(path)
