"""The loose hull of the head: cells that most mattes say are empty can be skipped from the start."""

from __future__ import annotations

import torch
from torch import Tensor

from aednerf.core.units import HEAD_BOX_HALF_M
from aednerf.training.frame_store import TORSO_SIDE, FrameStore

_N_VIEWS = 64
_EMPTY_SHARE = 0.35
"""A cell goes where at least this share of the views see no head there: a tight hull costs decibels."""
_MARGIN_SHARE = 0.012


@torch.no_grad()
def loose_hull(centres: Tensor, frames: FrameStore) -> Tensor:
    """Say which cells [G, 3] of the head's box may hold something of the head: [G] bool."""
    rows = torch.linspace(0, frames.n_frames - 1, min(_N_VIEWS, frames.n_frames)).round().long().tolist()
    empty = torch.zeros(len(centres), device=centres.device)
    seen = torch.zeros_like(empty)
    margin = 2 * max(1, round(_MARGIN_SHARE * frames.size)) + 1
    for row in rows:
        is_head = (frames.regions[row] != TORSO_SIDE).float()
        mask = torch.nn.functional.max_pool2d(is_head[None, None], margin, stride=1, padding=margin // 2)[0, 0]
        points = centres * HEAD_BOX_HALF_M @ frames.rotation[row].T + frames.translation[row]
        focal, cx, cy = frames.intrinsics[row].unbind()
        u = (cx - focal * points[:, 0] / points[:, 2]).floor().long()
        v = (cy + focal * points[:, 1] / points[:, 2]).floor().long()
        is_inside = (u >= 0) & (u < frames.size) & (v >= 0) & (v < frames.size)
        value = mask[v.clamp(0, frames.size - 1), u.clamp(0, frames.size - 1)]
        seen += is_inside
        empty += is_inside & (value == 0)
    return (seen > 0) & (empty < _EMPTY_SHARE * seen)
