"""What stands behind the person: the recording's plate, a picture, a looped video, a colour, or nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aednerf.core.errors import InputError
from aednerf.core.units import FPS

Picture = NDArray[np.uint8]

_IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"}
_FORMS = "plate, #rrggbb, transparent, a picture file or a video file"


class Background(Protocol):
    """Pictures behind the person, one a frame, as large as the output."""

    def pictures(self) -> Iterator[Picture | None]:
        """Yield [H, W, 3] uint8 RGB for one frame after the other, without end; None is transparent."""
        ...


@dataclass(frozen=True)
class Still:
    """One picture that stays, or (None) transparency."""

    picture: Picture | None

    def pictures(self) -> Iterator[Picture | None]:
        """Yield the picture for ever."""
        while True:
            yield self.picture


@dataclass(frozen=True)
class LoopedVideo:
    """A video that begins again where it ends."""

    path: Path
    width: int
    height: int
    duration_s: float

    def pictures(self) -> Iterator[Picture | None]:
        """Yield the video's frames at 25 fps, over and over, each at its own moment of a round."""
        from aednerf.media.video import read_video

        start_s = 0.0
        while True:
            count = 0
            for count, frame in enumerate(read_video(self.path, start_s=start_s), start=1):  # noqa: B007
                yield cover(frame, self.width, self.height)
            if count == 0:
                raise InputError(f"The background video {self.path} has no frames. Choose another file.")
            # A round seldom is a whole number of pictures: the next one begins by what this one was too long, or short.
            # Where the file claims to last longer than that explains (its sound may), rounds begin at their beginning.
            over_s = start_s + count / FPS - self.duration_s
            start_s = over_s if abs(over_s) <= 0.55 / FPS else 0.0


def parse_background(spec: str | Path | Picture, width: int, height: int, plate: Picture) -> Background:
    """Read a background as users write it.

    Args:
        spec: `plate`, `transparent`, `#rrggbb`, the path of a picture or of a video (looped), or a picture [h, w, 3].
        width: of the output, pixels.
        height: of the output, pixels.
        plate: [h, w, 3] the recording's clean plate.
    Raises:
        InputError: it is none of these, or the file cannot be read.
    """
    if isinstance(spec, np.ndarray):
        return Still(cover(spec, width, height))
    text = str(spec)
    if text == "transparent":
        return Still(None)
    if text == "plate":
        return Still(cover(plate, width, height))
    if re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        colour = np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)], np.uint8)
        return Still(np.broadcast_to(colour, (height, width, 3)).copy())
    path = Path(spec)
    if not path.is_file():
        raise InputError(f"Background {text!r} is no such file. Expected {_FORMS}.")
    if path.suffix.lower() in _IMAGE_SUFFIXES:
        from aednerf.media.image import read_image

        return Still(cover(_opaque(read_image(path)), width, height))
    from aednerf.media.video import probe

    info = probe(path)  # a file that is no video is refused now, not when the first frame is drawn
    return LoopedVideo(path, width, height, info.duration_s)


def cover(picture: Picture, width: int, height: int) -> Picture:
    """Scale a picture so that it fills width x height, and cut off what stands over, alike on both sides."""
    scale = max(width / picture.shape[1], height / picture.shape[0])
    if picture.shape[:2] == (height, width):
        return picture
    size = max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale))
    scaled = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width], dtype=np.uint8)


def composite(rgba: Tensor, background: Picture | None) -> Picture:
    """Lay a premultiplied picture over a background and return it as bytes.

    Args:
        rgba: [H, W, 4] float, premultiplied, in [0, 1].
        background: [H, W, 3] uint8; None keeps the transparency.
    Returns:
        [H, W, 4] uint8, premultiplied; opaque where there is a background.
    """
    if background is not None:
        behind = torch.from_numpy(background).to(rgba.device, torch.float32) / 255.0
        colour = rgba[..., :3] + (1.0 - rgba[..., 3:]) * behind
        rgba = torch.cat([colour, torch.ones_like(rgba[..., 3:])], dim=-1)
    return (rgba.clamp(0.0, 1.0) * 255.0 + 0.5).to(torch.uint8).cpu().numpy()


def enlarge(picture: Picture, zoom: float) -> Picture:
    """Scale a picture [H, W, 3] about its middle and keep its size; what is missing at the rim repeats the edge."""
    height, width = picture.shape[:2]
    matrix = np.array([[zoom, 0.0, (1 - zoom) * (width - 1) / 2], [0.0, zoom, (1 - zoom) * (height - 1) / 2]])
    scaled = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(scaled, np.uint8)


def _opaque(picture: Picture) -> Picture:
    """Lay a picture with straight alpha over black."""
    if picture.shape[2] == 3:
        return picture
    return (picture[..., :3].astype(np.uint16) * picture[..., 3:] // 255).astype(np.uint8)
