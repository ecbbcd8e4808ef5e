"""The rim of the head before colours that were not behind it: light or dark seams that a change of background shows.

Only computer-generated captures know the person's own colour and alpha there.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from aednerf.evaluation.regions import HEAD_LABEL

BACKDROPS = {"green": (0, 255, 0), "white": (255, 255, 255)}
RING_PX = 5
"""Width of the ring, half of it on either side of the edge."""

SEAM_PX = 3.0
"""Deviation of the average along the ring in which a seam of another colour shows, and single strands do not."""

OUT_OF_FOCUS_PX = 0.7
"""Deviation of the blur that the measure is held against."""


class Cutout(NamedTuple):
    """A person without a background, as they truly are."""

    colour: NDArray[np.uint8]
    """[H, W, 3] straight."""

    alpha: NDArray[np.uint8]
    """[H, W]."""

    parts: NDArray[np.uint8]
    """[H, W] labels; the head's edge is where 1 meets 0: not where it meets the neck or the torso."""


def halo(ours: NDArray[np.floating], true: Cutout, together_px: float = 0.0) -> float:
    """Return the mean absolute colour error in the ring, before saturated green and white: code values (1/255).

    Args:
        ours: [H, W, 4] premultiplied RGBA in [0, 1], without a background.
        true: The same picture as it should be.
        together_px: The ring's colours are first averaged along it by a Gaussian of this deviation: strands that are
            drawn a pixel aside then cancel, and what is left is a seam of another colour. 0: each pixel by itself.
    Returns:
        The mean over both backdrops; NaN where the head has no edge.
    """
    ring = edge_ring(true.parts)
    if not ring.any():
        return math.nan
    alpha = true.alpha[..., None] / 255
    colour, cover = ours[..., :3] * 255.0 - true.colour * alpha, ours[..., 3:] - alpha
    errors = []
    for backdrop in BACKDROPS.values():
        error = np.where(ring[..., None], colour - cover * np.array(backdrop), 0.0)
        if together_px:
            share = cv2.GaussianBlur(ring.astype(np.float64), (0, 0), together_px)
            error = cv2.GaussianBlur(error, (0, 0), together_px) / np.maximum(share, 1e-9)[..., None]
        errors.append(np.abs(error[ring]).mean())
    return float(np.mean(errors))


def blurred(true: Cutout) -> NDArray[np.float32]:
    """Return the true person [H, W, 4], premultiplied, hardly out of focus: the halo of what looks nearly perfect."""
    alpha = true.alpha[..., None].astype(np.float32) / 255
    rgba = np.concatenate([true.colour.astype(np.float32) / 255 * alpha, alpha], axis=-1)
    return cv2.GaussianBlur(rgba, (0, 0), OUT_OF_FOCUS_PX).astype(np.float32)


def edge_ring(parts: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the pixels [H, W] of head or background that lie within half of `RING_PX` of the edge between the two."""
    is_head, is_background = parts == HEAD_LABEL, parts == 0
    if not is_head.any() or not is_background.any():
        return np.zeros(parts.shape, bool)
    # Distances are between pixels' centres: the pixels beside an edge are 1 apart, half a pixel from it.
    to_head, to_background = (
        cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        for mask in (is_head, is_background)
    )
    reach = RING_PX / 2 + 0.5
    return (is_head & (to_background < reach)) | (is_background & (to_head < reach))
