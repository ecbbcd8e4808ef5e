"""How steady a film is: what flickers where nothing moves, and what changes along the real film's own motion.

The warping error follows Lai et al. (Learning Blind Video Temporal Consistency, 2018): the frame before, moved by the
optical flow of the real film, against the frame. The real film's own value stands beside ours: flow is never exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from aednerf.evaluation.regions import HEAD_LABEL

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]

MARGIN_PX = 8
"""How far from the person, or the head, a pixel counts as resting."""

_SAME_PLACE_PX = 0.5
"""Flow there and back may miss its origin by this much; where it misses by more, something was hidden."""


@dataclass(frozen=True)
class Steadiness:
    """Means over pairs of consecutive frames, mean absolute differences in code values (1/255)."""

    n_pairs: int
    warp_error: float
    """The person, the frame before moved by the real film's flow, where nothing was hidden; NaN where no pixel is."""

    real_warp_error: float
    """The same of the real film."""

    flicker_background: float
    """From frame to frame, farther than `MARGIN_PX` from the person."""

    real_flicker_background: float
    flicker_outside_head: float
    """From frame to frame, farther than `MARGIN_PX` from the head: background, neck and torso."""

    real_flicker_outside_head: float


@dataclass(frozen=True)
class Step:
    """What two consecutive real frames tell about where to compare."""

    came_from: NDArray[np.float32]
    """[H, W, 2] the place in the frame before that each pixel comes from, OpenCV's coordinates (centres at 0)."""

    person: Mask
    """[H, W] pixels of the person that were visible in both frames."""

    background: Mask
    outside_head: Mask

    @staticmethod
    def between(before: Picture, now: Picture, parts_before: Picture, parts_now: Picture) -> Step:
        """Compare two consecutive real frames [H, W, 3] with their part labels [H, W]."""
        gray = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (before, now)]
        back, forth = _flow(gray[1], gray[0]), _flow(gray[0], gray[1])
        height, width = gray[0].shape
        here = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)
        came_from = here + back
        is_inside = ((came_from >= 0) & (came_from <= (width - 1, height - 1))).all(-1)
        missed = np.linalg.norm(back + _moved(forth, came_from), axis=-1)
        return Step(
            came_from, (parts_now != 0) & is_inside & (missed < _SAME_PLACE_PX),
            far_from((parts_before != 0) | (parts_now != 0)),
            far_from((parts_before == HEAD_LABEL) | (parts_now == HEAD_LABEL)),
        )  # fmt: skip

    def changes(self, before: Picture, now: Picture) -> tuple[float, float, float]:
        """Return warping error, flicker of the background and flicker outside the head of two frames [H, W, 3]."""
        return (
            difference(_moved(before, self.came_from), now, self.person), difference(before, now, self.background),
            difference(before, now, self.outside_head),
        )  # fmt: skip


@dataclass
class SteadinessTally:
    """Pairs of consecutive frames as they come: of the real film, and of each row that shows it again."""

    _before: tuple[int, int, Picture, Picture] | None = None
    """Frame, shot, picture and parts of the real frame before."""

    _shown_before: dict[str, Picture] = field(default_factory=dict)
    _changes: dict[str, list[tuple[float, ...]]] = field(default_factory=dict)
    """For each row and pair: ours, then the real one's."""

    def add(self, frame: int, shot: int, real: Picture, parts: Picture, shown: Mapping[str, Picture]) -> None:
        """Take the next real frame and what each row shows of it; frames ascend, with gaps."""
        follows = self._before is not None and self._before[:2] == (frame - 1, shot)
        rows = [name for name in shown if follows and name in self._shown_before]
        if rows and self._before is not None:
            step = Step.between(self._before[2], real, self._before[3], parts)
            own = step.changes(self._before[2], real)
            for name in rows:
                self._changes.setdefault(name, []).append(step.changes(self._shown_before[name], shown[name]) + own)
        self._before, self._shown_before = (frame, shot, real, parts), dict(shown)

    def of(self, name: str) -> Steadiness | None:
        """Return the means of a row; None where it has no two consecutive frames."""
        if name not in self._changes:
            return None
        values = np.array(self._changes[name], np.float64)
        counts = (~np.isnan(values)).sum(0)
        ours_and_real = np.where(counts > 0, np.nansum(values, 0) / np.maximum(counts, 1), np.nan)
        warp, background, outside, real_warp, real_background, real_outside = map(float, ours_and_real)
        return Steadiness(len(values), warp, real_warp, background, real_background, outside, real_outside)


def difference(a: Picture, b: Picture, mask: Mask) -> float:
    """Return the mean absolute difference of two pictures [H, W, 3] over a mask, code values; NaN where it is empty."""
    return float(np.abs(a[mask].astype(np.float32) - b[mask]).mean()) if mask.any() else math.nan


def far_from(mask: Mask, margin_px: int = MARGIN_PX) -> Mask:
    """Return the pixels [H, W] that lie farther than a margin from a mask."""
    edge = 2 * margin_px + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (edge, edge))
    return ~cv2.dilate(mask.astype(np.uint8), disc).astype(bool)


def _flow(of: NDArray[np.generic], towards: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return the dense flow [H, W, 2] of a gray picture towards another, pixels (Kroeger et al. 2016, DIS)."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(flow.calc(np.asarray(of, np.uint8), np.asarray(towards, np.uint8), None), np.float32)  # type: ignore[call-overload]


def _moved(picture: NDArray[np.generic], came_from: NDArray[np.float32]) -> NDArray:
    """Return the picture [H, W, C] that has at each pixel what `picture` has at the place it came from."""
    return cv2.remap(picture, came_from, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
