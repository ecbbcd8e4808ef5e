"""The training frames of a capture on the training device: pictures, regions, boxes, poses and codes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aednerf.capture.capture import Capture
from aednerf.core.progress import Progress, silent
from aednerf.face.topology import LEFT_EYE, LIPS_INNER, LIPS_OUTER, RIGHT_EYE

HEAD, TORSO_SIDE, HEAD_EDGE, HEAD_OVER_NECK = 1, 0, 2, 3
"""What a pixel is: head; not head; too close to the neck to tell; head, with the neck right behind it."""

_EDGE_SHARE = 0.006
_BEHIND_SHARE = 0.08
_BOX_MARGIN = 0.25
_HEAD_MARGIN_PX = 6


@dataclass(frozen=True)
class FrameStore:
    """N training frames as tensors on one device."""

    images: Tensor
    """[N, H, W, 3] uint8."""
    mattes: Tensor
    """[N, H, W] uint8: the person's alpha."""
    regions: Tensor
    """[N, H, W] uint8: `HEAD`, `TORSO_SIDE`, `HEAD_EDGE` or `HEAD_OVER_NECK`."""
    boxes: Tensor
    """[N, 4, 4] left, top, right, bottom in pixels of the head, the mouth, the left eye and the right eye."""
    rotation: Tensor
    """[N, 3, 3]."""
    translation: Tensor
    """[N, 3] metres."""
    expression: Tensor
    """[N, 52]."""
    residual: Tensor
    """[N, K] what was read off the pictures."""
    posture: Tensor
    """[N, P]."""
    intrinsics: Tensor
    """[N, 3] focal length, cx, cy in pixels of the stored pictures."""
    plates: Tensor
    """[C, H, W, 3] uint8: the shots' backgrounds."""
    shot: Tensor
    """[N] int64: which shot a frame is from."""

    @property
    def n_frames(self) -> int:
        """Frames stored."""
        return len(self.images)

    @property
    def size(self) -> int:
        """Edge of the square pictures in pixels."""
        return self.images.shape[1]


def load_frames(
    capture: Capture, max_size: int, device: torch.device, budget_bytes: int, progress: Progress = silent
) -> FrameStore:
    """Decode a capture's training frames.

    Args:
        capture: the capture.
        max_size: pictures are made no larger than this, in pixels.
        device: where the tensors go.
        budget_bytes: frames are thinned out evenly until the pictures fit into this.
        progress: told how far the decoding is.

    Returns:
        The frames.
    """
    size = min(capture.size, max_size)
    frames = _thin_out(capture.train_frames, size, budget_bytes)
    scale = size / capture.size
    images = torch.empty(len(frames), size, size, 3, dtype=torch.uint8, device=device)
    mattes = torch.empty(len(frames), size, size, dtype=torch.uint8, device=device)
    regions = torch.empty_like(mattes)
    boxes = np.empty((len(frames), 4, 4), np.float32)
    landmarks = capture.tracking.landmarks_px[frames] * scale
    for row, (image, matte, parts) in enumerate(_decode(capture, frames)):
        image, matte = _resize(image, size, cv2.INTER_AREA), _resize(matte, size, cv2.INTER_AREA)
        parts = _resize(parts, size, cv2.INTER_NEAREST)
        images[row], mattes[row] = torch.from_numpy(image), torch.from_numpy(matte)
        regions[row] = torch.from_numpy(_regions_of(parts))
        boxes[row] = _boxes_of(parts, landmarks[row])
        progress("loading frames", row + 1, len(frames))
    motion = capture.motion(frames)
    shots = np.array([capture.shot_of(int(frame)) for frame in frames])
    clips = np.array([capture.shots[shot].clip for shot in shots])
    cameras = [capture.camera(index).resized(size, size) for index in range(len(capture.clips))]
    intrinsics = np.array([[c.focal_px, c.cx, c.cy] for c in cameras], np.float32)[clips]
    plates = [_resize(capture.plate(index), size, cv2.INTER_AREA) for index in range(len(capture.shots))]

    def tensor(array: NDArray) -> Tensor:
        return torch.as_tensor(array, device=device)

    return FrameStore(
        images, mattes, regions, tensor(boxes), tensor(motion.rotation), tensor(motion.translation),
        tensor(motion.expression), tensor(motion.residual), tensor(motion.posture), tensor(intrinsics),
        tensor(np.stack(plates)), tensor(shots),
    )  # fmt: skip


def _thin_out(frames: NDArray[np.int64], size: int, budget_bytes: int) -> NDArray[np.int64]:
    bytes_each = size * size * 5
    n = int(max(1, min(len(frames), budget_bytes // bytes_each)))
    return frames[np.linspace(0, len(frames) - 1, n).round().astype(np.int64)]


def _decode(capture: Capture, frames: NDArray[np.int64]) -> Iterator[tuple[NDArray, NDArray, NDArray]]:
    """Yield picture, matte and parts of the given frames, ascending."""
    wanted = set(frames.tolist())
    end = int(frames[-1]) + 1
    streams = zip(capture.images(0, end), capture.mattes(0, end), capture.parts(0, end), strict=True)
    for frame, decoded in enumerate(streams):
        if frame in wanted:
            yield decoded


def _resize(image: NDArray, size: int, interpolation: int) -> NDArray[np.uint8]:
    if image.shape[0] == size:
        return image
    return cv2.resize(image, (size, size), interpolation=interpolation).astype(np.uint8)


def _regions_of(parts: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Say of each pixel what it tells about the head."""
    head = (parts == 1).astype(np.uint8)
    below = (parts >= 2).astype(np.uint8)
    regions = head.copy()
    regions[(head > 0) & (_grown(below, _BEHIND_SHARE) > 0)] = HEAD_OVER_NECK
    regions[(_grown(head, _EDGE_SHARE) > 0) & (_grown(below, _EDGE_SHARE) > 0)] = HEAD_EDGE
    return regions


def _grown(mask: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """Return a mask grown by a share of the picture's size."""
    reach = max(1, round(share * len(mask)))
    return cv2.dilate(mask, np.ones((2 * reach + 1,) * 2, np.uint8)).astype(np.uint8)


def _boxes_of(parts: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the boxes [4, 4] of head, mouth and eyes, within the picture."""
    size = len(parts)
    rows, columns = np.nonzero((parts == 1).any(1))[0], np.nonzero((parts == 1).any(0))[0]
    head = np.array([0, 0, size, size], np.float32)
    if len(rows):
        head = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)
        head += np.array([-1, -1, 1, 1], np.float32) * _HEAD_MARGIN_PX
    boxes = [head]
    for points in ((*LIPS_OUTER, *LIPS_INNER), LEFT_EYE, RIGHT_EYE):
        low, high = landmarks[list(points)].min(0), landmarks[list(points)].max(0)
        margin = (high - low) * _BOX_MARGIN + 1
        boxes.append(np.concatenate([low - margin, high + margin]))
    clipped = np.clip(np.stack(boxes), 0, size)
    # A box outside of the picture becomes the head's, so that a ray can always be drawn.
    is_empty = (clipped[:, 2:] - clipped[:, :2]).min(1) < 1
    clipped[is_empty] = np.clip(head, 0, size)
    return clipped
