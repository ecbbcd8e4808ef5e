"""Which cells of the head can be seen at all: what lies behind a surface costs samples and never shows."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from aednerf.field.pose import matrix_from_rotvec
from aednerf.ops.composite import composite
from aednerf.ops.march import march
from aednerf.render.model import AvatarModel
from aednerf.render.rays import Rays, cast
from aednerf.render.volume import CM_PER_UNIT
from aednerf.training.frame_store import FrameStore
from aednerf.training.imagined import imagined_expressions

_LARGEST_TURN_RAD = (math.radians(20.0), math.radians(35.0))
"""How far the viewer walks around the head: up and down, and sideways."""
_LARGEST_GAIN = 5 / 3
"""Expressions are looked at up to so much stronger than recorded."""
_IMAGINED_SHARE = 0.5
"""So many looks are at expressions that nobody recorded."""
_FINER = 0.5
"""Samples lie so much closer than in a picture."""
_LEAST_WEIGHT = 0.04
"""A cell is seen where it ever gives a ray this part of its light."""
_RAYS_PER_CELL = 32
"""Rays cast for each cell of one side of the grid: enough to meet every cell of a surface."""
_RAYS_A_LOOK = 2048


@torch.no_grad()
def visible_cells(model: AvatarModel, frames: FrameStore, step: float) -> Tensor:
    """Look at the trained head from many sides, with its expressions and stronger ones, and note what is seen.

    A cell beside one that is seen counts as well, since the looks are a sample.

    Args:
        model: the trained person; its occupied cells are where it is looked for.
        frames: the training frames.
        step: distance between a picture's samples, in box units.

    Returns:
        [R, R, R] bool.
    """
    bits = model.occupancy.bits
    resolution = len(bits)
    largest = torch.zeros(bits.numel(), device=bits.device)
    n_rounds = max(1, -(-(_RAYS_PER_CELL * resolution**2) // _RAYS_A_LOOK))
    for _ in range(n_rounds):
        row = int(torch.randint(0, frames.n_frames, ()))
        cells, weights = _seen_by_rays(model, frames, row, step * _FINER)
        largest.scatter_reduce_(0, cells, weights, reduce="amax")
    return _with_neighbours((largest > _LEAST_WEIGHT).view_as(bits))


def _seen_by_rays(model: AvatarModel, frames: FrameStore, row: int, step: float) -> tuple[Tensor, Tensor]:
    """Cast rays at one frame's head from a random side: the cells they sample [M], and their weights [M]."""
    device = frames.images.device
    rotation, translation = frames.rotation[row : row + 1], frames.translation[row : row + 1]
    turn = matrix_from_rotvec((torch.rand(1, 3, device=device) * 2 - 1) * _turn_range(device))
    low, high = frames.boxes[row, 0, :2], frames.boxes[row, 0, 2:]
    pixels = low + torch.rand(1, _RAYS_A_LOOK, 2, device=device) * (high - low)
    rays = cast(pixels, frames.intrinsics[row : row + 1], turn @ rotation, translation)
    gain = 1 + torch.rand((), device=device) * (_LARGEST_GAIN - 1)
    keep = torch.randint(0, 2, (), device=device)
    expression = frames.expression[row : row + 1] * gain
    if float(torch.rand(())) < _IMAGINED_SHARE:
        imagined = imagined_expressions(device)
        expression = frames.expression[row : row + 1] + imagined[torch.randint(0, len(imagined), (1,), device=device)]
    state = model.head.prepare(
        expression.clamp(max=1.0),
        model.head.code(frames.residual[row : row + 1]) * gain * keep,
        torch.zeros(1, 3, device=device),
    )
    return _weights_by_cell(model, rays, state, step)


def _turn_range(device: torch.device) -> Tensor:
    return torch.tensor([*_LARGEST_TURN_RAD, 0.0], device=device)


def _weights_by_cell(model: AvatarModel, rays: Rays, state: object, step: float) -> tuple[Tensor, Tensor]:
    origins, directions = rays.origins[0], rays.directions[0]
    low, high = model.occupancy.box
    n_candidates = int(float((high - low).norm()) / step) + 2
    jitter = torch.rand(len(origins), 1, device=origins.device)
    samples = march(origins, directions, model.occupancy.bits, (low, high), step, jitter, n_candidates, n_candidates)
    points = origins.unsqueeze(1) + samples.t.unsqueeze(-1) * directions.unsqueeze(1)
    used = points[samples.is_used]
    density = torch.zeros_like(samples.t)
    density[samples.is_used] = model.head(used.unsqueeze(0), state)[0][0].float()
    _, weights = composite(density, torch.zeros_like(points), step * CM_PER_UNIT)
    return model.occupancy.cells_of(used), weights[samples.is_used]


def _with_neighbours(cells: Tensor) -> Tensor:
    """Add the six neighbours of each cell [R, R, R] bool."""
    grown = torch.nn.functional.pad(cells, (1, 1, 1, 1, 1, 1))
    inner = slice(1, -1)
    z, y, x = (
        grown[:-2, inner, inner] | grown[2:, inner, inner],
        grown[inner, :-2, inner] | grown[inner, 2:, inner],
        grown[inner, inner, :-2] | grown[inner, inner, 2:],
    )
    return cells | z | y | x
