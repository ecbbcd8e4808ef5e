"""Features around the eyes that a frame's code blends: a lid slides over what lies still, which no warp follows.

They live in the head's own space and are smooth, so that they can tell how far a place is from where a lid ends just
now; the MLP makes the edge.
"""

from __future__ import annotations

import torch

from aednerf.field.config import FieldConfig
from aednerf.field.local import LocalBasis, Part

N_FEATURES = 4
_SHAPE = (12, 24, 48)
"""Nodes along z, y and x: 2 to 3 mm apart."""
_LIDS = Part(("eyeBlinkLeft", "eyeBlinkRight"), 0.6, (0.012, 0.01, 0.01))
_INITIAL = 0.1


class EyeFeatures(LocalBasis):
    """Features of a grid around both eyes."""

    def __init__(self, config: FieldConfig) -> None:
        basis = _INITIAL * torch.randn(config.n_eye_basis, N_FEATURES, *_SHAPE)
        super().__init__(basis, config.n_code, _LIDS, bias=True)
