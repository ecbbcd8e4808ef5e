"""Which pixels a training step looks at; every shape is fixed, so that a CUDA graph can capture it."""

from __future__ import annotations

import torch
from torch import Tensor

from aednerf.training.config import RayBatch


def sample_pixels(boxes: Tensor, size: int, batch: RayBatch) -> Tensor:
    """Draw pixels of B frames: squares in the head's box, one in the mouth's, pixels in the eyes' boxes, and anywhere.

    Args:
        boxes: [B, 4, 4] left, top, right, bottom of head, mouth, left eye, right eye, in pixels.
        size: edge of the picture in pixels.
        batch: how many of each.

    Returns:
        [B, R, 2] int64 columns and rows, in that order: head squares, mouth square (row by row), eyes, anywhere.
    """
    half = batch.n_eyes // 2
    picture = torch.zeros_like(boxes[:, 0])
    picture[:, 2:] = size
    parts = [
        _squares_in_box(boxes[:, 0], batch.n_head // batch.head_patch_px**2, batch.head_patch_px, size),
        _squares_in_box(boxes[:, 1], 1, batch.mouth_patch_px, size),
        _in_box(boxes[:, 2], half, size),
        _in_box(boxes[:, 3], batch.n_eyes - half, size),
        _in_box(picture, batch.n_picture, size),
    ]
    return torch.cat(parts, dim=1)


def head_slice(batch: RayBatch) -> slice:
    """Return where the head's squares lie among a frame's rays."""
    return slice(0, batch.n_head)


def mouth_slice(batch: RayBatch) -> slice:
    """Return where the mouth's square lies among a frame's rays."""
    return slice(batch.n_head, batch.n_head + batch.mouth_patch_px**2)


def _in_box(box: Tensor, n: int, size: int) -> Tensor:
    low, high = box[:, None, :2], box[:, None, 2:]
    place = low + torch.rand(len(box), n, 2, device=box.device) * (high - low)
    return place.floor().clamp(0, size - 1).long()


def _squares_in_box(box: Tensor, n: int, edge: int, size: int) -> Tensor:
    low = box[:, None, :2]
    high = torch.maximum(box[:, None, 2:] - edge, low)
    corner = (low + torch.rand(len(box), n, 2, device=box.device) * (high - low + 1)).floor().clamp(0, size - edge)
    steps = torch.arange(edge, device=box.device)
    inside = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=-1).view(1, 1, -1, 2)
    return (corner.long().unsqueeze(2) + inside).flatten(1, 2)
