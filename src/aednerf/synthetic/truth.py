"""The truth of a performance before a camera, as `capture.truth` keeps it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aednerf.capture.truth import Truth
from aednerf.core.records import Camera
from aednerf.face.model import IBUG68_VERTICES, PersonPoints
from aednerf.synthetic.performance import Performance


def truth_of(performance: Performance, face: PersonPoints, camera: Camera) -> Truth:
    """Collect what a performance shows to a camera."""
    motion, (mean_rotation, mean_translation) = performance.motion, performance.mean_pose
    return Truth(
        motion.rotation, motion.translation, motion.expression, performance.breath,
        project_face(face.pick(np.array(IBUG68_VERTICES)), performance, camera),
        np.array([camera.focal_px, camera.cx, camera.cy], np.float32), mean_rotation, mean_translation,
        performance.phonemes,
    )  # fmt: skip


def project_face(points: PersonPoints, performance: Performance, camera: Camera) -> NDArray[np.float32]:
    """Return [T, P, 2] in pixels: points of the face as they follow a performance."""
    pixels = []
    for first in range(0, len(performance), 100):  # a hundred frames at a time: memory stays small
        part = performance.motion[first : first + 100]
        placed = points.at(part.expression) @ np.swapaxes(part.rotation, 1, 2) + part.translation[:, None]
        pixels.append(camera.project(placed).astype(np.float32))
    return np.concatenate(pixels)
