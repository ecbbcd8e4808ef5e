"""The low-rank warp from the observed head to the canonical one.

A few basis displacements on coarse grids, blended once a frame by b = A [expression, residual], move canonical points
to where they are seen. They begin as the face model's own blendshapes, spread smoothly from its surface into space, so
that an expression that the recording never shows still moves the right places.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from aednerf.core.records import ARKIT_NAMES
from aednerf.core.units import HEAD_BOX_HALF_M
from aednerf.field.config import FieldConfig
from aednerf.ops.warp import sample_grid, solve_warp

_SPREAD_CELLS = 0.6
"""Width of the Gaussian that spreads the surface's displacement to a node, in cells."""
_REACH_M = 0.03
"""How far from the surface its displacement fades."""
_MOUTH_NAMES = ("jawOpen", "mouthFunnel", "mouthSmileLeft", "mouthSmileRight", "mouthUpperUpLeft", "mouthLowerDownLeft")


class FrameWarp(NamedTuple):
    """The blended displacement of B frames."""

    whole: Tensor
    """[B, 3, R, R, R] over the box."""
    mouth: Tensor
    """[B, 3, r, r, r] added around the mouth."""


class LowRankWarp(nn.Module):
    """Blend basis displacements for a frame and solve for canonical points, in the box's coordinates [-1, 1]^3."""

    def __init__(self, config: FieldConfig) -> None:
        super().__init__()
        r, m = config.warp_resolution, config.mouth_resolution
        self.n_steps = config.warp_steps
        self.mix = nn.Parameter(torch.zeros(config.n_basis, len(ARKIT_NAMES) + config.n_residual))
        self.whole = nn.Parameter(torch.zeros(config.n_basis, 3, r, r, r))
        self.mouth = nn.Parameter(torch.zeros(config.n_basis, 3, m, m, m))
        self.register_buffer("mouth_centre", torch.zeros(3))
        self.register_buffer("mouth_half", torch.full((3,), 0.2))

    mouth_centre: Tensor
    mouth_half: Tensor

    def prepare(self, code: Tensor) -> FrameWarp:
        """Blend the displacement of B frames from their codes [B, 52 + K]."""
        weights = torch.nn.functional.linear(code, self.mix)
        mouth = _blend(weights, self.mouth) * _window(self.mouth.shape[-1], code.device)
        return FrameWarp(_blend(weights, self.whole), mouth)

    def forward(self, points: Tensor, frame: FrameWarp) -> Tensor:
        """Return the canonical points [B, P, 3] of observed ones [B, P, 3]."""

        def displacement(at: Tensor) -> Tensor:
            near_mouth = (at - self.mouth_centre) / self.mouth_half
            return sample_grid(frame.whole, at) + sample_grid(frame.mouth, near_mouth)

        return solve_warp(points, displacement, self.n_steps)

    @torch.no_grad()
    def start_from_face(self, points: np.ndarray, deltas: np.ndarray, spread: np.ndarray) -> None:
        """Set the basis to the leading displacements of a face model.

        Args:
            points: [P, 3] the person's neutral surface, metres in the head frame.
            deltas: [52, P, 3] what each coefficient at 1 moves them by, metres.
            spread: [52] how much each coefficient varies (its standard deviation), which says what matters.
        """
        surface = torch.as_tensor(points, dtype=torch.float32) / HEAD_BOX_HALF_M
        moves = torch.as_tensor(deltas, dtype=torch.float32) / HEAD_BOX_HALF_M
        self._place_mouth(surface, moves)
        whole_nodes = _nodes(self.whole.shape[-1])
        whole = _spread_to_nodes(whole_nodes, surface, moves, 2.0 / (self.whole.shape[-1] - 1))
        size = self.mouth.shape[-1]
        mouth_nodes = _nodes(size) * self.mouth_half.cpu() + self.mouth_centre.cpu()
        cell = float(2.0 * self.mouth_half.mean() / (size - 1))
        fine = _spread_to_nodes(mouth_nodes, surface, moves, cell)
        grid = whole.transpose(1, 2).reshape(len(moves), 3, *self.whole.shape[2:])
        coarse = sample_grid(grid, mouth_nodes.expand(len(moves), -1, -1))
        mouth = fine - coarse
        self._set_basis(whole, mouth, torch.as_tensor(spread, dtype=torch.float32))

    def _place_mouth(self, surface: Tensor, moves: Tensor) -> None:
        speaking = [ARKIT_NAMES.index(name) for name in _MOUTH_NAMES]
        strength = moves[speaking].norm(dim=-1).amax(0)
        front = surface[:, 2] > surface[:, 2].median()
        moved = surface[(strength > 0.6 * strength[front].max()) & front]
        low, high = moved.amin(0), moved.amax(0)
        self.mouth_centre.copy_((low + high) / 2)
        self.mouth_half.copy_(((high - low) / 2 * 1.2).clamp(min=0.15, max=0.35))

    def _set_basis(self, whole: Tensor, mouth: Tensor, spread: Tensor) -> None:
        """Keep the leading singular vectors of both grids' displacements together."""
        scale = spread.clamp(min=0.05)
        n_whole = whole[0].numel()
        stacked = torch.cat([whole.flatten(1), mouth.flatten(1)], dim=1) * scale.unsqueeze(1)
        left, values, right = torch.linalg.svd(stacked, full_matrices=False)
        n = min(len(self.whole), len(values))
        # A basis vector is what its pattern of coefficients, each at one standard deviation, moves the head by.
        basis = right[:n] * values[:n].unsqueeze(1)
        mix = torch.zeros_like(self.mix)
        mix[:n, : len(ARKIT_NAMES)] = (left[:, :n] / scale.unsqueeze(1)).T
        self.mix.copy_(mix)
        for grid, flat in ((self.whole, basis[:, :n_whole]), (self.mouth, basis[:, n_whole:])):
            grid[:n].copy_(flat.view(n, -1, 3).transpose(1, 2).reshape(n, *grid.shape[1:]))


def _blend(weights: Tensor, basis: Tensor) -> Tensor:
    """Blend basis grids [N, ...] by weights [B, N]: [B, ...]."""
    return (weights @ basis.flatten(1)).view(-1, *basis.shape[1:])


def _nodes(resolution: int) -> Tensor:
    """Return the nodes [R^3, 3] of a grid over [-1, 1]^3, in the order of a [R, R, R] (z, y, x) tensor."""
    axis = torch.linspace(-1, 1, resolution)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    return torch.stack([x, y, z], dim=-1).view(-1, 3)


def _spread_to_nodes(nodes: Tensor, surface: Tensor, moves: Tensor, cell: float) -> Tensor:
    """Average the surface's displacement [C, P, 3] around each node [G, 3], fading away from it: [C, G, 3]."""
    width = _SPREAD_CELLS * cell
    reach = _REACH_M / HEAD_BOX_HALF_M
    flat = moves.transpose(0, 1).reshape(len(surface), -1)
    spread = torch.empty(len(nodes), flat.shape[1])
    for first in range(0, len(nodes), 4096):
        distance2 = torch.cdist(nodes[first : first + 4096], surface).square()
        nearest = distance2.amin(1, keepdim=True)
        weights = torch.exp(-(distance2 - nearest) / (2 * width * width))
        weights = weights / weights.sum(1, keepdim=True)
        fade = torch.exp(-nearest / (2 * reach * reach))
        spread[first : first + 4096] = (weights @ flat) * fade
    return spread.view(len(nodes), len(moves), 3).transpose(0, 1)


def _window(resolution: int, device: torch.device) -> Tensor:
    """Return [R, R, R]: 1 inside, falling to 0 at the border, so that the refinement ends without a seam."""
    axis = torch.linspace(-1, 1, resolution, device=device).abs()
    edge = ((1 - axis) / 0.25).clamp(0, 1)
    edge = edge * edge * (3 - 2 * edge)
    return edge[:, None, None] * edge[None, :, None] * edge[None, None, :]
