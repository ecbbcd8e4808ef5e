"""What a recording shows of all expressions: what was learned from it is believed only so far.

The face model says how any expression moves a face. What training finds beside it is known only where the recording
shows something: along directions in which its coefficients vary, and as far as they go, in each of them and in all of
them together. An expression that goes further than that is, to all that was learned, a weaker one of its kind.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aednerf.field.config import N_EXPRESSION

_LEAST_SPREAD = 0.03
"""A direction that varies by so much is half believed: training blurs coefficients by as much."""
_FURTHER = 1.25
"""Expressions may go so much further from the usual one than any that was seen."""
_FARTHEST = 1.8
"""Expressions count as so far from the usual one at most, all directions together, against the root mean square of what
was seen: of every recording tried, 1 frame in 100 lies further than 1.5 to 1.8, none further than 2.3."""
_NO_END = 1e4
"""Further than coefficients go: bundles hold finite numbers alone."""


class KnownExpressions(nn.Module):
    """Brings coefficients near to those of a recording; until it has seen one, it leaves them as they are.

    `is_kept` says whether what it learns goes into the avatar's bundle: older ones have no place for it.
    """

    def __init__(self, is_kept: bool) -> None:
        super().__init__()
        self.register_buffer("usual", torch.zeros(N_EXPRESSION), persistent=is_kept)
        self.register_buffer("directions", torch.eye(N_EXPRESSION), persistent=is_kept)
        self.register_buffer("belief", torch.ones(N_EXPRESSION), persistent=is_kept)
        self.register_buffer("low", torch.full((N_EXPRESSION,), -_NO_END), persistent=is_kept)
        self.register_buffer("high", torch.full((N_EXPRESSION,), _NO_END), persistent=is_kept)

    usual: Tensor
    directions: Tensor
    belief: Tensor
    low: Tensor
    high: Tensor

    @torch.no_grad()
    def learn(self, expression: Tensor) -> None:
        """Learn from the coefficients [N, 52] of a recording's frames."""
        self.usual.copy_(expression.mean(0))
        apart = (expression - self.usual).double()
        _, values, directions = torch.linalg.svd(apart, full_matrices=False)
        n = len(values)
        spread = torch.zeros(N_EXPRESSION, dtype=values.dtype)
        spread[:n] = values / len(apart) ** 0.5
        self.directions.zero_()
        self.directions[:n].copy_(directions)
        self.belief.copy_(spread.square() / (spread.square() + _LEAST_SPREAD**2))
        along = apart @ directions.T
        self.low.zero_()[:n].copy_(_FURTHER * along.amin(0))
        self.high.zero_()[:n].copy_(_FURTHER * along.amax(0))

    def forward(self, expression: Tensor) -> Tensor:
        """Return coefficients [B, 52] that the recording tells something about."""
        along = ((expression - self.usual) @ self.directions.T).clamp(self.low, self.high)
        # spread^2 + _LEAST_SPREAD^2 = _LEAST_SPREAD^2 / (1 - belief): each direction is counted in blurred spreads.
        spreads = along * (1 - self.belief).sqrt() / _LEAST_SPREAD
        farthest = _FARTHEST * self.belief.sum().sqrt()
        shrunk = (farthest / spreads.norm(dim=-1, keepdim=True).clamp(min=1e-6)).clamp(max=1.0)
        return self.usual + (shrunk * along * self.belief) @ self.directions
