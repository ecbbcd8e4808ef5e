"""The surface that a picture of the head shows, from where the light of its rays comes: depth and normals."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize, pad

SOLID_ALPHA = 0.5
"""A pixel shows a surface where the head's alpha is at least this."""

_SMOOTHING_PX = 3
"""Edge of the square of pixels over which places are averaged before they are differentiated."""


def depth(surface: Tensor) -> Tensor:
    """Return how far away a surface [H, W, 4] (see `AvatarModel.surface`) lies along the viewing axis: [H, W] metres.

    The expected depth of each ray; 0 where it shows no surface.
    """
    return torch.where(surface[..., 3] >= SOLID_ALPHA, -surface[..., 2], 0.0)


def normal(surface: Tensor) -> Tensor:
    """Return the unit normals [H, W, 3] of a surface [H, W, 4] in the camera's space: x right, y up, z to the camera.

    The cross product of how the place changes across and down the picture, on the side where it changes less: a step in
    depth, such as beside the nose, is no slope. 0 where there is no surface, or no neighbour.
    """
    is_solid = surface[..., 3] >= SOLID_ALPHA
    place = _smoothed(surface[..., :3], is_solid)
    across = _slope(place, is_solid, 1)
    down = _slope(place, is_solid, 0)
    found = normalize(torch.linalg.cross(down, across, dim=-1), dim=-1)
    return found * is_solid.unsqueeze(-1)


def _smoothed(place: Tensor, is_solid: Tensor) -> Tensor:
    """Average places over neighbours that are solid too."""
    weight = is_solid.to(place.dtype)[None, None]
    held = (place * is_solid.unsqueeze(-1)).permute(2, 0, 1)[None]
    total, count = (avg_pool2d(value, _SMOOTHING_PX, 1, _SMOOTHING_PX // 2) for value in (held, weight))
    return (total / count.clamp(min=1e-6))[0].permute(1, 2, 0)


def _slope(place: Tensor, is_solid: Tensor, axis: int) -> Tensor:
    """Return the change [H, W, 3] from pixel to pixel along an axis, 0 where no neighbour is solid."""
    step = place.diff(dim=axis)
    both = is_solid.narrow(axis, 1, is_solid.shape[axis] - 1) & is_solid.narrow(axis, 0, is_solid.shape[axis] - 1)
    size = torch.where(both, step.norm(dim=-1), torch.inf)
    before, after = ((0, 0, 1, 0), (0, 0, 0, 1)) if axis == 0 else ((1, 0), (0, 1))
    steps = [pad(step, (0, 0, *side)) for side in (before, after)]
    sizes = [pad(size, side, value=torch.inf) for side in (before, after)]
    chosen = torch.where((sizes[0] <= sizes[1]).unsqueeze(-1), *steps)
    return chosen * torch.isfinite(torch.minimum(*sizes)).unsqueeze(-1)
