"""Volume rendering of rays; the field is a callable and the renderer knows no model.

`render_batch` has static shapes and is differentiable: training. `render_frame` skips what is finished: pictures. Both
are the same sum over the same samples, up to the slots of a batch and the transmittance at which a picture's ray ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from aednerf.core.units import HEAD_BOX_HALF_M
from aednerf.ops.composite import composite
from aednerf.ops.march import intersect_box, march
from aednerf.render.rays import Rays

Field = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Points [B, P, 3] in [-1, 1]^3 to density [B, P] per cm and colour [B, P, 3]."""

CM_PER_UNIT = HEAD_BOX_HALF_M * 100
_OPAQUE_TRANSMITTANCE = 4e-3
"""A picture's ray ends where less than this passes: one code value."""
_ROUND_SLOTS = 8
_CANDIDATES_AT_ONCE = 1 << 25
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
) -> Tensor:
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
        [B, R, 4] premultiplied RGBA.
    """
    n_frames, n_rays, _ = rays.origins.shape
    origins, directions = rays.origins.reshape(-1, 3), rays.directions.reshape(-1, 3)
    with torch.no_grad():
        samples = march(
            origins, directions, space.bits, (space.low, space.high), step, jitter, n_candidates, n_slots
        )
    points = origins.unsqueeze(1) + samples.t.unsqueeze(-1) * directions.unsqueeze(1)
    density, colour = field(points.view(n_frames, n_rays * n_slots, 3))
    density = density.view(-1, n_slots) * samples.is_used
    rgba, _ = composite(density, colour.view(-1, n_slots, 3), step * CM_PER_UNIT)
    return rgba.view(n_frames, n_rays, 4)


@torch.no_grad()
def render_frame(field: Field, rays: Rays, space: Space, step: float, max_samples: int = 128) -> Tensor:
    """Render the rays of one frame, skipping rays that miss and ending those that are opaque.

    Args:
        field: what is rendered.
        rays: [1, R] rays.
        space: where samples may lie.
        step: distance between samples, in box units.
        max_samples: samples a ray has at most.

    Returns:
        [R, 4] premultiplied RGBA.
    """
    origins, directions = rays.origins[0], rays.directions[0]
    near, far = intersect_box(origins, directions, space.low, space.high)
    hit = (far > near).nonzero().squeeze(1)
    rgba = torch.zeros(len(origins), 4, device=origins.device)
    if not len(hit):
        return rgba
    n_candidates = math.ceil(float((far - near).max()) / step) + 1
    for chosen in hit.split(max(1, _CANDIDATES_AT_ONCE // n_candidates)):
        rgba[chosen] = _render_hits(field, origins[chosen], directions[chosen], space, step, n_candidates, max_samples)
    return rgba


def _render_hits(
    field: Field, origins: Tensor, directions: Tensor, space: Space, step: float, n_candidates: int, max_samples: int
) -> Tensor:
    """Render rays [N, 3] front to back, a few samples at a time."""
    box = (space.low, space.high)
    samples = march(origins, directions, space.bits, box, step, 0.5, n_candidates, max_samples)
    rgba = torch.zeros(len(origins), 4, device=origins.device)
    for slots in _rounds(min(max_samples, int(samples.n_found.max()))):
        is_alive = samples.is_used[:, slots.start] & (rgba[:, 3] < 1.0 - _OPAQUE_TRANSMITTANCE)
        alive = is_alive.nonzero().squeeze(1)
        if not len(alive):
            break
        is_used, t = samples.is_used[alive, slots], samples.t[alive, slots]
        ray, slot = is_used.nonzero(as_tuple=True)
        points = origins[alive[ray]] + t[ray, slot].unsqueeze(-1) * directions[alive[ray]]
        density = torch.zeros(t.shape, device=t.device)
        colour = torch.zeros(*t.shape, 3, device=t.device)
        density[ray, slot], colour[ray, slot] = _evaluate(field, points)
        part, _ = composite(density, colour, step * CM_PER_UNIT)
        rgba[alive] += (1.0 - rgba[alive, 3:]) * part
    return rgba


def _rounds(n_slots: int) -> Iterator[slice]:
    """Yield slot ranges: short ones first, since most rays end soon."""
    first, length = 0, _ROUND_SLOTS
    while first < n_slots:
        yield slice(first, min(first + length, n_slots))
        first, length = first + length, length * 2


def _evaluate(field: Field, points: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate points [M, 3] in pieces of bounded size."""
    pieces = [field(piece.unsqueeze(0)) for piece in points.split(_POINTS_AT_ONCE)]
    return torch.cat([density[0] for density, _ in pieces]), torch.cat([colour[0] for _, colour in pieces])
