"""Held-out views of a computer-generated capture: what cameras saw that are never trained on. Reading only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.files import read_json
from aednerf.media.image import read_image

VIEWS_FOLDER, VIEWS_NAME = "truth/views", "views.json"


@dataclass(frozen=True)
class HeldOutView:
    """One unseen camera."""

    name: str
    yaw_deg: float
    """> 0: the camera stands to the person's left."""

    pitch_deg: float
    """> 0: the camera stands higher."""

    motion: NDArray[np.float32]
    """[3, 4]: moves points from the recording's camera space into this camera's."""


@dataclass(frozen=True)
class HeldOutViews:
    """All unseen cameras of a synthetic capture, and the frames whose moments they saw."""

    folder: Path
    frames: NDArray[np.int64]
    views: tuple[HeldOutView, ...]

    @staticmethod
    def load(capture: str | Path) -> HeldOutViews:
        """Read the views of a capture.

        Args:
            capture: the capture's folder.

        Raises:
            InputError: it has none, or they are damaged.
        """
        folder = Path(capture) / VIEWS_FOLDER
        if not (folder / VIEWS_NAME).is_file():
            raise InputError(
                f"{capture} has no views of unseen cameras ({VIEWS_FOLDER}/{VIEWS_NAME}). Expected a capture that "
                "`aednerf synthesize` made from a script with `views = true`."
            )
        value = read_json(folder / VIEWS_NAME)
        try:
            views = tuple(
                HeldOutView(
                    str(v["name"]), float(v["yaw_deg"]), float(v["pitch_deg"]),
                    np.array(v["motion"], np.float32).reshape(3, 4),
                )
                for v in value["views"]
            )  # fmt: skip
            return HeldOutViews(folder, np.array(value["frames"], np.int64), views)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{folder / VIEWS_NAME} is damaged ({error}). Synthesize the capture again.") from None

    def path(self, view: HeldOutView, frame: int) -> Path:
        """Return where the picture of a frame's moment from a camera lies."""
        return self.folder / view.name / f"{frame:05}.png"

    def parts_path(self, view: HeldOutView, frame: int) -> Path:
        """Return where the part labels of that picture lie."""
        return self.folder / view.name / f"{frame:05}-parts.png"

    def image(self, view: HeldOutView, frame: int) -> NDArray[np.uint8]:
        """Return the picture, uint8 [H, W, 4] with straight alpha."""
        return read_image(self.path(view, frame))

    def parts(self, view: HeldOutView, frame: int) -> NDArray[np.uint8]:
        """Return the labels, uint8 [H, W]: 0 background, 1 head with hair, 2 neck, 3 torso."""
        return read_image(self.parts_path(view, frame))[..., 0]
