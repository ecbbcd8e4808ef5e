"""Colours around the mouth and the eyes that a frame's code adds: what changes where no surface moves.

Teeth come and go, lashes and creases appear, light plays on lips. In pictures that move with the head most of it is a
sum of few pictures (eigenfaces, Turk and Pentland 1991), each times a number of the frame's code: so it is here, in the
head's own space, on grids nearly as fine as a recording's pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch

from aednerf.field.config import FieldConfig
from aednerf.field.local import LocalBasis, Part

_DEPTH_COARSER = 2
"""Along the depth, which one camera hardly sees, nodes lie so many times further apart."""


class Region(NamedTuple):
    """A painted part of the face."""

    part: Part
    usual_m: tuple[float, float, float]
    """What it measures on an ordinary face, along x, y and z: its nodes are counted by it."""


_LIPS = ("mouthClose", "mouthFunnel", "mouthPucker", "mouthUpperUpLeft", "mouthLowerDownRight", "mouthRollUpper")

REGIONS: Mapping[str, Region] = MappingProxyType({
    "mouth": Region(Part(_LIPS, 0.5, (0.012, 0.012, 0.015)), (0.08, 0.06, 0.05)),
    "eyes": Region(Part(("eyeBlinkLeft", "eyeBlinkRight"), 0.5, (0.012, 0.01, 0.01)), (0.11, 0.04, 0.035)),
})  # fmt: skip


class Paint(LocalBasis):
    """Colours of one region, added to the logits of the field's; none at first."""

    def __init__(self, config: FieldConfig, region: Region) -> None:
        x, y, z = (max(4, round(edge / config.paint_m)) for edge in region.usual_m)
        basis = torch.zeros(config.n_paint, 3, max(4, z // _DEPTH_COARSER), y, x)
        super().__init__(basis, config.n_code, region.part, bias=False)
