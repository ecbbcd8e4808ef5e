"""Volume rendering of rays; the field is a callable and the renderer knows no model.

`render_batch` has static shapes and is differentiable: training. `render_frame` skips what is finished: pictures. Both
are the same sum over the same samples, up to the slots of a batch and the transmittance at which a picture's ray ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from aednerf.core.units import HEAD_BOX_HALF_M
from aednerf.ops.composite import composite, spread
from aednerf.ops.march import intersect_box, lookup, march
from aednerf.render.rays import Rays

Field = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Points [B, P, 3] in [-1, 1]^3 to density [B, P] per cm and colour [B, P, 3]."""

CM_PER_UNIT = HEAD_BOX_HALF_M * 100
_OPAQUE_TRANSMITTANCE = 4e-3
"""A picture's ray ends where less than this passes: one code value."""
_STEPS_AT_ONCE = 4
"""Steps that the rays of a picture advance before those that are opaque are dropped."""
_POINTS_AT_ONCE = 1 << 20


class Space(NamedTuple):
    """Where samples may lie: the occupied cells and the box around them."""

    bits: Tensor
    """[R, R, R] bool, indexed z, y, x, over [-1, 1]^3."""
    low: Tensor
    """[3] the lowest corner of what is occupied."""
    high: Tensor
    """[3] the highest corner."""


def render_batch(
    field: Field, rays: Rays, space: Space, step: Tensor, jitter: Tensor, n_candidates: int, n_slots: int
) -> tuple[Tensor, Tensor]:
    """Render rays of B frames with fixed shapes.

    Args:
        field: what is rendered.
        rays: [B, R] rays.
        space: where samples may lie.
        step: distance between samples, a scalar in box units.
        jitter: [B * R, 1] in [0, 1): where in its step a ray's first sample lies.
        n_candidates: steps a ray is followed for.
        n_slots: samples a ray has at most; what is occupied behind them is left out.

    Returns:
        [B, R, 4] premultiplied RGBA, and [B, R] how far each ray's light is spread along it (`ops.composite.spread`).
    """
    n_frames, n_rays, _ = rays.origins.shape
    origins, directions = rays.origins.reshape(-1, 3), rays.directions.reshape(-1, 3)
    with torch.no_grad():
        samples = march(origins, directions, space.bits, (space.low, space.high), step, jitter, n_candidates, n_slots)
    points = origins.unsqueeze(1) + samples.t.unsqueeze(-1) * directions.unsqueeze(1)
    density, colour = field(points.view(n_frames, n_rays * n_slots, 3))
    density = density.view(-1, n_slots) * samples.is_used
    rgba, weights = composite(density, colour.view(-1, n_slots, 3), step * CM_PER_UNIT)
    return rgba.view(n_frames, n_rays, 4), spread(weights, samples.t, step).view(n_frames, n_rays)


@torch.no_grad()
def render_frame(field: Field, rays: Rays, space: Space, step: float) -> Tensor:
    """Render the rays of one frame, skipping rays that miss and ending those that are opaque.

    Args:
        field: what is rendered.
        rays: [1, R] rays.
        space: where samples may lie.
        step: distance between samples, in box units.

    Returns:
        [R, 4] premultiplied RGBA.
    """
    origins, directions = rays.origins[0], rays.directions[0]
    near, far = intersect_box(origins, directions, space.low, space.high)
    rgba = torch.zeros(len(origins), 4, device=origins.device)
    alive = (far > near).nonzero().squeeze(1)
    reached = near
    places = (torch.arange(_STEPS_AT_ONCE, device=near.device) + 0.5) * step
    while len(alive):
        t = reached[alive].unsqueeze(1) + places
        points = origins[alive].unsqueeze(1) + t.unsqueeze(-1) * directions[alive].unsqueeze(1)
        is_used = lookup(points, space.bits) & (t < far[alive].unsqueeze(1))
        front = rgba[alive]
        rgba[alive] = front + (1.0 - front[:, 3:]) * _render_stretch(field, points, is_used, step)
        reached = reached + _STEPS_AT_ONCE * step
        alive = alive[(rgba[alive, 3] < 1.0 - _OPAQUE_TRANSMITTANCE) & (reached[alive] < far[alive])]
    return rgba


def _render_stretch(field: Field, points: Tensor, is_used: Tensor, step: float) -> Tensor:
    """Render a stretch of N rays from its candidates [N, M, 3], of which some are used [N, M]: [N, 4]."""
    ray, place = is_used.nonzero(as_tuple=True)
    rgba = torch.zeros(len(points), 4, device=points.device)
    if not len(ray):
        return rgba
    density = torch.zeros(points.shape[:2], device=points.device)
    colour = torch.zeros_like(points)
    density[ray, place], colour[ray, place] = _evaluate(field, points[ray, place])
    hit = is_used.any(1)
    rgba[hit], _ = composite(density[hit], colour[hit], step * CM_PER_UNIT)
    return rgba


def _evaluate(field: Field, points: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate points [M, 3] in pieces of bounded size."""
    pieces = [field(piece.unsqueeze(0)) for piece in points.split(_POINTS_AT_ONCE)]
    return torch.cat([density[0] for density, _ in pieces]), torch.cat([colour[0] for _, colour in pieces])
