"""The recording's camera, the default pose before it, and moves of the camera about the head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aednerf.core.records import Camera

Array = NDArray[np.floating]

FOCAL_AT_512_PX = 1200.0
REST_TRANSLATION = np.array([0.0, 0.006, -1.06], np.float32)
"""Where the head stands before the camera, facing it: with its hair it fills over half the picture's height."""


def recording_camera(size: int) -> Camera:
    """Return the camera of square recordings of `size` pixels."""
    return Camera(FOCAL_AT_512_PX * size / 512, size / 2, size / 2, size, size)


def orbit(centre: Array, yaw_deg: float, pitch_deg: float) -> Array:
    """Return [3, 4]: the motion of camera-space points that equals moving the camera about `centre` [3].

    Yaw > 0 moves the camera towards the person's left (the camera's right), pitch > 0 up.
    """
    yaw, pitch = np.radians([yaw_deg, pitch_deg])
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    turn = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    turn = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]]) @ turn
    return np.concatenate([turn, (centre - turn @ centre)[:, None]], axis=1).astype(np.float32)


def clip_matrix(camera: Camera, view: Array) -> Array:
    """Return [4, 4]: world (recording camera space), moved by `view` [3, 4], to the clip cube, rows running down."""
    near, far = 0.3, 2.5
    depth = [(far + near) / (near - far), 2 * far * near / (near - far)]
    projection = np.array([
        [2 * camera.focal_px / camera.width, 0, 1 - 2 * camera.cx / camera.width, 0],
        [0, -2 * camera.focal_px / camera.height, 1 - 2 * camera.cy / camera.height, 0],
        [0, 0, *depth],
        [0, 0, -1, 0],
    ])  # fmt: skip
    return (projection @ np.vstack([view, [0, 0, 0, 1]])).astype(np.float32)
