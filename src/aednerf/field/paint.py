"""Colours around the mouth and the eyes that a frame's code adds: what changes where no surface moves.

Teeth come and go, lashes and creases appear, light plays on lips. In pictures that move with the head most of it is a
sum of few pictures (eigenfaces, Turk and Pentland 1991), each times a number of the frame's code: so it is here, in the
head's own space, on grids nearly as fine as a recording's pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aednerf.core.records import ARKIT_NAMES
from aednerf.core.units import HEAD_BOX_HALF_M
from aednerf.field.config import FieldConfig
from aednerf.ops.warp import sample_grid

_STRONG_SHARE = 0.5
"""Skin that moves by this share of the most belongs to the region."""
_DEPTH_COARSER = 2
"""Along the depth, which one camera hardly sees, nodes lie so many times further apart."""


class Region(NamedTuple):
    """A part of the face."""

    movers: tuple[str, ...]
    """Coefficients whose skin it lies around."""
    margin_m: tuple[float, float, float]
    """How far around that skin it reaches, along x, y and z."""
    usual_m: tuple[float, float, float]
    """What it then measures on an ordinary face, along x, y and z: its nodes are counted by it."""


REGIONS: Mapping[str, Region] = MappingProxyType({
    "mouth": Region(
        ("mouthClose", "mouthFunnel", "mouthPucker", "mouthUpperUpLeft", "mouthLowerDownRight", "mouthRollUpper"),
        (0.012, 0.012, 0.015), (0.08, 0.06, 0.05),
    ),
    "eyes": Region(("eyeBlinkLeft", "eyeBlinkRight"), (0.012, 0.01, 0.01), (0.11, 0.04, 0.035)),
})  # fmt: skip


class Paint(nn.Module):
    """Basis colours on a grid around one region, and how codes blend them."""

    def __init__(self, config: FieldConfig, region: Region) -> None:
        super().__init__()
        self._region = region
        x, y, z = (max(4, round(edge / config.paint_m)) for edge in region.usual_m)
        self.basis = nn.Parameter(torch.zeros(config.n_paint, 3, max(4, z // _DEPTH_COARSER), y, x))
        self.mix = nn.Linear(config.n_code, config.n_paint, bias=False)
        self.register_buffer("centre", torch.zeros(3))
        self.register_buffer("extent", torch.ones(3))

    centre: Tensor
    extent: Tensor

    def blend(self, code: Tensor) -> Tensor:
        """Blend the colours of B frames from their codes [B, C]: [B, 3, D, H, W]."""
        return (self.mix(code) @ self.basis.flatten(1)).view(-1, *self.basis.shape[1:])

    def sample(self, blended: Tensor, points: Tensor) -> Tensor:
        """Return what the colours' logits [B, P, 3] get at points [B, P, 3] of the head's box; zero elsewhere."""
        return sample_grid(blended, (points - self.centre) / self.extent)

    @torch.no_grad()
    def place(self, points: NDArray[np.floating], deltas: NDArray[np.floating]) -> None:
        """Stand around what the region's coefficients move; where nothing moves, stay.

        Args:
            points: [P, 3] the person's neutral surface, metres in the head frame.
            deltas: [52, P, 3] what each coefficient at 1 moves them by, metres.
        """
        own = [ARKIT_NAMES.index(name) for name in self._region.movers]
        strength = np.linalg.norm(deltas[own], axis=-1).max(0)
        skin = points[(strength > _STRONG_SHARE * strength.max()) & (strength > 0)]
        if len(skin):
            low, high = skin.min(0) - self._region.margin_m, skin.max(0) + self._region.margin_m
            self.centre.copy_(torch.as_tensor((low + high) / 2 / HEAD_BOX_HALF_M))
            self.extent.copy_(torch.as_tensor((high - low) / 2 / HEAD_BOX_HALF_M))
