"""The posture code: how the torso's picture lies in a frame, read off the frame's own pixels by dense optical flow.

Shoulders breathe and move on their own, which the head's pose does not tell. Each frame is compared with one reference
frame: at places of the picture that hold torso in nearly all training frames, the flow says which place of the
reference is seen there. That is how a torso that is one bending picture has to bend. The code is the flow's principal
components, of training frames only. Places count as much as the picture changes around them, so that what a plain
dark jacket seems to do says little and a collar's edge says much.

Source: Kroeger et al., Fast optical flow using dense inverse search, 2016; the components are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = np.ndarray
Bytes = NDArray[np.uint8]

N_POSTURE = 12
"""Numbers of the code, at most."""
TORSO = 3
"""Its label among the parts."""
CLIP_RANGE = 1.1
"""Codes are clipped to this much more than the range of the training frames."""

_LARGEST_EDGE = 512
"""Larger pictures are compared at this size, in pixels."""
_CANDIDATES = 96
"""Training frames that the reference is chosen from."""
_ALWAYS = 0.95
"""The share of the training frames in which a place must hold torso."""
_LEAST_AREA = 0.005
"""The share of the picture that such places must take."""
_PLACES = 700
"""How many of them are read, about."""
_REACH = 0.125
"""Margin around the places within which the torso is looked for, as a share of the picture."""
_LEAST_MOTION_PX = 0.05
"""Components whose rms motion is below this, at 512, are noise."""
_LOST_LEVELS = 24.0
"""A place is lost where the reference, moved, still differs by so many code values."""
_LEAST_FOUND = 0.4
"""A frame in which a smaller share of the places is found has the mean posture."""


@dataclass(frozen=True)
class Reference:
    """What the torso of every frame is compared with."""

    gray: Bytes
    """[h, w] the cut-out of the reference frame that all places and a margin lie in."""

    origin: tuple[int, int]
    """Left and top of the cut-out."""

    rows: NDArray[np.intp]
    """[Q] rows of the places in the cut-out."""

    columns: NDArray[np.intp]
    """[Q] their columns."""

    weight: Array
    """[Q] how much the picture changes there, rms 1."""

    def look(self, gray: Bytes, search: cv2.DISOpticalFlow) -> tuple[Array, Array]:
        """Find the places of one frame in the reference.

        Args:
            gray: [H, W] the whole frame.
            search: of the flow.

        Returns:
            [Q, 2] pixels by which the reference's place lies beside the frame's, and [Q] whether it looks the same.
        """
        left, top = self.origin
        height, width = self.gray.shape
        view = np.ascontiguousarray(gray[top : top + height, left : left + width])
        flow = search.calc(view, self.gray, None)  # pyright: ignore[reportArgumentType, reportCallIssue]
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        seen = cv2.remap(
            self.gray, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        difference = cv2.blur(cv2.absdiff(seen, view), (7, 7))[self.rows, self.columns]
        return flow[self.rows, self.columns], difference < _LOST_LEVELS


@dataclass(frozen=True)
class PostureBasis:
    """Principal components of the weighted flow, scaled as `residual.CropBasis`: code = (flow - mean) @ components."""

    mean: Array
    """[Q * 2] the training frames' mean flow, weighted."""

    components: Array
    """[Q * 2, P] unit principal vectors, each divided by sqrt(sd_k sd_0)."""

    low: Array
    """[P] least allowed code."""

    high: Array
    """[P] largest allowed code."""

    @staticmethod
    def learn(flow: Array, n_components: int, least: float) -> PostureBasis:
        """Learn the components, as many as move by `least` or more (rms over the places), of flows [T, Q * 2]."""
        mean = flow.mean(0)
        centred = (flow - mean).astype(np.float64)
        _, singular, vectors = np.linalg.svd(centred, full_matrices=False)
        sd = singular / np.sqrt(len(flow))
        n = min(n_components, int((sd >= least * np.sqrt(flow.shape[1] / 2)).sum()))
        components = vectors[:n].T / np.sqrt(sd[:n] * sd[:1])
        code = centred @ components
        middle, half = 0.5 * (code.max(0) + code.min(0)), 0.5 * CLIP_RANGE * np.ptp(code, axis=0)
        return PostureBasis(mean, components, middle - half, middle + half)

    def encode(self, flow: Array) -> Array:
        """Return the codes [..., P] of weighted flows [..., Q * 2]."""
        return np.clip((flow - self.mean) @ self.components, self.low, self.high)


def posture_code(
    frames: Callable[[], Iterable[Bytes]], parts: Callable[[], Iterable[Bytes]], n_frames: int, train_frames: Array,
    n_posture: int = N_POSTURE, progress: Callable[[int], None] | None = None,
) -> Array:  # fmt: skip
    """Return how the torso lies in every frame.

    Args:
        frames: returns an iterator over the T frames, uint8 RGB [H, W, 3]; it is called twice.
        parts: returns an iterator over their labels [H, W]; called once.
        n_frames: T.
        train_frames: [N] the frames that reference and components may come from, ascending.
        n_posture: numbers of the code, at most.
        progress: told how many frames are done.

    Returns:
        [T, P] float32. The first number has standard deviation 1 over the training frames, the others less; P is 0
        where the torso is hardly seen or does not move, or there is no training frame.
    """
    reference = _reference(frames(), parts(), np.asarray(train_frames)) if len(train_frames) else None
    if reference is None:
        return np.zeros((n_frames, 0), np.float32)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = np.zeros((n_frames, len(reference.rows), 2), np.float32)
    is_found = np.zeros(flow.shape[:2], bool)
    for t, gray in zip(range(n_frames), _gray(frames()), strict=False):
        flow[t], is_found[t] = reference.look(gray, search)
        if progress is not None:
            progress(t + 1)
    places = np.stack([reference.columns, reference.rows], axis=1)
    mean = flow[train_frames].mean(0)
    rows = [_mended(one, found, places, mean) for one, found in zip(flow, is_found, strict=True)]
    weighted = (np.stack(rows) * reference.weight[:, None]).reshape(n_frames, -1)
    basis = PostureBasis.learn(weighted[train_frames], n_posture, _LEAST_MOTION_PX * max(gray.shape) / _LARGEST_EDGE)
    return basis.encode(weighted).astype(np.float32)


def _reference(frames: Iterable[Bytes], parts: Iterable[Bytes], train_frames: Array) -> Reference | None:
    """Choose the places, and the training frame that looks most like all; None where there is hardly any torso."""
    chosen = train_frames[np.linspace(0, len(train_frames) - 1, _CANDIDATES).round().astype(int)]
    wanted = set(chosen.tolist())
    candidates: list[Bytes] = []
    share: Array | float = 0.0
    for t, (gray, labels) in enumerate(zip(_gray(frames), parts, strict=False)):
        if t in wanted:
            candidates.append(gray)
            torso = (labels == TORSO).astype(np.float32)
            share = share + cv2.resize(torso, gray.shape[::-1], interpolation=cv2.INTER_AREA) / len(wanted)
        if t >= chosen[-1]:
            break
    is_torso = np.asarray(share) >= _ALWAYS
    if is_torso.mean() < _LEAST_AREA:
        return None
    pictures = np.stack(candidates).astype(np.float32)
    distance = np.square(pictures - pictures.mean(0))[:, is_torso].mean(1)
    return _cut_out(candidates[int(distance.argmin())], is_torso, _change(pictures))


def _cut_out(gray: Bytes, is_torso: Array, change: Array) -> Reference:
    """Spread the places over the torso [H, W] of the reference frame."""
    margin = round(_REACH * max(gray.shape))
    rows, columns = np.nonzero(is_torso)
    top, left = max(0, rows.min() - margin), max(0, columns.min() - margin)
    view = gray[top : rows.max() + 1 + margin, left : columns.max() + 1 + margin]
    step = max(1, int(np.sqrt(len(rows) / _PLACES)))
    on_grid = (rows % step == step // 2) & (columns % step == step // 2)
    rows, columns = rows[on_grid], columns[on_grid]
    weight = change[rows, columns]
    weight = weight / max(float(np.sqrt(np.square(weight).mean())), 1e-6)
    return Reference(np.ascontiguousarray(view), (int(left), int(top)), rows - top, columns - left, weight)


def _change(pictures: Array) -> Array:
    """Return [H, W]: how much pictures [N, H, W] change from place to place, rms."""
    total = np.zeros(pictures.shape[1:], np.float32)
    for picture in pictures:
        total += cv2.Sobel(picture, cv2.CV_32F, 1, 0) ** 2 + cv2.Sobel(picture, cv2.CV_32F, 0, 1) ** 2
    return np.sqrt(cv2.blur(total / len(pictures), (9, 9)))


def _mended(flow: Array, is_found: Array, places: Array, mean: Array) -> Array:
    """Return the flow [Q, 2] with lost places moved as the others are, affinely; the mean where too many are lost."""
    if is_found.mean() < _LEAST_FOUND:
        return mean
    if is_found.all():
        return flow
    design = np.concatenate([places, np.ones((len(places), 1))], axis=1)
    affine = np.linalg.lstsq(design[is_found], flow[is_found], rcond=None)[0]
    return np.where(is_found[:, None], flow, design @ affine)


def _gray(frames: Iterable[Bytes]) -> Iterator[Bytes]:
    for frame in frames:
        scale = _LARGEST_EDGE / max(frame.shape[:2])
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        yield cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else gray  # pyright: ignore[reportReturnType]
