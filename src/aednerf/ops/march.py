"""Find the occupied samples of rays on a uniform step.

Ray n has candidates at t_i = near_n + (i + jitter_n) * step for i = 0..M-1, up to far_n. The first S of them that lie
in an occupied cell of the grid are its samples, in order. All shapes are static, so that a CUDA graph can capture it.
Not differentiable: the samples' places are data.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Samples(NamedTuple):
    """The samples of N rays in S slots; slots that `is_used` leaves out hold t = far."""

    t: Tensor
    """[N, S] distance along the ray."""
    is_used: Tensor
    """[N, S] bool; the used slots of a ray come first."""
    n_found: Tensor
    """[N] int32: occupied candidates of each ray, which may be more than S."""


def march(
    origins: Tensor, directions: Tensor, occupancy: Tensor, box: tuple[Tensor, Tensor], step: Tensor | float,
    jitter: Tensor | float, n_candidates: int, n_slots: int,
) -> Samples:  # fmt: skip
    """Collect the first occupied samples of each ray.

    Args:
        origins: [N, 3] in the grid's coordinates, [-1, 1]^3.
        directions: [N, 3] in the same coordinates (their length scales t).
        occupancy: [R, R, R] bool, indexed z, y, x.
        box: the lowest and highest corner [3] of what is occupied; rays are cut to it.
        step: distance between candidates.
        jitter: [N, 1] or a number, in [0, 1): the first candidate's place within its step.
        n_candidates: M.
        n_slots: S.

    Returns:
        The samples.
    """
    near, far = intersect_box(origins, directions, *box)
    index = torch.arange(n_candidates, device=origins.device, dtype=origins.dtype)
    t = near.unsqueeze(1) + (index + jitter) * step
    points = origins.unsqueeze(1) + t.unsqueeze(-1) * directions.unsqueeze(1)
    is_occupied = lookup(points, occupancy) & (t < far.unsqueeze(1))
    rank = is_occupied.cumsum(1, dtype=torch.int32)
    slot = torch.where(is_occupied, rank - 1, n_slots).clamp(max=n_slots)
    slots = far.unsqueeze(1).expand(-1, n_slots + 1).contiguous().scatter(1, slot.long(), t)
    n_found = rank[:, -1]
    is_used = torch.arange(n_slots, device=t.device) < n_found.unsqueeze(1)
    return Samples(slots[:, :n_slots], is_used, n_found)


def intersect_box(origins: Tensor, directions: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return where rays [N, 3] enter and leave a box, [N] each; a miss has far <= near."""
    inverse = 1.0 / torch.where(directions.abs() < 1e-9, 1e-9, directions)
    first, second = (low - origins) * inverse, (high - origins) * inverse
    near = torch.minimum(first, second).amax(-1).clamp(min=0.0)
    return near, torch.maximum(first, second).amin(-1)


def lookup(points: Tensor, occupancy: Tensor) -> Tensor:
    """Return whether points [..., 3] in [-1, 1]^3 lie in an occupied cell; outside is empty."""
    resolution = occupancy.shape[0]
    cell = ((points + 1.0) * (resolution / 2)).floor()
    is_inside = ((cell >= 0) & (cell < resolution)).all(-1)
    x, y, z = cell.clamp(0, resolution - 1).long().unbind(-1)
    return occupancy.reshape(-1)[(z * resolution + y) * resolution + x] & is_inside
