"""Where an avatar is seen from, before what, and how large."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aednerf.avatar.background import Background, Still, composite, cover, enlarge, parse_background
from aednerf.avatar.bundle import Bundle
from aednerf.avatar.camera import CameraPath, KeyedPath, View, parse_camera
from aednerf.avatar.framing import CropSpec, framed
from aednerf.avatar.layers import layers_of, parse_layers
from aednerf.avatar.paste import NOTICE, Surroundings
from aednerf.avatar.stereo import Eye, baseline_m, eyes
from aednerf.core.errors import InputError
from aednerf.core.records import Camera

Draw = Callable[[Camera, NDArray[np.float32] | None], Tensor]
"""(camera, view [3, 4] or None) -> premultiplied RGBA [H, W, 4] of the person."""


@dataclass(frozen=True)
class Scene:
    """Camera, background and size of a rendering."""

    camera: Camera
    """The recording's camera, cropped and at the size of the output, or of one eye's half of it."""

    path: CameraPath
    background: Background
    centre: NDArray[np.float32]
    """[3] what the user's camera turns about: the mean head position in the recording's camera space."""

    is_plate: bool = False
    """Whether the background is the recording's own, which is enlarged with the person."""

    baseline_m: float = 0.0
    """Distance of two eyes whose pictures stand side by side; 0 is one picture."""

    surroundings: Surroundings | None = None
    """The recording around the picture; it is then also the background."""

    layers: tuple[str, ...] = ()
    """What is made of the head beside the picture: of `layers.LAYERS`."""

    @staticmethod
    def of(
        bundle: Bundle, camera: str | Path | View | CameraPath, background: str | Path | NDArray[np.uint8],
        size: int | None, crop: CropSpec | None = None, stereo_mm: float | None = None,
        aov: str | Iterable[str] | None = None, paste_back: str | Path | None = None,
    ) -> Scene:  # fmt: skip
        """Read a scene as users write it.

        Args:
            bundle: The avatar's.
            camera: See `camera.parse_camera`.
            background: See `background.parse_background`.
            size: Width of the output in pixels, even; None keeps the recording's.
            crop: The part of the recording's picture to show, see `framing.framed`; None is all of it.
            stereo_mm: Distance of two eyes, millimetres; None is one picture.
            aov: Layers to make beside the picture, see `layers.parse_layers`.
            paste_back: The recording to put the picture back into; goes with a camera without zoom alone.
        Raises:
            InputError: one of them is not valid.
        """
        path = parse_camera(camera)
        if paste_back is not None:
            others = (size, crop, stereo_mm, aov)
            if any(other is not None for other in others) or str(background) != "plate" or _zooms(path):
                raise InputError(
                    "--paste-back keeps the recording's size, crop, zoom and background: it goes without --size, "
                    "--crop, --stereo, --aov, --background and zoom. Leave these out."
                )
            around = Surroundings.of(bundle, paste_back)
            square = bundle.camera.resized(around.place.size, around.place.size)
            return Scene(square, path, around, bundle.translation, surroundings=around)
        plate = cover(bundle.background, bundle.camera.width, bundle.camera.height)
        base, plate = framed(bundle.camera, plate, bundle.translation, crop, size)
        behind = parse_background(background, base.width, base.height, plate)
        is_plate = isinstance(background, str) and background == "plate"
        return Scene(base, path, behind, bundle.translation, is_plate, baseline_m(stereo_mm), layers=parse_layers(aov))

    @property
    def width(self) -> int:
        """Width of the output in pixels."""
        if self.surroundings is not None:
            return self.surroundings.width
        return self.camera.width * (2 if self.baseline_m else 1)

    @property
    def height(self) -> int:
        """Height of the output in pixels."""
        return self.camera.height if self.surroundings is None else self.surroundings.height

    @property
    def notice(self) -> str:
        """What is to be said of the pictures; empty where there is nothing special."""
        return "" if self.surroundings is None else NOTICE

    @property
    def is_transparent(self) -> bool:
        """Whether there is nothing behind the person."""
        return isinstance(self.background, Still) and self.background.picture is None

    def picture(self, time_s: float, behind: NDArray[np.uint8] | None, draw: Draw) -> NDArray[np.uint8]:
        """Return the finished picture [H, W, 4] of one moment.

        Args:
            time_s: From the start of the speech.
            behind: [H, W, 3] the background at that moment, of each eye; None is transparent.
            draw: What draws the person.
        """
        view = self.path.at(time_s)
        if self.surroundings is not None and behind is not None:
            square = composite(draw(self.camera, view.transform(self.centre)), self.surroundings.plate)
            return self.surroundings.around(square[..., :3], behind)
        if self.is_plate and behind is not None and view.zoom != 1.0:
            behind = enlarge(behind, view.zoom)
        pair = [composite(draw(camera, motion), behind) for camera, motion in self._eyes(view)]
        return np.concatenate(pair, axis=1)

    def measure(self, time_s: float, surface: Draw) -> dict[str, NDArray[np.float32]]:
        """Return the layers of one moment.

        Args:
            time_s: From the start of the speech.
            surface: What draws where the head's surface is, see `AvatarModel.surface`.
        """
        pair = [layers_of(surface(*eye), self.layers) for eye in self._eyes(self.path.at(time_s))]
        return {name: np.concatenate([found[name] for found in pair], axis=1) for name in self.layers}

    def _eyes(self, view: View) -> list[Eye]:
        return eyes(self.camera.zoomed(view.zoom), view.transform(self.centre), self.centre, self.baseline_m)


def _zooms(path: CameraPath) -> bool:
    return isinstance(path, KeyedPath) and any(view.zoom != 1.0 for view in path.views)
