"""Features around the eyes that a frame's code blends: a lid slides over what lies still, which no warp follows.

They live in the head's own space and are smooth, so that they can tell how far a place is from where a lid ends just
now; the MLP makes the edge.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from aednerf.core.records import ARKIT_NAMES
from aednerf.core.units import HEAD_BOX_HALF_M
from aednerf.field.config import FieldConfig
from aednerf.ops.warp import sample_grid

N_FEATURES = 4
_SHAPE = (12, 24, 48)
"""Nodes along z, y and x: 2 to 3 mm apart."""
_LIDS = ("eyeBlinkLeft", "eyeBlinkRight")
_STRONG_SHARE = 0.6
"""Skin that moves by this share of the most belongs to the lids."""
_MARGIN_M = (0.012, 0.01, 0.01)
"""How far around the lids the features reach, along x, y and z."""
_INITIAL = 0.1


class EyeFeatures(nn.Module):
    """Basis features on a grid around both eyes, and how codes blend them."""

    def __init__(self, config: FieldConfig) -> None:
        super().__init__()
        self.basis = nn.Parameter(_INITIAL * torch.randn(config.n_eye_basis, N_FEATURES, *_SHAPE))
        self.mix = nn.Linear(config.n_code, config.n_eye_basis)
        self.register_buffer("centre", torch.zeros(3))
        self.register_buffer("extent", torch.ones(3))

    centre: Tensor
    extent: Tensor

    def blend(self, code: Tensor) -> Tensor:
        """Blend the features of B frames from their codes [B, C]: [B, F, D, H, W]."""
        return (self.mix(code) @ self.basis.flatten(1)).view(-1, *self.basis.shape[1:])

    def sample(self, blended: Tensor, points: Tensor) -> Tensor:
        """Return the features [B, P, F] at points [B, P, 3] of the head's box; zero away from the eyes."""
        return sample_grid(blended, (points - self.centre) / self.extent)

    @torch.no_grad()
    def place(self, points: np.ndarray, deltas: np.ndarray) -> None:
        """Stand around what the lids move; where nothing moves, stay.

        Args:
            points: [P, 3] the person's neutral surface, metres in the head frame.
            deltas: [52, P, 3] what each coefficient at 1 moves them by, metres.
        """
        strength = np.linalg.norm(deltas[[ARKIT_NAMES.index(name) for name in _LIDS]], axis=-1).max(0)
        lids = points[(strength > _STRONG_SHARE * strength.max()) & (strength > 0)]
        if len(lids):
            low, high = lids.min(0) - _MARGIN_M, lids.max(0) + _MARGIN_M
            self.centre.copy_(torch.as_tensor((low + high) / 2 / HEAD_BOX_HALF_M))
            self.extent.copy_(torch.as_tensor((high - low) / 2 / HEAD_BOX_HALF_M))
