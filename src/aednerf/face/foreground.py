"""The person's own colour under a soft matte: what a halo-free cut-out shows over another background."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from aednerf.face.plate import fill

_SOLID = 250  # alpha (of 255) from which a pixel shows nothing of the backdrop
_LEAST = 0.15  # alpha below which the unmixed colour is mostly noise


def straight_foreground(
    rgb: NDArray[np.uint8], alpha: NDArray[np.uint8], plate: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Take the backdrop out of a picture's soft pixels: F in I = alpha F + (1 - alpha) B.

    Where alpha is small the unmixing divides noise by little, so the colour of the solid person nearby takes over.

    Args:
        rgb: [H, W, 3] the picture.
        alpha: [H, W] its matte.
        plate: [H, W, 3] the backdrop.

    Returns:
        [H, W, 3] straight (not premultiplied) colour of the person, continued smoothly where alpha is 0.
    """
    solid = alpha >= _SOLID
    nearby = fill(rgb, cv2.erode(solid.astype(np.float32), np.ones((3, 3), np.uint8)))
    result = np.where(solid[..., None], rgb, nearby)
    soft = ~solid & (alpha > 0)
    share = alpha[soft].astype(np.float32)[:, None] / 255
    unmixed = (rgb[soft] - (1 - share) * plate[soft]) / share
    trust = np.minimum(share / _LEAST, 1) * share
    result[soft] = (trust * unmixed.clip(0, 255) + (1 - trust) * nearby[soft] + 0.5).astype(np.uint8)
    return result
