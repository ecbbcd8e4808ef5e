"""The head's dynamic radiance field: a warp into canonical space, a hash grid, an expression bias and a small MLP.

The head turns under a light that stays, so its colours change with its pose: to first order in the turn, since the
shading of a surface is linear in its normal. Density never depends on the pose, so shape cannot hide in it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from aednerf.field.code import field_code
from aednerf.field.config import FieldConfig
from aednerf.field.encoder import ResidualEncoder
from aednerf.field.eyes import N_FEATURES, EyeFeatures
from aednerf.field.known import KnownExpressions
from aednerf.field.paint import REGIONS, Paint
from aednerf.field.warp import FrameWarp, LowRankWarp
from aednerf.ops.hashgrid import HashGrid

EXPRESSION_SCALE = 0.3
"""What the ARKit coefficients are multiplied by before they condition the MLP: at full scale their noise hurts."""

_INITIAL_LOG_DENSITY = -5.0
"""Nearly empty at the start: fog costs both speed and quality."""

_SHADE_SCALE = 0.1
"""Colour logits for one unit of the MLP's output and one standard deviation of the head's turn."""


class HeadState(NamedTuple):
    """All that depends on a frame alone and not on the place, for B frames."""

    bias: Tensor
    """[B, W] added in the MLP's first layer: exactly the same as feeding the code to it at every sample."""
    turn: Tensor
    """[B, 3] the head's standardised turn from its mean pose, for the shading."""
    warp: FrameWarp
    eyes: Tensor | None
    paint: list[Tensor]
    """The blended colours of each region."""


class HeadField(nn.Module):
    """Density (per cm) and colour at points of the head's box [-1, 1]^3, for prepared frames."""

    def __init__(self, config: FieldConfig) -> None:
        super().__init__()
        self.grid = HashGrid(config.head_grid)
        self.warp = LowRankWarp(config)
        self.n_halves = config.n_halves
        self.condition = nn.Linear(config.n_code, config.width)
        nn.init.zeros_(self.condition.weight)  # what no frame shows changes no colour
        nn.init.zeros_(self.condition.bias)
        self.encoder = ResidualEncoder(config.n_read, config.n_residual) if config.n_read else None
        self.known = KnownExpressions(is_kept=config.holds_face > 0)
        self.eyes = EyeFeatures(config) if config.n_eye_basis else None
        self.paint = nn.ModuleList(Paint(config, region) for region in REGIONS.values() if config.n_paint)
        n_inputs = self.grid.n_outputs + (N_FEATURES if config.n_eye_basis else 0)
        self.first = nn.Linear(n_inputs, config.width, bias=False)
        self.hidden = nn.Linear(config.width, config.width)
        self.last = nn.Linear(config.width, 4 + 9)
        with torch.no_grad():
            self.last.weight[4:].zero_()
            self.last.bias[4:].zero_()

    @property
    def paints(self) -> list[Paint]:
        """The painted regions."""
        return [paint for paint in self.paint if isinstance(paint, Paint)]

    def code(self, read: Tensor) -> Tensor:
        """Return the residual codes [..., K] of what was read off pictures [..., N]."""
        return read if self.encoder is None else self.encoder(read)

    def prepare(self, expression: Tensor, residual: Tensor, turn: Tensor) -> HeadState:
        """Prepare B frames.

        Args:
            expression: [B, 52] ARKit coefficients.
            residual: [B, K] the person's residual code.
            turn: [B, 3] the head's standardised turn (`PoseRange.standardise`), 0 at the mean pose.
        """
        known = self.known(expression)
        code = field_code(EXPRESSION_SCALE * known, residual, self.n_halves)
        eyes = None if self.eyes is None else self.eyes.blend(code)
        warp = self.warp.prepare(expression, field_code(known, residual, self.n_halves))
        return HeadState(self.condition(code), turn, warp, eyes, [paint.blend(code) for paint in self.paints])

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
        if self.eyes is not None and state.eyes is not None:
            encoded = torch.cat([encoded, self.eyes.sample(state.eyes, points).flatten(0, 1).to(encoded.dtype)], dim=-1)
        with torch.autocast(points.device.type, torch.bfloat16, enabled=points.device.type == "cuda"):
            hidden = self.first(encoded).view(n_frames, n_points, self.first.out_features) + state.bias.unsqueeze(1)
            hidden = torch.relu(self.hidden(torch.relu(hidden)))
            raw = self.last(hidden).float()
        density = torch.exp((raw[..., 0] + _INITIAL_LOG_DENSITY).clamp(max=8.0))
        shade = raw[..., 4:].view(n_frames, n_points, 3, 3) @ state.turn.view(n_frames, 1, 3, 1)
        tone = raw[..., 1:4] + _SHADE_SCALE * shade.squeeze(-1)
        for paint, blended in zip(self.paints, state.paint, strict=True):
            tone = tone + paint.sample(blended, points)
        return density, torch.sigmoid(tone)
