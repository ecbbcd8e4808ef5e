"""The shots of a clip, and which of them were filmed with one and the same camera set-up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_THUMBNAIL = (64, 36)
_SAME_BORDER = 12.0  # code values


@dataclass(frozen=True)
class Shots:
    """The shots of one clip of T frames."""

    starts: tuple[int, ...]
    """The first frame of each shot; the first shot starts at 0."""

    is_kept: tuple[bool, ...]
    """Whether each shot shares the camera set-up that most of the clip has: only such frames are learnt from."""

    @property
    def cuts(self) -> tuple[int, ...]:
        """The frames that start a new shot, without frame 0."""
        return self.starts[1:]

    def kept(self, n_frames: int) -> NDArray[np.bool_]:
        """Return [T] whether each frame belongs to a kept shot."""
        shot = np.searchsorted(self.starts, np.arange(n_frames), side="right") - 1
        return np.array(self.is_kept)[shot]


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the small gray picture [36, 64] of an RGB picture [H, W, 3] that `group_shots` compares."""
    small = cv2.resize(image, _THUMBNAIL, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.uint8)


def group_shots(thumbnails: Sequence[NDArray[np.uint8]], cuts: Sequence[int]) -> Shots:
    """Tell which shots belong together, and keep those of the set-up that lasts longest.

    Two shots have the same set-up when their left, right and upper borders, where the person is not, look the same. So
    a jump cut keeps all its frames, and a cut to another camera or another scene loses the shorter side.

    Args:
        thumbnails: one for each frame of the clip.
        cuts: the frames that start a new shot, ascending, without frame 0.
    """
    starts = (0, *cuts)
    ends = (*cuts, len(thumbnails))
    borders = [_border(thumbnails[first:end]) for first, end in zip(starts, ends, strict=True)]
    setups: list[int] = []
    for index, border in enumerate(borders):
        alike = [other for other in range(index) if np.abs(borders[other] - border).mean() < _SAME_BORDER]
        setups.append(setups[alike[0]] if alike else index)
    lengths = dict.fromkeys(setups, 0)
    for setup, first, end in zip(setups, starts, ends, strict=True):
        lengths[setup] += end - first
    longest = max(lengths, key=lambda setup: lengths[setup])
    return Shots(starts, tuple(setup == longest for setup in setups))


def _border(shot: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    # A few frames of a shot are enough for a median without the person's hands.
    gray = np.median(shot[:: max(1, len(shot) // 25)], axis=0)
    height, width = gray.shape
    upper = gray[: height * 2 // 3]
    sides = (upper[:, : width // 8], upper[:, -width // 8 :], gray[: height // 12])
    return np.concatenate([side.ravel() for side in sides])
