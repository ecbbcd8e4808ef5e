"""The studio's lights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class StudioLight:
    """Key, fill and two rim lights, and the light of the room; directions are in the recording camera's space."""

    directions: Array
    """[4, 3] unit vectors towards the lights; the first casts the shadows."""

    colours: Array
    """[4, 3] linear RGB."""

    spread: Array
    """[4] the sine of each light's apparent radius."""

    sky: tuple[float, float, float] = (0.36, 0.37, 0.40)
    ground: tuple[float, float, float] = (0.16, 0.135, 0.125)
    exposure: float = 0.82

    @staticmethod
    def portrait() -> StudioLight:
        """Return a soft key from the upper left, a cool fill from the right, and two rims from behind."""
        directions = np.array(
            [[-0.52, 0.50, 0.78], [0.85, 0.10, 0.62], [0.78, 0.42, -0.62], [-0.86, 0.35, -0.52]], np.float32
        )
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        colours = np.array([[1.62, 1.50, 1.36], [0.30, 0.30, 0.32], [0.95, 1.0, 1.1], [0.7, 0.66, 0.62]], np.float32)
        return StudioLight(directions, colours, np.array([0.22, 0.40, 0.2, 0.2], np.float32))
