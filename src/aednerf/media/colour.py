"""Colour: a decoded frame of any pixel format to upright 8-bit RGB of square pixels, by the stream's own tags.

Code values of BT.709 come out (no gamma change). HDR pictures (PQ, HLG) are brought to that range: Rec. ITU-R BT.2100-2
tables 4 and 5 for the transfer functions, BT.2087-0 for the primaries, and for the highlights the curve of Reinhard et
al. (SIGGRAPH 2002, eq. 4) on the largest of R, G, B, which keeps hues.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

PQ, HLG = 16, 18
"""Transfer characteristics of HDR pictures (ISO/IEC 23091-2, table 3)."""

SPC_RGB, SPC_BT709, SPC_UNSPECIFIED, SPC_BT601, SPC_SMPTE240M = 0, 1, 2, 5, 7
SPC_BT2020 = (9, 10)
TRC_BT709 = 1
RANGE_LIMITED, RANGE_FULL = 1, 2

SDR_WHITE_NITS = 203.0
"""Light of diffuse white in HDR pictures (ITU-R BT.2408)."""

PEAK_NITS = 1000.0
"""Light that becomes the brightest code value."""

_BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)


def is_hdr(frame_or_context: Any) -> bool:
    """Tell whether a PyAV frame or codec context is tagged with an HDR transfer function."""
    return int(frame_or_context.color_trc or 0) in (PQ, HLG)


def matrix_of(colorspace: int, height: int) -> int:
    """Return the YUV matrix to use: the tag, or for an untagged stream BT.709 from 720 lines, else BT.601.

    >>> matrix_of(2, 720), matrix_of(2, 480), matrix_of(6, 1080)
    (1, 5, 6)
    """
    if colorspace in (SPC_RGB, SPC_UNSPECIFIED, 3):
        return SPC_BT709 if height >= 720 else SPC_BT601
    return colorspace


def square_size(width: int, height: int, aspect: Any) -> tuple[int, int]:
    """Return the size with square pixels: the height stays, the width is scaled by the sample aspect ratio."""
    if not aspect or aspect == 1:
        return width, height
    return max(1, round(width * float(aspect))), height


def to_rgb(frame: Any, stream: Any) -> NDArray[np.uint8]:
    """Convert a PyAV frame to upright RGB of square pixels.

    Args:
        frame: av.VideoFrame of any pixel format, size, aspect ratio and rotation.
        stream: its av.VideoStream, for the sample aspect ratio and for tags that the frame itself lacks.

    Returns:
        uint8 [H, W, 3].
    """
    from av.video.reformatter import Interpolation

    tag = int(frame.colorspace)
    if tag == SPC_UNSPECIFIED:
        tag = int(stream.codec_context.colorspace)
    width, height = square_size(frame.width, frame.height, stream.sample_aspect_ratio)
    hdr = is_hdr(frame)
    full = frame.color_range == RANGE_FULL or frame.format.name.startswith("yuvj")
    yuv = not (frame.format.is_rgb or frame.format.name.startswith("gray"))
    picture = frame.reformat(
        width=width, height=height, format="rgb48le" if hdr else "rgb24",
        src_colorspace=matrix_of(tag, frame.height), dst_colorspace=SPC_BT709,
        src_color_range=RANGE_FULL if full or not yuv else RANGE_LIMITED, dst_color_range=RANGE_FULL,
        interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT,
    )  # fmt: skip
    rgb = picture.to_ndarray()
    if hdr:
        rgb = tone_map(rgb, int(frame.color_trc))
    return upright(rgb, display_matrix(frame))


def display_matrix(frame: Any) -> NDArray[np.int32] | None:
    """Return the frame's display matrix [3, 3] as stored (16.16 fixed point), or None."""
    data = frame.side_data.get("DISPLAYMATRIX")
    return None if data is None else np.frombuffer(bytes(data), np.int32).reshape(3, 3)


def upright(image: NDArray[Any], matrix: NDArray[np.int32] | None) -> NDArray[Any]:
    """Turn and mirror an image as its display matrix says, to the nearest quarter turn.

    The matrix maps source (x, y), y down, to x' = a x + c y, y' = b x + d y (ISO/IEC 14496-12, 8.5.2).
    """
    if matrix is None:
        return image
    (a, b), (c, d) = np.sign(matrix[:2, :2] * (np.abs(matrix[:2, :2]) > 1 << 15)).tolist()
    if a == 0 and d == 0 and b and c:
        image = image.swapaxes(0, 1)
        flip_x, flip_y = c < 0, b < 0
    else:
        flip_x, flip_y = a < 0, d < 0
    image = image[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
    return np.ascontiguousarray(image)


def rotation_deg(matrix: NDArray[np.int32] | None) -> int:
    """Return by how many degrees clockwise the stored picture is turned to be upright: 0, 90, 180 or 270."""
    if matrix is None:
        return 0
    angle = np.degrees(np.arctan2(float(matrix[0, 1]), float(matrix[0, 0])))
    return int(round(angle / 90)) * 90 % 360


@cache
def _light_of_code(transfer: int) -> NDArray[np.float32]:
    """Return [65536] the light of each 16-bit code value, in units of diffuse white."""
    code = np.arange(65536, dtype=np.float64) / 65535
    if transfer == PQ:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        root = code ** (1 / m2)
        nits = 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
        nits = 1000 * scene**1.2  # the system gamma of a 1000 cd/m2 display, taken per channel
    return (nits / SDR_WHITE_NITS).astype(np.float32)


@cache
def _code_of_light() -> NDArray[np.uint8]:
    """Return [4097] the 8-bit code of light in [0, 1], sampled evenly in the light's square root."""
    light = np.linspace(0, 1, 4097) ** 2
    return np.rint(255 * light ** (1 / 2.4)).astype(np.uint8)


def tone_map(rgb: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    """Bring 16-bit BT.2020 code values of an HDR picture to 8-bit BT.709, in bands of rows to bound the memory.

    Args:
        rgb: uint16 [H, W, 3], full range.
        transfer: `PQ` or `HLG`.

    Returns:
        uint8 [H, W, 3].
    """
    import cv2

    out = np.empty(rgb.shape, np.uint8)
    white = np.float32(PEAK_NITS / SDR_WHITE_NITS)
    for top in range(0, len(rgb), 128):
        light = _light_of_code(transfer)[rgb[top : top + 128]]
        light = np.maximum(cv2.transform(light, _BT2020_TO_BT709), 0)
        peak = np.maximum(light.max(-1, keepdims=True), 1e-6)
        light *= (1 + peak / white**2) / (1 + peak)
        root = np.sqrt(np.minimum(light, 1))
        out[top : top + 128] = _code_of_light()[(root * 4096 + 0.5).astype(np.int32)]
    return out
