"""What makes a frame's residual code of the numbers read off its pictures: learned with the field that it drives.

Principal components tell pictures apart, whatever it is that differs; a field needs what its own colours and shapes
depend on. The code begins as the first components of each half, and keeps their length.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_WIDTH = 64


class ResidualEncoder(nn.Module):
    """Makes each half of the code of its half of the numbers: their first ones, and a learned correction.

    Args:
        n_read: numbers read off the pictures, half of them the mouth's and half the eyes'.
        n_residual: numbers of the code, at most as many.
    """

    def __init__(self, n_read: int, n_residual: int) -> None:
        super().__init__()
        self.n_half = n_residual // 2
        self.corrections = nn.ModuleList(_correction(n_read // 2, self.n_half) for _ in range(2))

    def forward(self, read: Tensor) -> Tensor:
        """Return the codes [..., K] of numbers [..., N]; a half of zeros alone stays so, since it tells nothing."""
        codes = []
        for half, correct in zip(read.chunk(2, dim=-1), self.corrections, strict=True):
            is_there = (half != 0).any(dim=-1, keepdim=True)
            codes.append((half[..., : self.n_half] + correct(half)) * is_there)
        return torch.cat(codes, dim=-1)


def _correction(n_read: int, n_code: int) -> nn.Module:
    last = nn.Linear(_WIDTH, n_code)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(n_read, _WIDTH), nn.ReLU(), last)
