"""Multiresolution hash encoding of points (Müller et al., Instant Neural Graphics Primitives, 2022, section 3).

For level l of resolution r_l, a point x in [0, 1]^D lies in a cell of the grid with r_l cells an edge; the features of
its 2^D corners are interpolated linearly:

    f_l(x) = sum_c w_c(x) table[offset_l + index_l(corner_c)]

`index_l` counts the corners densely where they fit into the level's share of the table and hashes them otherwise. The
result is the concatenation over the levels. Differentiable in `table` and in `x` (almost everywhere).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor, nn

_PRIMES = (1, -1640531535, 805459861)  # as in the paper; the second is 2654435761 read as a signed 32-bit number
_POINTS_AT_ONCE = 1 << 14
"""Points that a CPU encodes at a time: what they need then stays in its caches, and memory is not asked for anew."""


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
        return torch.cat([_HashGridCpu.apply(piece, table, levels) for piece in x.split(_POINTS_AT_ONCE)])
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
    """`hashgrid_torch` with all corners at once, feature by feature: far faster on a CPU.

    Points run fastest in all tensors: a loop over the two sides of a cell costs more than what is done in it.
    """

    @staticmethod
    def forward(ctx, x: Tensor, table: Tensor, levels: LevelTables) -> Tensor:
        cell, fraction = _cells_by_axis(x.detach(), levels)
        sides = torch.stack([1.0 - fraction, fraction], dim=1)
        index, weight = _all_rows(cell, levels), _outer(sides.unbind(), torch.mul).to(table.dtype)
        encoded = torch.stack([(values * weight).flatten(0, -3).sum(0) for values in _gathered(table, index)])
        ctx.save_for_backward(x, table, index, weight, sides)
        ctx.levels = levels
        return encoded.permute(2, 1, 0).flatten(1)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, table, index, weight, sides = ctx.saved_tensors
        levels: LevelTables = ctx.levels
        rows = index.flatten()
        by_feature = grads[0].view(len(x), len(levels.offset), table.shape[1]).permute(2, 1, 0).contiguous()
        grad_table = grad_x = None
        if ctx.needs_input_grad[1]:
            sums = [torch.zeros_like(table[:, 0]).index_add_(0, rows, (weight * grad).flatten()) for grad in by_feature]
            grad_table = torch.stack(sums, dim=1)
        if ctx.needs_input_grad[0]:
            corner_grad = torch.zeros((), dtype=table.dtype)
            for values, grad in zip(_gathered(table, index), by_feature, strict=True):
                corner_grad = corner_grad + values * grad
            grad_x = _grad_position(corner_grad, sides, x, levels)
        return grad_x, grad_table, None


def _cells_by_axis(x: Tensor, levels: LevelTables) -> tuple[Tensor, Tensor]:
    """Return `_cells` with other axes in front: [D, L, P] int32 and [D, L, P]."""
    resolution = levels.resolution.view(-1, 1)
    position = x.t().contiguous().clamp(0.0, 1.0).float().unsqueeze(1) * resolution
    cell = torch.minimum(position.floor(), resolution - 1)
    return cell.int(), position - cell


def _all_rows(cell: Tensor, levels: LevelTables) -> Tensor:
    """Return the table rows [2, .., 2, L, P] int32 of all corners of cells [D, L, P], one axis for each of space."""
    n = levels.n_dense
    corners = torch.stack([cell, cell + 1], dim=1)
    strides = levels.stride[:n].t().unsqueeze(-1)
    dense = _outer([sides * stride for sides, stride in zip(corners[:, :, :n], strides, strict=True)], torch.add)
    hashed = _outer(
        [sides * prime for sides, prime in zip(corners[:, :, n:], _PRIMES, strict=False)], torch.bitwise_xor
    )
    return torch.cat([dense, hashed & levels.hash_mask], dim=-2) + levels.offset.unsqueeze(-1)


def _outer(sides: Sequence[Tensor], combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Combine D tensors [2, L, P] into one [2, .., 2, L, P] that holds every choice of a side an axis."""
    result = sides[0]
    for side in sides[1:]:
        result = combine(result.unsqueeze(-3), side)
    return result


def _gathered(table: Tensor, index: Tensor) -> Iterator[Tensor]:
    """Yield each feature's values at rows of the table, of the rows' shape."""
    for feature in table.t().contiguous():
        yield feature.index_select(0, index.flatten()).view_as(index)


def _grad_position(corner_grad: Tensor, sides: Tensor, x: Tensor, levels: LevelTables) -> Tensor:
    """Turn the gradient of each corner's weight [2, .., 2, L, P] into that of the points [P, D]."""
    columns = []
    for axis in range(x.shape[1]):
        slope = corner_grad.select(axis, 1) - corner_grad.select(axis, 0)
        others = [sides[other] for other in range(x.shape[1]) if other != axis]
        if others:
            slope = (slope * _outer(others, torch.mul)).flatten(0, -3).sum(0)
        columns.append(levels.resolution @ slope)
    inside = (x >= 0) & (x <= 1)
    return torch.stack(columns, dim=-1).to(x.dtype) * inside
