"""Multiresolution hash encoding of points (Müller et al., Instant Neural Graphics Primitives, 2022, section 3).

For level l of resolution r_l, a point x in [0, 1]^D lies in a cell of the grid with r_l cells an edge; the features of
its 2^D corners are interpolated linearly:

    f_l(x) = sum_c w_c(x) table[offset_l + index_l(corner_c)]

`index_l` counts the corners densely where they fit into the level's share of the table and hashes them otherwise. The
result is the concatenation over the levels. Differentiable in `table` and in `x` (almost everywhere).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor, nn

_PRIMES = (1, -1640531535, 805459861)  # as in the paper; the second is 2654435761 read as a signed 32-bit number


@dataclass(frozen=True)
class GridLevels:
    """The shape of a multiresolution grid."""

    n_dims: int
    """2 or 3."""
    n_levels: int
    base: int
    """Cells an edge of the coarsest level."""
    finest: int
    """Cells an edge of the finest level."""
    log2_entries: int
    """No level has more than 2^log2_entries entries; larger ones are hashed."""
    n_features: int = 2

    @functools.cached_property
    def resolutions(self) -> tuple[int, ...]:
        """Cells an edge, one number a level, growing geometrically."""
        if self.n_levels == 1:
            return (self.base,)
        growth = (self.finest / self.base) ** (1 / (self.n_levels - 1))
        return tuple(int(self.base * growth**level + 0.5) for level in range(self.n_levels))

    @functools.cached_property
    def sizes(self) -> tuple[int, ...]:
        """Entries of each level."""
        return tuple(min((r + 1) ** self.n_dims, 1 << self.log2_entries) for r in self.resolutions)

    @property
    def n_entries(self) -> int:
        """Entries of the whole table."""
        return sum(self.sizes)

    @property
    def n_outputs(self) -> int:
        """Numbers a point is encoded to."""
        return self.n_levels * self.n_features


class LevelTables(NamedTuple):
    """`GridLevels` as tensors on the device of the points: a captured CUDA graph may not copy them from the host."""

    resolution: Tensor
    """[L] float32."""
    stride: Tensor
    """[L, D] int32: what one cell along each axis adds to the row of a dense level; 0 for hashed levels."""
    offset: Tensor
    """[L] int32: the level's first row."""
    n_dense: int
    """The first levels are dense, the rest hashed."""
    hash_mask: int

    @staticmethod
    def of(levels: GridLevels, device: torch.device | str = "cpu") -> LevelTables:
        """Make the tensors of a grid's shape."""
        edges = [r + 1 for r in levels.resolutions]
        n_dense = sum(e**levels.n_dims <= size for e, size in zip(edges, levels.sizes, strict=True))
        strides = [[e**axis if n < n_dense else 0 for axis in range(levels.n_dims)] for n, e in enumerate(edges)]
        return LevelTables(
            torch.tensor(levels.resolutions, dtype=torch.float32, device=device),
            torch.tensor(strides, dtype=torch.int32, device=device),
            torch.tensor([sum(levels.sizes[:n]) for n in range(levels.n_levels)], dtype=torch.int32, device=device),
            n_dense,
            (1 << levels.log2_entries) - 1,
        )


class HashGrid(nn.Module):
    """A hash encoding with its table, which starts near zero."""

    def __init__(self, levels: GridLevels) -> None:
        super().__init__()
        self.n_outputs = levels.n_outputs
        self.table = nn.Parameter((torch.rand(levels.n_entries, levels.n_features) * 2 - 1) * 1e-4)
        tables = LevelTables.of(levels)
        self.n_dense, self.hash_mask = tables.n_dense, tables.hash_mask
        self.register_buffer("resolution", tables.resolution, persistent=False)
        self.register_buffer("stride", tables.stride, persistent=False)
        self.register_buffer("offset", tables.offset, persistent=False)

    resolution: Tensor
    stride: Tensor
    offset: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Encode points [P, D] in [0, 1]."""
        tables = LevelTables(self.resolution, self.stride, self.offset, self.n_dense, self.hash_mask)
        return hashgrid(x, self.table, tables)


def hashgrid(x: Tensor, table: Tensor, levels: LevelTables) -> Tensor:
    """Encode points by interpolating a multiresolution table.

    Args:
        x: [P, D] points in [0, 1]; outside is clamped.
        table: [entries, F] features of all levels.
        levels: the grid's shape.

    Returns:
        [P, L * F] features, coarse levels first.
    """
    if x.ndim != 2 or x.shape[1] != levels.stride.shape[1]:
        raise ValueError(f"x must be [P, {levels.stride.shape[1]}], got {tuple(x.shape)}")
    if x.device.type == "cpu":
        return _HashGridCpu.apply(x, table, levels)
    return hashgrid_torch(x, table, levels)


def hashgrid_torch(x: Tensor, table: Tensor, levels: LevelTables) -> Tensor:
    """The definition of `hashgrid`, in plain PyTorch on any device."""
    cell, fraction = _cells(x, levels)
    n_dims = x.shape[1]
    is_dense = torch.arange(len(levels.offset), device=x.device) < levels.n_dense
    encoded = torch.zeros((), device=x.device)
    for corner in product((0, 1), repeat=n_dims):
        dense, hashed = torch.zeros_like(cell[..., 0]), torch.zeros_like(cell[..., 0])
        weight = torch.ones_like(fraction[..., 0])
        for axis, high in enumerate(corner):
            coordinate = cell[..., axis] + high
            dense = dense + coordinate * levels.stride[:, axis]
            hashed = hashed ^ (coordinate * _PRIMES[axis])
            weight = weight * (fraction[..., axis] if high else 1.0 - fraction[..., axis])
        row = torch.where(is_dense, dense, hashed & levels.hash_mask) + levels.offset
        encoded = encoded + weight.unsqueeze(-1) * table[row]
    return encoded.flatten(1)


def _cells(x: Tensor, levels: LevelTables) -> tuple[Tensor, Tensor]:
    """Return each point's cell [P, L, D] int32 and its place within it [P, L, D]."""
    resolution = levels.resolution.view(1, -1, 1)
    position = x.clamp(0.0, 1.0).float().unsqueeze(1) * resolution
    cell = torch.minimum(position.detach().floor(), resolution - 1)
    return cell.int(), position - cell


class _HashGridCpu(torch.autograd.Function):
    """`hashgrid_torch` with all corners at once and `embedding_bag`, which gathers and sums: far faster on a CPU."""

    @staticmethod
    def forward(ctx, x: Tensor, table: Tensor, levels: LevelTables) -> Tensor:
        cell, fraction = _cells(x.detach(), levels)
        index = _all_rows(cell, levels)
        sides = torch.stack([1.0 - fraction, fraction], dim=-1)
        weight = _outer([sides[:, :, axis] for axis in range(x.shape[1])], torch.mul).to(table.dtype)
        n_corners = 2 ** x.shape[1]
        encoded = torch.nn.functional.embedding_bag(
            index.view(-1, n_corners), table, per_sample_weights=weight.view(-1, n_corners), mode="sum"
        )
        ctx.save_for_backward(x, table, index, weight, sides)
        ctx.levels = levels
        return encoded.view(len(x), len(levels.offset) * table.shape[1])

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, table, index, weight, sides = ctx.saved_tensors
        levels: LevelTables = ctx.levels
        n_levels, n_features = len(levels.offset), table.shape[1]
        grad = grads[0].reshape(len(x), n_levels, 1, n_features)
        grad_table = grad_x = None
        if ctx.needs_input_grad[1]:
            rows = (weight.view(len(x), n_levels, -1, 1) * grad).to(table.dtype)
            grad_table = torch.zeros_like(table).index_add_(0, index.view(-1).long(), rows.view(-1, n_features))
        if ctx.needs_input_grad[0]:
            values = torch.nn.functional.embedding(index.view(len(x), n_levels, -1), table)
            corner_grad = (values * grad).sum(-1).view(index.shape)
            grad_x = _grad_position(corner_grad, sides, x, levels)
        return grad_x, grad_table, None


def _all_rows(cell: Tensor, levels: LevelTables) -> Tensor:
    """Return the table rows [P, L, 2, .., 2] int32 of all corners of each cell; the last axis of space runs fastest."""
    sides = torch.stack([cell, cell + 1], dim=-1)
    axes = range(cell.shape[2])
    n = levels.n_dense
    dense = _outer([sides[:, :n, axis] * levels.stride[:n, axis, None] for axis in axes], torch.add)
    hashed = _outer([sides[:, n:, axis] * _PRIMES[axis] for axis in axes], torch.bitwise_xor) & levels.hash_mask
    return torch.cat([dense, hashed], dim=1) + levels.offset.view(-1, *([1] * len(axes)))


def _outer(sides: list[Tensor], combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Combine D tensors [P, L, 2] into one [P, L, 2, .., 2] that holds every choice of a side an axis."""
    result = sides[0]
    for side in sides[1:]:
        result = combine(result.unsqueeze(-1), side.view(*side.shape[:2], *([1] * (result.ndim - 2)), 2))
    return result


def _grad_position(corner_grad: Tensor, sides: Tensor, x: Tensor, levels: LevelTables) -> Tensor:
    """Turn the gradient of each corner's weight [P, L, 2, .., 2] into that of the points [P, D]."""
    columns = []
    for axis in range(x.shape[1]):
        slope = corner_grad.select(axis + 2, 1) - corner_grad.select(axis + 2, 0)
        others = _outer([sides[:, :, other] for other in range(x.shape[1]) if other != axis], torch.mul)
        columns.append((slope * others).flatten(2).sum(-1) @ levels.resolution)
    inside = (x >= 0) & (x <= 1)
    return torch.stack(columns, dim=-1).to(x.dtype) * inside
