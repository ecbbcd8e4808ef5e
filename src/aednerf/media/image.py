"""Pictures in and out, and their size; OpenCV only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.files import atomic_path
from aednerf.media.container import require_file, unwritable


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Read a picture: gray becomes RGB, 16 bits become 8, alpha stays, and a camera's orientation tag is followed.

    Returns:
        uint8 [H, W, 3] RGB, or [H, W, 4] RGBA with straight alpha.

    Raises:
        InputError: the file is missing, empty, a folder, or no picture.
    """
    data = np.frombuffer(require_file(path).read_bytes(), np.uint8)
    stored: Any = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if stored is None:
        raise InputError(f"{path} is not a readable picture. Give a PNG or JPEG file.")
    if stored.ndim == 3 and stored.shape[2] == 4:
        if stored.dtype == np.uint16:
            stored = np.rint(stored / 257).astype(np.uint8)
        return _bytes(cv2.cvtColor(_bytes(stored, path), cv2.COLOR_BGRA2RGBA), path)
    return _bytes(cv2.cvtColor(_bytes(cv2.imdecode(data, cv2.IMREAD_COLOR), path), cv2.COLOR_BGR2RGB), path)


def write_image(
    path: str | Path, image: NDArray[np.uint8] | NDArray[np.uint16], jpeg_quality: int | None = None
) -> None:
    """Write a picture, atomically; the suffix chooses the format (.png keeps alpha and every bit).

    Args:
        path: the file.
        image: uint8 [H, W, 3] RGB, [H, W, 4] RGBA with straight alpha, or [H, W] gray; a .png may
            be uint16 gray as well.
        jpeg_quality: of a .jpg, 0 to 100, its colours as fine as its light; None is the usual 95 with coarser colours.

    Raises:
        InputError: the suffix is no picture format.
        MachineError: the disk is full or the folder cannot be written.
    """
    path = Path(path)
    is_deep = image.dtype == np.uint16 and image.ndim == 2 and path.suffix.lower() == ".png"
    has_channels = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))
    if not is_deep and not (image.dtype == np.uint8 and has_channels):
        raise ValueError(f"expected uint8 [H, W], [H, W, 3] or [H, W, 4], got {image.dtype} {image.shape}")
    stored: Any = image
    if image.ndim == 3:
        stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR if image.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    options: list[int] = []
    if jpeg_quality is not None:
        full_colour = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
        options = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality, *full_colour]
    try:
        ok, data = cv2.imencode(path.suffix, stored, options)
    except cv2.error:
        ok, data = False, None
    if not ok or data is None:
        raise InputError(f"{path}: {path.suffix or 'no suffix'} is not a picture format. Use .png or .jpg.")
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(data.tobytes())
    except OSError as error:
        raise unwritable(path, error) from error


def resize(image: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    """Resize an image [H, W] or [H, W, C] of uint8 or float32: by area where it shrinks, cubic where it grows."""
    if image.shape[:2] == (height, width):
        return image.copy()
    # Each axis by its own rule: shrink first, then grow what is left.
    small = (min(width, image.shape[1]), min(height, image.shape[0]))
    if small != (image.shape[1], image.shape[0]):
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    if small != (width, height):
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    return image


def _bytes(image: Any, path: str | Path) -> NDArray[np.uint8]:
    if image is None or image.dtype != np.uint8:
        raise InputError(f"{path} is not an 8-bit or 16-bit picture. Save it as PNG or JPEG.")
    return image
