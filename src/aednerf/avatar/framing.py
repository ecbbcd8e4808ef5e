"""Which part of the recording's picture is shown, and how large."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.records import Camera

MIN_SIDE, MAX_SIDE = 16, 4096
HEAD_EDGE_M = 0.32
"""Edge of the square that `head` shows: a head with its hair, and some room to move."""

CropSpec = str | Sequence[float]
_FORMS = "head, or LEFT,TOP,WIDTH,HEIGHT in pixels of the recording's picture or as shares of it (0.2,0.1,0.6,0.6)"


def framed(
    camera: Camera, plate: NDArray[np.uint8], centre: NDArray[np.float32], crop: CropSpec | None, size: int | None
) -> tuple[Camera, NDArray[np.uint8]]:
    """Return the camera of the output, and the part of the recording's plate that it sees.

    Args:
        camera: The recording's.
        plate: [H, W, 3] as large as the recording's picture.
        centre: [3] the mean head position in the recording's camera space.
        crop: `head`, or left, top, width and height: in pixels of the recording's picture, or, where none is above 1,
            as shares of it. None is all of it.
        size: Width of the output in pixels, even; None is that of the crop, made even.
    Raises:
        InputError: the crop is none of these or reaches over the picture, or the size is out of range.
    """
    if size is not None and (not MIN_SIDE <= size <= MAX_SIDE or size % 2):
        raise InputError(f"The size must be an even number in [{MIN_SIDE}, {MAX_SIDE}], got {size}.")
    if crop is not None:
        left, top, width, height = parse_crop(crop, camera, centre)
        camera, plate = camera.cropped(left, top, width, height), plate[top : top + height, left : left + width]
        size = size or 2 * (width // 2)
    if size is not None:
        camera = camera.resized(size, max(2, 2 * round(camera.height * size / camera.width / 2)))
    return camera, plate


def parse_crop(spec: CropSpec, camera: Camera, centre: NDArray[np.float32]) -> tuple[int, int, int, int]:
    """Read a crop as users write it: left, top, width and height in pixels of the recording's picture.

    Raises:
        InputError: it is no crop, or reaches over the picture.
    """
    if isinstance(spec, str) and spec.strip() == "head":
        return _head(camera, centre)
    try:
        values = [float(value) for value in (spec.split(",") if isinstance(spec, str) else spec)]
    except (TypeError, ValueError):
        values = []
    if len(values) != 4 or not all(math.isfinite(value) for value in values):
        raise InputError(f"Unknown crop {spec!r}. Expected {_FORMS}.")
    if max(values) <= 1.0:
        values = [value * side for value, side in zip(values, (camera.width, camera.height) * 2, strict=True)]
    left, top, right, bottom = (round(value) for value in (*values[:2], values[0] + values[2], values[1] + values[3]))
    if left < 0 or top < 0 or right > camera.width or bottom > camera.height:
        raise InputError(
            f"The crop {spec!r} reaches over the recording's picture of {camera.width}x{camera.height} pixels. "
            f"Expected {_FORMS}."
        )
    if right - left < MIN_SIDE or bottom - top < MIN_SIDE:
        raise InputError(f"The crop {spec!r} is smaller than {MIN_SIDE} pixels. Choose a larger one, and --size.")
    return left, top, right - left, bottom - top


def _head(camera: Camera, centre: NDArray[np.float32]) -> tuple[int, int, int, int]:
    """Return the square around the head, moved inside the picture where it would reach over."""
    edge = round(HEAD_EDGE_M * camera.focal_px / -float(centre[2]))
    edge = min(max(edge, MIN_SIDE), camera.width, camera.height)
    u, v = camera.project(centre)
    left = min(max(round(float(u) - edge / 2), 0), camera.width - edge)
    top = min(max(round(float(v) - edge / 2), 0), camera.height - edge)
    return left, top, edge, edge
