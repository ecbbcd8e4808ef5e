"""Held-out views: what unseen cameras would have recorded, as pictures with straight alpha, never trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.files import read_json, write_json
from aednerf.media.image import read_image, write_image
from aednerf.synthetic.moment import Shot

VIEWS_NAME = "views.json"
EVERY, FIRST = 25, 12
"""Which moments are seen: one a second, from the middle of the first."""

CAMERAS: tuple[tuple[str, float, float], ...] = (
    ("yaw+15", 15.0, 0.0), ("yaw-15", -15.0, 0.0), ("yaw+30", 30.0, 0.0), ("yaw-30", -30.0, 0.0),
    ("pitch+15", 0.0, 15.0), ("pitch-15", 0.0, -15.0),
)  # fmt: skip
"""Name, yaw (to the person's left) and pitch (up) in degrees of each camera, about the mean head."""


@dataclass(frozen=True)
class HeldOutView:
    """One unseen camera."""

    name: str
    yaw_deg: float
    pitch_deg: float
    motion: NDArray[np.float32]
    """[3, 4]: moves points from the recording's camera space into this camera's."""


@dataclass(frozen=True)
class HeldOutViews:
    """All unseen cameras of a synthetic capture, and the frames whose moments they saw."""

    folder: Path
    frames: NDArray[np.int64]
    views: tuple[HeldOutView, ...]

    @staticmethod
    def load(folder: str | Path) -> HeldOutViews:
        """Read a capture's `truth/views`.

        Raises:
            InputError: it is missing or damaged.
        """
        folder = Path(folder)
        value = read_json(folder / VIEWS_NAME)
        try:
            views = tuple(
                HeldOutView(v["name"], v["yaw_deg"], v["pitch_deg"], np.array(v["motion"], np.float32).reshape(3, 4))
                for v in value["views"]
            )
            return HeldOutViews(folder, np.array(value["frames"], np.int64), views)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{folder / VIEWS_NAME} is damaged ({error}). Synthesize the capture again.") from None

    def save(self) -> None:
        """Write views.json, atomically."""
        views = [
            {"name": v.name, "yaw_deg": v.yaw_deg, "pitch_deg": v.pitch_deg, "motion": v.motion.tolist()}
            for v in self.views
        ]
        write_json(self.folder / VIEWS_NAME, {"frames": self.frames.tolist(), "views": views})

    def path(self, view: HeldOutView, frame: int) -> Path:
        """Return where the picture of a frame's moment from a camera lies."""
        return self.folder / view.name / f"{frame:05}.png"

    def image(self, view: HeldOutView, frame: int) -> NDArray[np.uint8]:
        """Return the picture, uint8 [H, W, 4] with straight alpha."""
        return read_image(self.path(view, frame))

    def write(self, view: HeldOutView, frame: int, shot: Shot) -> None:
        """Write the picture, atomically."""
        path = self.path(view, frame)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, np.dstack([shot.foreground, shot.alpha]))


def held_out_frames(n_frames: int) -> NDArray[np.int64]:
    """Return the frames whose moments the unseen cameras see.

    >>> held_out_frames(70).tolist()
    [12, 37, 62]
    """
    return np.arange(min(FIRST, n_frames - 1), n_frames, EVERY)
