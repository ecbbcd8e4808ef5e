"""Pictures to look at: the real recording beside ours, as a video and as a sheet of examples."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from aednerf.capture.capture import Capture
from aednerf.core.units import SAMPLES_PER_FRAME
from aednerf.evaluation.protocols import RECONSTRUCTION
from aednerf.evaluation.regions import Box, eye_boxes, mouth_box
from aednerf.media.image import resize, write_image
from aednerf.media.video import VideoWriter

Picture = NDArray[np.uint8]

REAL = "real"
DIFFERENCE = "difference x4"
AMPLIFICATION = 4
MAX_VIDEO_WIDTH = 2560
BAR_PX = 24
TILE_PX = 192
CROP_WIDTH_PX, CROP_HEIGHT_PX = 192, 96


class Comparison:
    """A video of the test frames: real, each row's, and the amplified difference of the reconstruction.

    Args:
        path: The mp4 to write.
        names: The rows, from left to right.
        capture: The recording.
        with_audio: Whether the frames follow each other closely enough to be heard.
    """

    def __init__(self, path: Path, names: list[str], capture: Capture, with_audio: bool) -> None:
        self._names = names
        n_columns = len(names) + 2
        self._side = min(capture.size, MAX_VIDEO_WIDTH // n_columns) // 2 * 2
        sounds = [capture.audio(i) if with_audio else None for i in range(len(capture.clips))]
        self._sounds = sounds
        self._capture = capture
        self._with_audio = any(sound is not None for sound in sounds)
        size = n_columns * self._side, self._side + BAR_PX
        self._writer = VideoWriter(path, *size, with_audio=self._with_audio, metadata={"comment": "real | synthetic"})

    def add(self, frame: int, real: Picture, pictures: dict[str, Picture]) -> None:
        """Add a frame of the capture and what the rows made of it; a row that lacks it is shown black."""
        ours = [pictures.get(name, np.zeros_like(real)) for name in self._names]
        columns = [real, *ours, difference(pictures[RECONSTRUCTION], real)]
        tiles = [
            titled(resize(picture, self._side, self._side), name)
            for picture, name in zip(columns, [REAL, *self._names, DIFFERENCE], strict=True)
        ]
        self._writer.write(np.concatenate(tiles, axis=1))
        if self._with_audio:
            self._writer.write_audio(self._sound(frame))

    def _sound(self, frame: int) -> NDArray[np.float32]:
        index = self._capture.clip_of(frame)
        sound, first = self._sounds[index], (frame - self._capture.clips[index].first) * SAMPLES_PER_FRAME
        piece = np.zeros(0, np.float32) if sound is None else sound[first : first + SAMPLES_PER_FRAME]
        return np.pad(piece, (0, SAMPLES_PER_FRAME - len(piece)))

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)


class Sheet:
    """A picture of some examples: one line each, with the mouth and the eyes enlarged below every picture."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._lines: list[Picture] = []

    def add(self, frame: int, real: Picture, pictures: dict[str, Picture], landmarks_px: NDArray[np.float32]) -> None:
        """Add a frame of the capture, what the rows made of it, and its tracked landmarks [478, 2]."""
        left, right = eye_boxes(landmarks_px)
        eyes = Box(min(left.left, right.left), min(left.top, right.top), max(left.right, right.right),
                   max(left.bottom, right.bottom))  # fmt: skip
        columns = {REAL: real, **{name: pictures.get(name, np.zeros_like(real)) for name in self._names}}
        columns[DIFFERENCE] = difference(pictures[RECONSTRUCTION], real)
        tiles = []
        for name, picture in columns.items():
            title = f"{name} ({frame})" if name == REAL else name
            crops = [_crop(picture, box) for box in (mouth_box(landmarks_px), eyes)]
            tiles.append(np.concatenate([titled(resize(picture, TILE_PX, TILE_PX), title), *crops]))
        self._lines.append(np.concatenate(tiles, axis=1))

    def save(self, path: Path) -> None:
        """Write the sheet as PNG."""
        write_image(path, np.concatenate(self._lines))


class ViewExample(NamedTuple):
    """A picture of a camera beside what it truly saw."""

    camera: str
    frame: int
    real: Picture
    ours: Picture
    head: NDArray[np.bool_]
    """[H, W] what counts."""

    psnr: float
    """dB in the head."""


class ViewSheet:
    """A picture with one line for each camera: true, ours and difference of its middle moment and of its worst."""

    def __init__(self) -> None:
        self._middle: dict[str, ViewExample] = {}
        self._worst: dict[str, ViewExample] = {}

    def add(self, example: ViewExample, is_middle: bool) -> None:
        """Consider a picture; only the middle and the so far worst one of each camera are kept."""
        name = example.camera
        if is_middle:
            self._middle[name] = example
        if name not in self._worst or example.psnr < self._worst[name].psnr:
            self._worst[name] = example

    def save(self, path: Path) -> None:
        """Write the sheet as PNG."""
        lines = [
            np.concatenate([*_view_tiles(self._middle[name], ""), *_view_tiles(worst, "worst ")], axis=1)
            for name, worst in self._worst.items()
        ]
        write_image(path, np.concatenate(lines))


def _view_tiles(example: ViewExample, word: str) -> list[Picture]:
    outside = np.full_like(example.real, 128)
    inside = np.where(example.head[..., None], difference(example.ours, example.real), outside)
    titles = f"{word}{example.camera} ({example.frame})", f"ours {example.psnr:.1f} dB", DIFFERENCE
    pictures = example.real, example.ours, inside
    return [titled(resize(picture, TILE_PX, TILE_PX), title) for picture, title in zip(pictures, titles, strict=True)]


def difference(ours: Picture, real: Picture) -> Picture:
    """Return gray plus the amplified difference, so that its sign and colour can be seen."""
    return np.clip(128 + AMPLIFICATION * (ours.astype(np.int16) - real), 0, 255).astype(np.uint8)


def _crop(picture: Picture, box: Box) -> Picture:
    """Return a box of a picture in the middle of a crop tile, as large as it fits."""
    inside = box.inside(picture.shape[1], picture.shape[0]).cut(picture)
    tile = np.zeros((CROP_HEIGHT_PX, CROP_WIDTH_PX, 3), np.uint8)
    if 0 in inside.shape:
        return tile
    scale = min(CROP_WIDTH_PX / inside.shape[1], CROP_HEIGHT_PX / inside.shape[0])
    width, height = max(1, int(inside.shape[1] * scale)), max(1, int(inside.shape[0] * scale))
    left, top = (CROP_WIDTH_PX - width) // 2, (CROP_HEIGHT_PX - height) // 2
    tile[top : top + height, left : left + width] = resize(inside, width, height)
    return tile


def titled(picture: Picture, title: str) -> Picture:
    """Return a picture below a bar with its title, the letters as large as they fit."""
    bar = np.zeros((BAR_PX, picture.shape[1], 3), np.uint8)
    (width, _), _ = cv2.getTextSize(title, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
    scale = 0.5 * min(1.0, (picture.shape[1] - 8) / width)
    cv2.putText(bar, title, (4, BAR_PX - 7), cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), 1, cv2.LINE_AA)
    return np.concatenate([bar, picture])
