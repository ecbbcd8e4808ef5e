"""Composite samples along rays (Max 1995; Mildenhall et al., NeRF, 2020, equation 3).

    alpha_i = 1 - exp(-density_i * length_i),   T_i = prod_{j<i} (1 - alpha_j),   C = sum_i T_i alpha_i c_i

The colour comes out premultiplied by the ray's alpha, A = sum_i T_i alpha_i. Differentiable in density and colour.
"""

from __future__ import annotations

import torch
from torch import Tensor


def composite(density: Tensor, colour: Tensor, length: Tensor | float) -> tuple[Tensor, Tensor]:
    """Composite the samples of each ray, front to back.

    Args:
        density: [N, S] per unit of length, not negative; unused slots are 0.
        colour: [N, S, 3] in [0, 1].
        length: the samples' length, broadcast to [N, S].

    Returns:
        [N, 4] premultiplied colour and alpha, and [N, S] the samples' weights T_i alpha_i.
    """
    optical_depth = density * length
    transmittance = torch.exp(-(optical_depth.cumsum(1) - optical_depth))
    weights = transmittance * (1.0 - torch.exp(-optical_depth))
    rgb = (weights.unsqueeze(-1) * colour).sum(1)
    return torch.cat([rgb, weights.sum(1, keepdim=True)], dim=-1), weights


def spread(weights: Tensor, t: Tensor, length: Tensor | float) -> Tensor:
    """Return how far the light of each ray is spread along it (Barron et al., Mip-NeRF 360, 2022, equation 15).

        sum_ij w_i w_j |t_i - t_j| + 1/3 sum_i w_i^2 length_i

    Small where a ray's light comes from one place: a hard surface, which also needs few samples.

    Args:
        weights: [N, S] the samples' weights.
        t: [N, S] the samples' distances, ascending.
        length: the samples' length, broadcast to [N, S].

    Returns:
        [N].
    """
    weights_before = weights.cumsum(1) - weights
    moments_before = (weights * t).cumsum(1) - weights * t
    between = 2 * (weights * (t * weights_before - moments_before)).sum(1)
    return between + (weights.square() * length).sum(1) / 3


def over(front: Tensor, back: Tensor) -> Tensor:
    """Lay premultiplied RGBA [..., 4] over premultiplied RGBA [..., 4] (Porter and Duff 1984)."""
    return front + (1.0 - front[..., 3:]) * back
