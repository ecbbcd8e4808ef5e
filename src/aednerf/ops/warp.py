"""Solve for the canonical point that a displacement moves to a given point.

A displacement u lives in canonical space: the canonical point c is seen at c + u(c). Given x, c solves c + u(c) = x,
found by the fixed point c <- x - u(c) from c = x. The iteration contracts where |du/dc| < 1. Only the last step is
differentiated (the implicit function theorem would scale that gradient by (I + du/dc)^-1, which is near I).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def solve_warp(x: Tensor, displacement: Callable[[Tensor], Tensor], n_steps: int) -> Tensor:
    """Return the canonical points of observed ones.

    Args:
        x: [..., 3] observed points.
        displacement: u, from points [..., 3] to [..., 3].
        n_steps: steps of the fixed point; 1 is the first-order form c = x - u(x), 0 is no warp.

    Returns:
        [..., 3] canonical points.
    """
    if n_steps == 0:
        return x
    canonical = x.detach()
    with torch.no_grad():
        for _ in range(n_steps - 1):
            canonical = x - displacement(canonical)
    return x - displacement(canonical)


def sample_grid(grid: Tensor, points: Tensor) -> Tensor:
    """Interpolate grids trilinearly; outside of the grid the value is zero.

    Args:
        grid: [B, C, R, R, R], indexed z, y, x; the corners' nodes lie at -1 and 1.
        points: [B, P, 3] in [-1, 1].

    Returns:
        [B, P, C].
    """
    sampled = torch.nn.functional.grid_sample(grid, points[:, :, None, None], align_corners=True)
    return sampled.flatten(2).transpose(1, 2)
