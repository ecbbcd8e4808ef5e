"""Put the rendered square back into the recording it was cropped from: the surroundings are the recording's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aednerf.avatar.bundle import Bundle, Place
from aednerf.core.errors import InputError
from aednerf.core.units import FPS

Picture = NDArray[np.uint8]

NOTICE = "Only the square around the person is generated; what surrounds it is the recording itself."

_BLEND_SHARE = 0.08
"""Width of the border over which the square passes into the recording, as a share of its edge."""


@dataclass(frozen=True)
class Surroundings:
    """The original video around the square that the avatar was learned from, over and over; a `Background`."""

    video: Path
    place: Place
    plate: Picture
    """[place.size, place.size, 3] the recording's clean background inside the square."""

    @staticmethod
    def of(bundle: Bundle, video: str | Path) -> Surroundings:
        """Open the recording of an avatar.

        Raises:
            InputError: the avatar does not know where its square was, or the video cannot be its recording.
        """
        from aednerf.media.image import resize
        from aednerf.media.video import probe

        place = bundle.place
        if place is None:
            raise InputError(
                "This avatar does not say which square of its recording it shows: it was made before that was kept. "
                "Train it again from its capture, or leave out --paste-back."
            )
        info = probe(video)
        if (info.width, info.height) != (place.width, place.height):
            raise InputError(
                f"{video} has pictures of {info.width}x{info.height}; the avatar was learned from {place.file}, "
                f"{place.width}x{place.height}. Give that recording, or a copy of its size."
            )
        return Surroundings(Path(video), place, np.asarray(resize(bundle.background, place.size, place.size), np.uint8))

    @property
    def width(self) -> int:
        """Width of the output: the video's, made even."""
        return self.place.width // 2 * 2

    @property
    def height(self) -> int:
        """Height of the output: the video's, made even."""
        return self.place.height // 2 * 2

    def pictures(self) -> Iterator[Picture | None]:
        """Yield whole frames of the stretch that the avatar's square is from, at 25 fps, over and over."""
        from aednerf.media.video import read_video

        first_s, length_s = self.place.first / FPS, (self.place.end - self.place.first) / FPS
        while True:
            for frame in read_video(self.video, start_s=first_s, max_s=length_s):
                yield frame[: self.height, : self.width]

    def around(self, square: Picture, whole: Picture) -> Picture:
        """Return a frame [height, width, 4] of the video with a square [place.size, place.size, 3] put in its place."""
        p = self.place
        picture = whole.copy()
        inside = picture[p.y : p.y + p.size, p.x : p.x + p.size]
        height, width = inside.shape[:2]  # one less where the video's last line was left out
        weight = self._weight[:height, :width]
        inside[:] = np.rint(weight * square[:height, :width] + (1 - weight) * inside).astype(np.uint8)
        return np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])

    @cached_property
    def _weight(self) -> NDArray[np.float32]:
        """[size, size, 1]: how much of the square is shown; it fades at those borders that lie inside the video."""
        p = self.place
        places = np.arange(p.size) + 0.5
        across = _fade(places, p.size, p.x > 0, p.x + p.size < p.width)
        down = _fade(places, p.size, p.y > 0, p.y + p.size < p.height)
        return (down[:, None] * across)[..., None].astype(np.float32)


def _fade(places: NDArray[np.floating], size: int, begins: bool, ends: bool) -> NDArray[np.floating]:
    """Return a smooth rise from 0 to 1 at those ends of a stretch that are named."""
    ramps = [distance / (_BLEND_SHARE * size) for distance, asked in ((places, begins), (size - places, ends)) if asked]
    t = np.clip(np.min([*ramps, np.ones(len(places))], axis=0), 0.0, 1.0)
    return t * t * (3 - 2 * t)
