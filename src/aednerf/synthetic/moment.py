"""What the synthetic person does at one instant, and what the camera makes of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Moment(NamedTuple):
    """What the camera sees at one instant."""

    expression: NDArray[np.float32]
    """[52] ARKit coefficients in [0, 1]."""

    rotation: NDArray[np.float32]
    """[3, 3] head to (recording) camera rotation."""

    translation: NDArray[np.float32]
    """[3] head to (recording) camera translation in metres."""

    breath: float
    """In [0, 1]: how far the chest is raised."""


class Shot(NamedTuple):
    """One picture with its ground truth."""

    image: NDArray[np.uint8]
    """[H, W, 3] composited over the plate."""

    foreground: NDArray[np.uint8]
    """[H, W, 3] straight foreground colour."""

    alpha: NDArray[np.uint8]
    """[H, W] soft alpha of the person."""

    parts: NDArray[np.uint8]
    """[H, W] 0 background, 1 head with hair, 2 neck, 3 torso with garment."""
