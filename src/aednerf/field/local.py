"""A basis on a grid around one part of the face, in the head's own space, that a frame's code blends."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aednerf.core.records import ARKIT_NAMES
from aednerf.core.units import HEAD_BOX_HALF_M
from aednerf.ops.warp import sample_grid


class Part(NamedTuple):
    """A part of the face, by what moves it."""

    movers: tuple[str, ...]
    """Coefficients whose skin it lies around."""
    strong_share: float
    """Skin that they move by this share of the most belongs to it."""
    margin_m: tuple[float, float, float]
    """How far around that skin it reaches, along x, y and z."""


class LocalBasis(nn.Module):
    """Basis values on a grid, and how codes blend them.

    Args:
        basis: [N, F, D, H, W] the values to begin with; D, H and W along z, y and x.
        n_code: numbers of a frame's code.
        part: where it stands, once it is placed.
        bias: whether a code of zeros blends something.
    """

    def __init__(self, basis: Tensor, n_code: int, part: Part, bias: bool) -> None:
        super().__init__()
        self._part = part
        self.basis = nn.Parameter(basis)
        self.mix = nn.Linear(n_code, len(basis), bias=bias)
        self.register_buffer("centre", torch.zeros(3))
        self.register_buffer("extent", torch.ones(3))

    centre: Tensor
    extent: Tensor

    def blend(self, code: Tensor) -> Tensor:
        """Blend the values of B frames from their codes [B, C]: [B, F, D, H, W]."""
        return (self.mix(code) @ self.basis.flatten(1)).view(-1, *self.basis.shape[1:])

    def sample(self, blended: Tensor, points: Tensor) -> Tensor:
        """Return the values [B, P, F] at points [B, P, 3] of the head's box; zero away from the part."""
        return sample_grid(blended, (points - self.centre) / self.extent)

    @torch.no_grad()
    def place(self, points: NDArray[np.floating], deltas: NDArray[np.floating]) -> None:
        """Stand around what the part's coefficients move; where nothing moves, stay.

        Args:
            points: [P, 3] the person's neutral surface, metres in the head frame.
            deltas: [52, P, 3] what each coefficient at 1 moves them by, metres.
        """
        own = [ARKIT_NAMES.index(name) for name in self._part.movers]
        strength = np.linalg.norm(deltas[own], axis=-1).max(0)
        skin = points[(strength > self._part.strong_share * strength.max()) & (strength > 0)]
        if len(skin):
            low, high = skin.min(0) - self._part.margin_m, skin.max(0) + self._part.margin_m
            self.centre.copy_(torch.as_tensor((low + high) / 2 / HEAD_BOX_HALF_M))
            self.extent.copy_(torch.as_tensor((high - low) / 2 / HEAD_BOX_HALF_M))
