"""What a frame's expression and residual become before they move and colour the head."""

from __future__ import annotations

import torch
from torch import Tensor


def field_code(expression: Tensor, residual: Tensor, n_halves: int) -> Tensor:
    """Return all numbers that linear maps may take a frame's head from.

    A coefficient means less beside a residual that tells the same, so where a half of the residual is missing the
    coefficients count once more, for what they alone then have to tell: each linear map of the code is one map where
    everything is known, and another where something is not.

    Args:
        expression: [B, 52] ARKit coefficients, scaled as the map likes them.
        residual: [B, K] the residual code; a half, the mouth's or the eyes', of zeros alone is missing.
        n_halves: 2, or 0 where a missing residual is no different from one of zeros.

    Returns:
        [B, `FieldConfig.n_code`].
    """
    parts = [expression, residual]
    for half in residual.chunk(n_halves, dim=-1) if n_halves else ():
        is_missing = (half == 0).all(dim=-1, keepdim=True).to(expression.dtype)
        parts += [is_missing * expression, is_missing]
    return torch.cat(parts, dim=-1)
