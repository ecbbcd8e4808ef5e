"""Held-out views as they are made: which cameras see which moments, and their files (`capture.held_out` reads them)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aednerf.capture.held_out import VIEWS_NAME, HeldOutView, HeldOutViews
from aednerf.core.files import write_json
from aednerf.media.image import write_image
from aednerf.synthetic.moment import Shot

EVERY, FIRST = 25, 12
"""Which moments are seen: one a second, from the middle of the first."""

CAMERAS: tuple[tuple[str, float, float], ...] = (
    ("yaw+15", 15.0, 0.0), ("yaw-15", -15.0, 0.0), ("yaw+30", 30.0, 0.0), ("yaw-30", -30.0, 0.0),
    ("pitch+15", 0.0, 15.0), ("pitch-15", 0.0, -15.0),
)  # fmt: skip
"""Name, yaw (to the person's left) and pitch (up) in degrees of each camera, about the mean head."""


def held_out_frames(n_frames: int) -> NDArray[np.int64]:
    """Return the frames whose moments the unseen cameras see.

    >>> held_out_frames(70).tolist()
    [12, 37, 62]
    """
    return np.arange(min(FIRST, n_frames - 1), n_frames, EVERY)


def write_view(views: HeldOutViews, view: HeldOutView, frame: int, shot: Shot) -> None:
    """Write a picture and its part labels, atomically; where the picture is there, both are."""
    path = views.path(view, frame)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(views.parts_path(view, frame), shot.parts)
    write_image(path, np.dstack([shot.foreground, shot.alpha]))


def save_views(views: HeldOutViews) -> None:
    """Write views.json, atomically."""
    cameras = [
        {"name": v.name, "yaw_deg": v.yaw_deg, "pitch_deg": v.pitch_deg, "motion": v.motion.tolist()}
        for v in views.views
    ]
    write_json(views.folder / VIEWS_NAME, {"frames": views.frames.tolist(), "views": cameras})
