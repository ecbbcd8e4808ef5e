"""Expressions that an avatar is asked for though nobody recorded them: training must not empty where they reach."""

from __future__ import annotations

import torch
from torch import Tensor

from aednerf.core.records import ARKIT_NAMES, EMOTIONS
from aednerf.emotion.prior import prior

_JAW_OPEN = 0.5
"""A jaw as wide open as loud speech has it."""


def imagined_expressions(device: torch.device) -> Tensor:
    """Return [N, 52] what may be added to a recorded expression: every emotion's prior in full, and an open jaw."""
    jaw = torch.zeros(len(ARKIT_NAMES))
    jaw[ARKIT_NAMES.index("jawOpen")] = _JAW_OPEN
    felt = [torch.from_numpy(prior(label)) for label in EMOTIONS if label != "neutral"]
    return torch.stack([*felt, jaw]).to(device)
