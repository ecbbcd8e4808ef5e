"""A pair of cameras for two eyes, side by side, that converge on the head."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.records import Camera

MAX_BASELINE_MM = 500.0


class Eye(NamedTuple):
    """One camera: its projection, and the motion [3, 4] of what it sees; None is none."""

    camera: Camera
    motion: NDArray[np.float32] | None


def baseline_m(millimetres: float | None) -> float:
    """Return the distance of the eyes in metres; None is 0, one eye.

    Raises:
        InputError: it is not above 0, or above `MAX_BASELINE_MM`.
    """
    if millimetres is None:
        return 0.0
    if not (math.isfinite(millimetres) and 0.0 < millimetres <= MAX_BASELINE_MM):
        raise InputError(
            f"The eyes of --stereo must be above 0 and at most {MAX_BASELINE_MM:g} mm apart, got {millimetres:g}. "
            "People's are 63."
        )
    return millimetres / 1000


def eyes(camera: Camera, motion: NDArray[np.float32] | None, centre: NDArray[np.float32], baseline: float) -> list[Eye]:
    """Return the cameras, from left to right; they look in parallel, and their pictures are shifted to converge.

    What lies as far away as `centre` appears at the same place in both pictures, without the vertical differences that
    cameras turned towards each other would have.

    Args:
        camera: The middle camera.
        motion: [3, 4] of what the middle camera sees; None is none.
        centre: [3] the point of convergence in the middle camera's space; a camera that orbits it leaves it there.
        baseline: Distance of the two, metres; 0 is the middle camera alone.
    """
    if baseline == 0.0:
        return [Eye(camera, motion)]
    pair = []
    for side in (-1, 1):  # the left eye stands at negative x, so that it sees everything moved to positive x
        aside = -side * baseline / 2
        moved = np.eye(3, 4, dtype=np.float32) if motion is None else motion.copy()
        moved[0, 3] += aside
        pair.append(Eye(replace(camera, cx=camera.cx + camera.focal_px * aside / float(centre[2])), moved))
    return pair
