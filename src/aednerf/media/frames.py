"""Our own recordings, frame by frame: the one function by which captures and avatars decode pictures.

PyAV decodes where it is installed, else OpenCV, with the same pixels from both.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError, MachineError
from aednerf.media.container import decoded, open_media, require_file, seek_before, video_stream

SAMPLE_COLOUR = (60, 160, 60)
"""RGB of the one frame of `bt709.mp4`."""


def decode_frames(
    path: str | Path, first: int = 0, end: int | None = None, gray: bool = False
) -> Iterator[NDArray[np.uint8]]:
    """Yield frames [first, end) of a file that this package wrote, exactly those, from the key frame before `first` on.

    For `VideoWriter`'s mp4 (RGB) and `LosslessGrayWriter`'s mkv (`gray=True`): one constant rate, the first frame at
    time 0. A user's file goes through `read_video`. RGB comes from FFmpeg's fast conversion by the file's BT.709 tag,
    which both PyAV and OpenCV run (5.0 and 4.14: bit for bit the same); an older OpenCV takes every file for BT.601
    and is put right afterwards, which leaves a mean difference of a third of a code value.

    Args:
        path: the file.
        first: index of the first frame.
        end: one past the last frame; None is to the end of the file.
        gray: yield the only plane of a gray file.

    Returns:
        uint8 [H, W, 3] RGB each, or [H, W] with `gray`.

    Raises:
        InputError: the file is missing, unreadable, or ends before `end`.
    """
    if first < 0 or (end is not None and end < first):
        raise ValueError(f"expected 0 <= first <= end, got [{first}, {end})")
    if end == first:
        return
    try:
        import av  # noqa: F401
    except ImportError:
        frames = _decode_opencv(path, first, gray)
    else:
        frames = _decode_pyav(path, first, gray)
    n = first
    for image in islice(frames, None if end is None else end - first):
        yield image
        n += 1
    if n < (first + 1 if end is None else end):
        wanted = f"frame {first}" if end is None else f"frames [{first}, {end})"
        raise InputError(f"{path} ends before {wanted}: it is damaged or another file. Make it again.")


def _decode_pyav(path: str | Path, first: int, gray: bool) -> Iterator[NDArray[np.uint8]]:
    with open_media(path) as container:
        stream = video_stream(container)
        if stream is None:
            raise InputError(f"{path} has no pictures; expected a video that this program wrote. Make it again.")
        stream.thread_type = "AUTO"
        rate: Any = stream.average_rate
        if first > 0:
            seek_before(container, stream, Fraction(first) / rate)
        for frame in decoded(container, stream):
            if round(frame.pts * frame.time_base * rate) >= first:
                if gray and frame.format.name != "gray":
                    raise InputError(f"{path} is {frame.format.name}; expected a gray file. Make it again.")
                yield frame.to_ndarray(format="gray" if gray else "rgb24")


def _decode_opencv(path: str | Path, first: int, gray: bool) -> Iterator[NDArray[np.uint8]]:
    import cv2

    capture: Any = cv2.VideoCapture(str(require_file(path)), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise InputError(f"{path} is not a readable video. Make it again.")
        to_bt709 = None if gray else _correction()
        if gray:
            capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        if first > 0:
            capture.set(cv2.CAP_PROP_POS_FRAMES, first)
            if round(capture.get(cv2.CAP_PROP_POS_FRAMES)) != first:
                return
        while True:
            ok, image = capture.read()
            if not ok:
                return
            if gray:
                yield image.reshape(image.shape[:2])
            else:
                rgb = image[..., ::-1]
                yield np.ascontiguousarray(rgb if to_bt709 is None else cv2.transform(rgb, to_bt709), np.uint8)
    finally:
        capture.release()


def _yuv_to_rgb(red: float, blue: float) -> NDArray[np.float64]:
    """Return the matrix from (Y', Pb, Pr), Y' in [0, 1], to R'G'B' for the luma weights of red and blue."""
    green = 1 - red - blue
    return np.linalg.inv(
        np.array([
            [red, green, blue],
            [-red / (1 - blue) / 2, -green / (1 - blue) / 2, 0.5],
            [0.5, -green / (1 - red) / 2, -blue / (1 - red) / 2],
        ])
    )  # fmt: skip


@cache
def _correction() -> NDArray[np.float64] | None:
    """Return the matrix that turns this OpenCV's RGB of a BT.709 file right, or None where it heeds the tag itself.

    `bt709.mp4` beside this file is one frame of `SAMPLE_COLOUR`, written by `VideoWriter`: its colour tells.
    """
    import cv2

    ok, image = cv2.VideoCapture(str(Path(__file__).with_name("bt709.mp4")), cv2.CAP_FFMPEG).read()
    if not ok:
        raise MachineError("This OpenCV cannot decode H.264. Install opencv-contrib-python from PyPI, or PyAV.")
    bt601, bt709 = _yuv_to_rgb(0.299, 0.114), _yuv_to_rgb(0.2126, 0.0722)
    seen = image[8, 8, ::-1].astype(np.float64)
    heeded = np.array(SAMPLE_COLOUR, np.float64)
    ignored = bt601 @ np.linalg.inv(bt709) @ heeded
    return bt709 @ np.linalg.inv(bt601) if np.abs(seen - ignored).sum() < np.abs(seen - heeded).sum() else None
