"""Where an avatar is seen from, before what, and how large."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aednerf.avatar.background import Background, Still, composite, enlarge, magnify, parse_background
from aednerf.avatar.bundle import Bundle
from aednerf.avatar.camera import CameraPath, View, parse_camera
from aednerf.core.errors import InputError
from aednerf.core.records import Camera

MIN_SIDE, MAX_SIDE = 16, 4096

Draw = Callable[[Camera, NDArray[np.float32] | None], Tensor]
"""(camera, view [3, 4] or None) -> premultiplied RGBA [H, W, 4] of the person."""


@dataclass(frozen=True)
class Scene:
    """Camera, background and size of a rendering."""

    camera: Camera
    """The recording's camera at the size of the output."""

    path: CameraPath
    background: Background
    centre: NDArray[np.float32]
    """[3] what the user's camera turns about: the mean head position in the recording's camera space."""

    is_plate: bool = False
    """Whether the background is the recording's own, which is enlarged with the person."""

    @staticmethod
    def of(
        bundle: Bundle, camera: str | Path | View | CameraPath, background: str | Path | NDArray[np.uint8],
        size: int | None,
    ) -> Scene:  # fmt: skip
        """Read a scene as users write it.

        Args:
            bundle: The avatar's.
            camera: See `camera.parse_camera`.
            background: See `background.parse_background`.
            size: Width of the output in pixels, even; None keeps the recording's.
        Raises:
            InputError: one of them is not valid.
        """
        base = bundle.camera
        if size is not None:
            if not MIN_SIDE <= size <= MAX_SIDE or size % 2:
                raise InputError(f"The size must be an even number in [{MIN_SIDE}, {MAX_SIDE}], got {size}.")
            base = base.resized(size, max(2, 2 * round(base.height * size / base.width / 2)))
        behind = parse_background(background, base.width, base.height, bundle.background)
        is_plate = isinstance(background, str) and background == "plate"
        return Scene(base, parse_camera(camera), behind, bundle.translation, is_plate)

    @property
    def is_transparent(self) -> bool:
        """Whether there is nothing behind the person."""
        return isinstance(self.background, Still) and self.background.picture is None

    def picture(self, time_s: float, behind: NDArray[np.uint8] | None, draw: Draw) -> NDArray[np.uint8]:
        """Return the finished picture [H, W, 4] of one moment.

        Args:
            time_s: From the start of the speech.
            behind: [H, W, 3] the background at that moment; None is transparent.
            draw: What draws the person.
        """
        view = self.path.at(time_s)
        transform = view.transform(self.centre)
        if view.zoom == 1.0:
            return composite(draw(self.camera, transform), behind)
        # Zoom is a larger rendering, cut to size: head and torso stay joined, whatever camera the torso follows.
        width, height = self.camera.width, self.camera.height
        larger = self.camera.resized(max(2, round(width * view.zoom)), max(2, round(height * view.zoom)))
        if self.is_plate and behind is not None:
            behind = enlarge(behind, view.zoom)
        return composite(magnify(draw(larger, transform), width, height), behind)
