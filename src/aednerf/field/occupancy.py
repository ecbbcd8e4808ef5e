"""Which cells of the head's box can hold something: rays skip the rest."""

from __future__ import annotations

import torch
from torch import Tensor, nn

ALPHA_THRESHOLD = 0.02
"""A cell is occupied if a sample in it would be at least this opaque."""


class Occupancy(nn.Module):
    """A grid of the largest density seen lately in each cell, and the bits that follow from it."""

    def __init__(self, resolution: int) -> None:
        super().__init__()
        shape = (resolution, resolution, resolution)
        self.register_buffer("packed", torch.full((resolution**3 // 8,), 255, dtype=torch.uint8))
        self.register_buffer("bits", torch.ones(shape, dtype=torch.bool), persistent=False)
        self.register_buffer("low", torch.full((3,), -1.0), persistent=False)
        self.register_buffer("high", torch.full((3,), 1.0), persistent=False)
        self.register_buffer("density", torch.zeros(shape), persistent=False)
        self.register_buffer("may_hold", torch.ones(shape, dtype=torch.bool), persistent=False)
        self.register_load_state_dict_post_hook(lambda module, _: module.unpack())

    packed: Tensor
    """[R^3 / 8] the bits, eight a byte: what is saved."""
    bits: Tensor
    low: Tensor
    high: Tensor
    density: Tensor
    may_hold: Tensor

    @property
    def box(self) -> tuple[Tensor, Tensor]:
        """The lowest and the highest corner [3] of the occupied cells."""
        return self.low, self.high

    def centres(self) -> Tensor:
        """Return the cells' centres [R^3, 3], in the order of the bits (z, y, x)."""
        resolution = len(self.bits)
        axis = (torch.arange(resolution, device=self.bits.device) + 0.5) / resolution * 2 - 1
        z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
        return torch.stack([x, y, z], dim=-1).view(-1, 3)

    def cells_of(self, points: Tensor) -> Tensor:
        """Return the indices [M] into R^3 of the cells that points [M, 3] within [-1, 1]^3 lie in."""
        resolution = len(self.bits)
        x, y, z = ((points + 1.0) * (resolution / 2)).long().clamp(0, resolution - 1).unbind(-1)
        return (z * resolution + y) * resolution + x

    @torch.no_grad()
    def carve(self, may_hold: Tensor) -> None:
        """Keep only cells that may hold something [R^3] bool, for good (the loose hull of the mattes)."""
        self.may_hold.copy_(may_hold.view_as(self.may_hold))
        self.set_bits(self.may_hold)

    @torch.no_grad()
    def update(self, cells: Tensor, density: Tensor, step_m: float, keep: float) -> None:
        """Take in densities and refresh the bits.

        Args:
            cells: [M] indices into R^3.
            density: [M] per cm, measured within these cells.
            step_m: distance between samples, in metres: what is too thin for a sample of this length is empty.
            keep: what is left of the densities measured before, as a factor.
        """
        flat = self.density.view(-1)
        flat.mul_(keep)
        flat.scatter_reduce_(0, cells, density.float(), reduce="amax")
        # alpha = 1 - exp(-density * step) >= threshold, solved for the density
        threshold = ALPHA_THRESHOLD / (step_m * 100)
        self.set_bits((self.density > threshold) & self.may_hold)

    @torch.no_grad()
    def set_bits(self, bits: Tensor) -> None:
        """Set the bits [R, R, R] and the box around them."""
        self.bits.copy_(bits)
        self.packed.copy_((bits.reshape(-1, 8) * _bit_values(bits.device)).sum(-1))
        resolution = len(self.bits)
        edges = torch.arange(resolution, device=bits.device) / resolution * 2 - 1
        none = ~bits.any()
        for axis, others in enumerate(((0, 1), (0, 2), (1, 2))):
            is_used = bits.any(dim=others[1]).any(dim=others[0]) | none
            self.low[axis] = torch.where(is_used, edges, 1.0).amin()
            self.high[axis] = torch.where(is_used, edges + 2 / resolution, -1.0).amax()

    @torch.no_grad()
    def unpack(self) -> None:
        """Set the bits and their box from the packed ones, as after loading."""
        bits = (self.packed.unsqueeze(1) & _bit_values(self.packed.device)) > 0
        self.set_bits(bits.view_as(self.bits))


def _bit_values(device: torch.device) -> Tensor:
    return torch.tensor([1, 2, 4, 8, 16, 32, 64, 128], dtype=torch.uint8, device=device)
