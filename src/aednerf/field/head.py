"""The head's dynamic radiance field: a warp into canonical space, a hash grid, an expression bias and a small MLP."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from aednerf.core.records import ARKIT_NAMES
from aednerf.field.config import FieldConfig
from aednerf.field.warp import FrameWarp, LowRankWarp
from aednerf.ops.hashgrid import HashGrid

EXPRESSION_SCALE = 0.3
"""What the ARKit coefficients are multiplied by before they condition the MLP: at full scale their noise hurts."""

_INITIAL_LOG_DENSITY = -5.0
"""Nearly empty at the start: fog costs both speed and quality."""


class HeadState(NamedTuple):
    """All that depends on a frame's expression alone, for B frames."""

    bias: Tensor
    """[B, W] added in the MLP's first layer: exactly the same as feeding the code to it at every sample."""
    warp: FrameWarp


class HeadField(nn.Module):
    """Density (per cm) and colour at points of the head's box [-1, 1]^3, for prepared frames."""

    def __init__(self, config: FieldConfig) -> None:
        super().__init__()
        self.grid = HashGrid(config.head_grid)
        self.warp = LowRankWarp(config)
        self.condition = nn.Linear(len(ARKIT_NAMES) + config.n_residual, config.width)
        nn.init.normal_(self.condition.weight, std=0.1)
        nn.init.zeros_(self.condition.bias)
        self.first = nn.Linear(self.grid.n_outputs, config.width, bias=False)
        self.hidden = nn.Linear(config.width, config.width)
        self.last = nn.Linear(config.width, 4)

    def prepare(self, expression: Tensor, residual: Tensor) -> HeadState:
        """Prepare B frames from their expressions [B, 52] and residual codes [B, K]."""
        bias = self.condition(torch.cat([EXPRESSION_SCALE * expression, residual], dim=-1))
        return HeadState(bias, self.warp.prepare(torch.cat([expression, residual], dim=-1)))

    def forward(self, points: Tensor, state: HeadState) -> tuple[Tensor, Tensor]:
        """Evaluate the field.

        Args:
            points: [B, P, 3] in [-1, 1]^3, P points of each of B frames.
            state: the frames, from `prepare`.

        Returns:
            [B, P] density per cm and [B, P, 3] colour in [0, 1].
        """
        n_frames, n_points, _ = points.shape
        canonical = self.warp(points, state.warp)
        encoded = self.grid((canonical.reshape(-1, 3) + 1) / 2)
        with torch.autocast(points.device.type, torch.bfloat16, enabled=points.device.type == "cuda"):
            hidden = self.first(encoded).view(n_frames, n_points, self.first.out_features) + state.bias.unsqueeze(1)
            hidden = torch.relu(self.hidden(torch.relu(hidden)))
            raw = self.last(hidden).float()
        density = torch.exp((raw[..., 0] + _INITIAL_LOG_DENSITY).clamp(max=8.0))
        return density, torch.sigmoid(raw[..., 1:])
