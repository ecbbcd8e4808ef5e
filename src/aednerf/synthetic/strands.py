"""Strands of hair as ribbons: the record, and the vertices that the rasteriser draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Strands:
    """S strands of K points each."""

    points: Array
    """[S, K, 3] in metres, root first."""

    width: Array
    """[S, K] in metres."""

    shade: Array
    """[S] a random number in [0, 1]: the strand's own tone."""

    occlusion: Array
    """[S, K] how much of the surroundings' light reaches it, in [0, 1]."""

    outward: Array
    """[S, K, 3] unit normals of the hair's volume."""

    def thinned(self, step: int, wider: float) -> Strands:
        """Keep one strand in `step`, so many times as wide."""
        k = slice(None, None, step)
        return Strands(self.points[k], self.width[k] * wider, self.shade[k], self.occlusion[k], self.outward[k])

    def vertices(self) -> Array:
        """Return [S * K * 2, 12]: position, tangent, outward, signed half width, shade, occlusion."""
        tangent = np.gradient(self.points, axis=1)
        tangent /= np.maximum(np.linalg.norm(tangent, axis=-1, keepdims=True), 1e-9)
        shade = np.broadcast_to(self.shade[:, None], self.width.shape)
        one = np.concatenate(
            [
                self.points,
                tangent,
                self.outward,
                self.width[..., None] / 2,
                shade[..., None],
                self.occlusion[..., None],
            ],
            -1,
        )
        both = np.repeat(one[:, :, None], 2, axis=2)
        both[:, :, 1, 9] *= -1
        return both.reshape(-1, 12).astype(np.float32)

    def triangles(self) -> NDArray[np.int32]:
        """Return [S * (K - 1) * 2, 3] indices of `vertices`."""
        count, length = self.width.shape
        first = (np.arange(count)[:, None] * length + np.arange(length - 1)) * 2
        quads = np.stack([first, first + 1, first + 2, first + 1, first + 3, first + 2], axis=-1)
        return quads.reshape(-1, 3).astype(np.int32)
