"""How much of the surroundings' light reaches a surface: baked over the body, computed at each moment in the mouth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aednerf.face.model import IBUG68_VERTICES

Array = NDArray[np.floating]


def directions(count: int) -> Array:
    """Return [count, 3] unit vectors spread over the sphere (a Fibonacci spiral)."""
    k = np.arange(count) + 0.5
    y, turn = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    r = np.sqrt(1 - y * y)
    return np.stack([r * np.cos(turn), y, r * np.sin(turn)], -1).astype(np.float32)


def towards(direction: Array, centre: Array, radius: float) -> Array:
    """Return the [4, 4] matrix that looks along -`direction` at a ball, parallel: world to the clip cube."""
    side = np.cross([0.0, 1.0, 0.02], direction)
    side /= np.linalg.norm(side)
    turn = np.stack([side, np.cross(direction, side), -np.asarray(direction)])
    matrix = np.eye(4)
    matrix[:3, :3] = turn / radius
    matrix[:3, 3] = -turn @ centre / radius
    return matrix.astype(np.float32)


def visible_in(depth: Array, matrix: Array, points: Array, bias: float) -> Array:
    """Return [N] in [0, 1]: which points a depth picture [S, S] (rows by clip y) sees, over 2 x 2 texels."""
    clip = points @ matrix[:3, :3].T + matrix[:3, 3]
    size = len(depth)
    at = (clip[:, :2] * 0.5 + 0.5) * size - 0.5
    base = np.clip(np.floor(at).astype(int), 0, size - 2)
    z = clip[:, 2] * 0.5 + 0.5 - bias
    return np.mean([depth[base[:, 1] + j, base[:, 0] + i] >= z for j in (0, 1) for i in (0, 1)], axis=0)


def through_the_lips(points: Array, face: Array) -> Array:
    """Return [N]: the share of a frontal sky seen from points inside the mouth through the lips' opening.

    The opening is taken as a window: from a point at depth d behind it, its height between angles a and b admits
    (sin b - sin a) / 2 of the light, and its width likewise (the form factor of a rectangle, separated).

    Args:
        points: [N, 3] in the head frame.
        face: [V, 3] the whole placed mesh.
    """
    marks = face[np.array(IBUG68_VERTICES)]
    upper, lower = marks[60:65], marks[[60, 67, 66, 65, 64]]
    order = np.argsort(upper[:, 0])
    x = points[:, 0]
    top = np.interp(x, upper[order, 0], upper[order, 1])
    bottom = np.interp(x, lower[order, 0], lower[order, 1])
    bottom = np.minimum(bottom, top)
    front = np.interp(x, upper[order, 0], (upper[order, 2] + lower[order, 2]) / 2)
    depth = np.maximum(front - points[:, 2], 0.0005)
    rise, fall = np.arctan2(top - points[:, 1], depth), np.arctan2(bottom - points[:, 1], depth)
    left, right = np.arctan2(upper[:, 0].max() - x, depth), np.arctan2(upper[:, 0].min() - x, depth)
    share = (np.sin(rise) - np.sin(fall)) * (np.sin(left) - np.sin(right)) / 4
    parted = np.clip((top - bottom - 0.0004) / 0.0022, 0, 1)  # lips that rest on each other let nothing in
    return (np.clip(share, 0, 1) ** 0.68 * parted).astype(np.float32)
