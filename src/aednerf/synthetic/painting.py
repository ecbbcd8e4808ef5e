"""A painted backdrop: an evening sky out of focus, made from numbers alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SKY = ((0.0, (38, 46, 92)), (0.45, (126, 92, 140)), (0.75, (226, 142, 118)), (1.0, (250, 196, 138)))
"""Height from the top, as a share of the picture, and the colour there."""

_LAMPS = ((255, 214, 150), (255, 170, 140), (180, 190, 255))
_N_LAMPS = 16


def paint_evening(width: int, height: int, seed: int = 3) -> NDArray[np.uint8]:
    """Paint an evening sky with lamps out of focus.

    Args:
        width, height: of the picture, in pixels.
        seed: where the lamps are.

    Returns:
        uint8 RGB [H, W, 3].
    """
    x, y = (np.arange(width) + 0.5) / height, (np.arange(height)[:, None] + 0.5) / height
    stops, colours = zip(*_SKY, strict=True)
    picture = np.dstack([np.interp(y + 0.08 * (x - width / height / 2), stops, band) for band in np.transpose(colours)])
    random = np.random.default_rng(seed)
    for _ in range(_N_LAMPS):
        centre_x, centre_y = random.uniform(0, width / height), random.uniform(0.35, 0.95)
        radius, strength = random.uniform(0.03, 0.08), random.uniform(0.1, 0.35)
        distance = np.hypot(x - centre_x, y - centre_y)
        # A lens draws a point out of focus as a disc, a little brighter at its rim.
        disc = np.clip((radius - distance) * height / 2 + 0.5, 0, 1) * (0.8 + 0.2 * (distance / radius) ** 4)
        lamp = np.array(_LAMPS[random.integers(len(_LAMPS))])
        picture += strength * disc[..., None] * (lamp - picture)
    picture += random.uniform(-0.5, 0.5, picture.shape)  # so that smooth colours do not show as steps
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)
