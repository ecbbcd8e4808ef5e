"""The low-rank warp from the observed head to the canonical one.

A few basis displacements on a coarse grid over the head, and on a finer one around the mouth, blended once a frame by
b = F expression + A code, move canonical points to where they are seen. The first are the face model's own
blendshapes, spread smoothly from its surface into space, and stay as they are: an expression that the recording never
shows still moves the right places. The second are learned, and know only what the recording shows (`field.known`).
Each grid has a basis of its own: a rolled lip moves little of a head, but what people look at.

A third grid, around brows and eyes, holds what the face model says of them alone: a recording may never show it. It
leaves out blinks: a lid that closes covers what it moves over, which no warp does.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.spatial import KDTree
from torch import Tensor, nn

from aednerf.core.records import ARKIT_NAMES
from aednerf.core.units import HEAD_BOX_HALF_M
from aednerf.field.config import N_EXPRESSION, FieldConfig
from aednerf.ops.warp import sample_grid, solve_warp

_SPREAD_CELLS = 0.6
"""Width of the Gaussian that spreads the surface's displacement to a node, in cells."""
_CORRECTIONS = 3
"""How often what the spread displacement lacks at the surface is spread in turn: each time narrow movements gain."""
_N_NEAR = 128
"""A node averages so many points of the surface at most: three widths around it and more."""
_REACH_M = 0.03
"""How far from the surface its displacement fades."""
_LEAST_SPREAD = 0.05
"""A coefficient that varies less than this counts as if it varied so much: other recordings may show it."""
_STRONG_SHARE = 0.6
"""Skin that moves by this share of the most belongs to a coefficient's place."""
_MOUTH_NAMES = ("jawOpen", "mouthFunnel", "mouthSmileLeft", "mouthSmileRight", "mouthUpperUpLeft", "mouthLowerDownLeft")
_UPPER_PLACE = tuple(name for name in ARKIT_NAMES if name.startswith(("brow", "eyeWide", "eyeSquint")))
_UPPER_NAMES = (*_UPPER_PLACE, *(name for name in ARKIT_NAMES if name.startswith(("cheekSquint", "noseSneer"))))
"""What moves the upper face, but for blinks and gaze: those every recording shows, and `field.eyes` learns them."""


FrameWarp = tuple[Tensor, ...]
"""The blended displacement of B frames: [B, 3, R, R, R] on each of the grids."""


class FaceGrid(nn.Module):
    """What a face model says of displacements, as a basis on a grid over a part of the box."""

    def __init__(self, n_basis: int, resolution: int, *, is_part: bool, is_kept: bool) -> None:
        super().__init__()
        self.is_part = is_part
        shape = (n_basis, 3, resolution, resolution, resolution)
        self.register_buffer("face_basis", torch.zeros(shape), persistent=is_kept)
        self.register_buffer("face_mix", torch.zeros(n_basis, N_EXPRESSION), persistent=is_kept)
        self.register_buffer("centre", torch.zeros(3))
        self.register_buffer("extent", torch.ones(3))

    face_basis: Tensor
    face_mix: Tensor
    centre: Tensor
    extent: Tensor

    @property
    def resolution(self) -> int:
        """Nodes an edge."""
        return self.face_basis.shape[-1]

    @property
    def cell(self) -> float:
        """The mean distance of its nodes, in the box's units."""
        return float(2.0 * self.extent.mean() / (self.resolution - 1))

    def nodes(self) -> Tensor:
        """Return its nodes [R^3, 3] in the box, on the CPU."""
        return _nodes(self.resolution) * self.extent.cpu() + self.centre.cpu()

    def blend(self, expression: Tensor, code: Tensor | None = None) -> Tensor:
        """Blend the displacement of B frames: [B, 3, R, R, R].

        Args:
            expression: [B, 52] coefficients, for what the face model says.
            code: [B, C] codes, for what was learned beside it; None leaves that out.
        """
        blended = (expression @ self.face_mix.T) @ self.face_basis.flatten(1)
        if code is not None:
            blended = blended + self._learned(code)
        return self._windowed(blended.view(-1, *self.face_basis.shape[1:]))

    def sample(self, blended: Tensor, points: Tensor) -> Tensor:
        """Return the displacement [B, P, 3] at points [B, P, 3] of the box; zero outside of its part."""
        return sample_grid(blended, (points - self.centre) / self.extent)

    @torch.no_grad()
    def start(self, surface: Tensor, moves: Tensor, spread: Tensor) -> Tensor:
        """Hold the leading singular vectors of displacements.

        Args:
            surface: [P, 3] points of the face's surface.
            moves: [C, P, 3] what each coefficient at 1 moves them by.
            spread: [C] how much each coefficient varies, which says what matters.

        Returns:
            [C, P, 3] what of it the grid holds.
        """
        at = surface.expand(len(moves), -1, -1)
        to_nodes, held = _Spread(self.nodes(), surface, self.cell), torch.zeros_like(moves)
        field = torch.zeros(len(moves), self.resolution**3, 3)
        for _ in range(1 + _CORRECTIONS):
            field += to_nodes(moves - held)
            held = self.sample(self._windowed(self._as_grids(field)), at)
        scale = spread.clamp(min=_LEAST_SPREAD).unsqueeze(1)
        left, values, right = torch.linalg.svd(field.flatten(1) * scale, full_matrices=False)
        n = min(len(self.face_basis), len(values))
        # A basis vector is what its pattern of coefficients, each at one standard deviation, moves the head by.
        self.face_basis[:n].copy_(self._as_grids((right[:n] * values[:n].unsqueeze(1)).view(n, -1, 3)))
        self.face_mix[:n].copy_((left[:, :n] / scale).T)
        return self.sample(self.blend(torch.eye(len(moves))), at)

    @torch.no_grad()
    def place(self, surface: Tensor, moves: Tensor, names: tuple[str, ...]) -> None:
        """Stand around what some coefficients move strongly at the front of the head; where nothing moves, stay."""
        front = surface[:, 2] > surface[:, 2].median()
        strength = moves[[ARKIT_NAMES.index(name) for name in names]].norm(dim=-1) * front
        most = strength.amax(1, keepdim=True)
        moved = surface[((strength > _STRONG_SHARE * most) & (most > 0)).any(0)]
        if not len(moved):
            return
        low, high = moved.amin(0), moved.amax(0)
        self.centre.copy_((low + high) / 2)
        self.extent.copy_(((high - low) / 2 * 1.2).clamp(min=0.1, max=0.35))

    def _learned(self, code: Tensor) -> Tensor | float:
        return 0.0

    def _as_grids(self, field: Tensor) -> Tensor:
        """[N, R^3, 3] as [N, 3, R, R, R]."""
        return field.transpose(1, 2).reshape(len(field), *self.face_basis.shape[1:])

    def _windowed(self, grids: Tensor) -> Tensor:
        return grids * _window(self.resolution, grids.device) if self.is_part else grids


class BasisGrid(FaceGrid):
    """A face grid with displacements beside it that are learned."""

    def __init__(self, n_basis: int, resolution: int, config: FieldConfig, *, is_part: bool) -> None:
        super().__init__(n_basis, resolution, is_part=is_part, is_kept=config.holds_face > 0)
        self.basis = nn.Parameter(torch.zeros_like(self.face_basis))
        self.mix = nn.Parameter(torch.zeros(n_basis, config.n_code))

    @torch.no_grad()
    def start(self, surface: Tensor, moves: Tensor, spread: Tensor) -> Tensor:
        """As a face grid; learning begins with the same basis, none of it mixed in."""
        held = super().start(surface, moves, spread)
        self.basis.copy_(self.face_basis)
        return held

    def _learned(self, code: Tensor) -> Tensor:
        return (code @ self.mix.T) @ self.basis.flatten(1)


class LowRankWarp(nn.Module):
    """Blend basis displacements for a frame and solve for canonical points, in the box's coordinates [-1, 1]^3."""

    def __init__(self, config: FieldConfig) -> None:
        super().__init__()
        self.n_steps = config.warp_steps
        self.is_mixed = config.warp_mixes > 0
        self.whole = BasisGrid(config.n_basis, config.warp_resolution, config, is_part=False)
        self.mouth = BasisGrid(config.n_mouth_basis, config.mouth_resolution, config, is_part=True)
        self.upper = None
        if config.upper_resolution:
            self.upper = FaceGrid(len(_UPPER_NAMES), config.upper_resolution, is_part=True, is_kept=True)

    @property
    def learned(self) -> tuple[BasisGrid, BasisGrid]:
        """The grids that learn."""
        return self.whole, self.mouth

    @property
    def grids(self) -> tuple[FaceGrid, ...]:
        """All of them, as in `FrameWarp`."""
        return self.learned if self.upper is None else (*self.learned, self.upper)

    def prepare(self, expression: Tensor, code: Tensor) -> FrameWarp:
        """Blend the displacement of B frames from their coefficients [B, 52] and codes [B, C]."""
        learned = tuple(grid.blend(expression, code) for grid in self.learned)
        return learned if self.upper is None else (*learned, self.upper.blend(expression))

    def forward(self, points: Tensor, frame: FrameWarp) -> Tensor:
        """Return the canonical points [B, P, 3] of observed ones [B, P, 3]."""

        def displacement(at: Tensor) -> Tensor:
            whole, *parts = (grid.sample(each, at) for grid, each in zip(self.grids, frame, strict=True))
            return sum(parts, start=whole)

        return solve_warp(points, displacement, self.n_steps, self.is_mixed)

    @torch.no_grad()
    def start_from_face(self, points: np.ndarray, deltas: np.ndarray, spread: np.ndarray) -> None:
        """Set the bases to the leading displacements of a face model; the finer grids hold what the whole head's lacks.

        Args:
            points: [P, 3] the person's neutral surface, metres in the head frame.
            deltas: [52, P, 3] what each coefficient at 1 moves them by, metres.
            spread: [52] how much each coefficient varies (its standard deviation), which says what matters.
        """
        surface = torch.as_tensor(points, dtype=torch.float32) / HEAD_BOX_HALF_M
        moves = torch.as_tensor(deltas, dtype=torch.float32) / HEAD_BOX_HALF_M
        varies = torch.as_tensor(spread, dtype=torch.float32)
        self.mouth.place(surface, moves, _MOUTH_NAMES)
        lacking = moves - self.whole.start(surface, moves, varies)
        lacking = lacking - self.mouth.start(surface, lacking, varies)
        if self.upper is not None:
            self.upper.place(surface, moves, _UPPER_PLACE)
            is_upper = torch.tensor([name in _UPPER_NAMES for name in ARKIT_NAMES])
            self.upper.start(surface, lacking * is_upper.view(-1, 1, 1), varies)


def _nodes(resolution: int) -> Tensor:
    """Return the nodes [R^3, 3] of a grid over [-1, 1]^3, in the order of a [R, R, R] (z, y, x) tensor."""
    axis = torch.linspace(-1, 1, resolution)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    return torch.stack([x, y, z], dim=-1).view(-1, 3)


class _Spread:
    """Averages a surface's displacement around nodes, fading away from it."""

    def __init__(self, nodes: Tensor, surface: Tensor, cell: float) -> None:
        width, reach = _SPREAD_CELLS * cell, _REACH_M / HEAD_BOX_HALF_M
        n_near = min(_N_NEAR, len(surface))
        found = KDTree(surface.numpy()).query(nodes.numpy(), k=n_near, workers=-1)
        distance, near = (np.asarray(each).reshape(len(nodes), n_near) for each in found)
        nearest = distance[:, :1] ** 2
        weights = np.exp(-(distance**2 - nearest) / (2 * width * width))
        weights *= np.exp(-nearest / (2 * reach * reach)) / weights.sum(1, keepdims=True)
        starts = np.arange(len(nodes) + 1) * n_near
        shape = len(nodes), len(surface)
        self._weights = csr_array((weights.astype(np.float32).ravel(), near.ravel(), starts), shape=shape)

    def __call__(self, moves: Tensor) -> Tensor:
        """Return [C, G, 3] of displacements [C, P, 3]."""
        n_coefficients, n_points, _ = moves.shape
        spread = self._weights @ moves.transpose(0, 1).reshape(n_points, -1).numpy()
        return torch.from_numpy(spread).view(-1, n_coefficients, 3).transpose(0, 1)


def _window(resolution: int, device: torch.device) -> Tensor:
    """Return [R, R, R]: 1 inside, falling to 0 at the border, so that the refinement ends without a seam."""
    axis = torch.linspace(-1, 1, resolution, device=device).abs()
    edge = ((1 - axis) / 0.25).clamp(0, 1)
    edge = edge * edge * (3 - 2 * edge)
    return edge[:, None, None] * edge[None, :, None] * edge[None, None, :]
