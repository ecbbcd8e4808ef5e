"""Solve for the canonical point that a displacement moves to a given point.

A displacement u lives in canonical space: the canonical point c is seen at c + u(c). Given x, c solves c + u(c) = x.
The fixed point c <- x - u(c) from c = x contracts where |du/dc| < 1; where lips part and brows rise it does not. Each
step is therefore mixed with the one before it so that the error along what changed between them vanishes, were u
linear there (D. G. Anderson, "Iterative procedures for nonlinear integral equations", Journal of the ACM 12(4), 1965,
with a memory of one): at the cost of the fixed point, and right in two steps along one direction.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_MIX_RANGE = (-2.0, 0.95)
"""Bounds of the share of the step before: space that is stretched twentyfold, and pressed to a third."""
_LEAST_CHANGE = 1e-10
"""Squared: two steps that differ less have nothing to tell."""


def solve_warp(x: Tensor, displacement: Callable[[Tensor], Tensor], n_steps: int, is_mixed: bool = True) -> Tensor:
    """Return the canonical points of observed ones.

    Only the last step is differentiated (the implicit function theorem would scale that gradient by (I + du/dc)^-1).

    Args:
        x: [..., 3] observed points.
        displacement: u, from points [..., 3] to [..., 3].
        n_steps: steps, each of one displacement; 1 is the first-order form c = x - u(x), 0 is no warp.
        is_mixed: whether steps are mixed; otherwise this is the plain fixed point.

    Returns:
        [..., 3] canonical points.
    """
    if n_steps == 0:
        return x
    canonical, before = x.detach(), None
    for left in reversed(range(n_steps)):
        with torch.set_grad_enabled(torch.is_grad_enabled() and left == 0):
            moved = x - displacement(canonical)
            error = moved.detach() - canonical
            if before is None or not is_mixed:
                mixed = moved
            else:
                moved_before, error_before = before
                share = _share_of_before(error, error_before)
                mixed = moved + share * (moved_before - moved)
            canonical, before = mixed, (moved.detach(), error)
    return canonical


def _share_of_before(error: Tensor, before: Tensor) -> Tensor:
    """Return [..., 1] the share of the step before in a mixture, from both steps' errors [..., 3]."""
    change = error - before
    share = (change * error).sum(-1, keepdim=True) / (change.square().sum(-1, keepdim=True) + _LEAST_CHANGE)
    return share.clamp(*_MIX_RANGE)


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
