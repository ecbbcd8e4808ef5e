"""What an expression moves the skin by, taken off flow tracks: else a face that moves would turn its head.

The points of flow tracks lie on forehead, nose and temples, and go with brows and cheeks. A clip in which somebody is
happy or disgusted throughout was tracked some tenths of a degree away from its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import KDTree

from aednerf.core.records import Camera
from aednerf.face.bundle import Tracks
from aednerf.face.pose import Array, Poses

_NEIGHBOURS = 12
_DEEPEST_M = 0.012
"""Of the vertices that a pixel lies among, those this far behind the foremost one are hidden by it."""

_FARTHEST_PX = 5.0
"""Points further from any vertex than this, in pixels at 512 wide, are hair or ears, and stay."""

_CLOSENESS_PX2 = 0.3
"""Added to squared distances, so that no vertex weighs without bounds."""


@dataclass(frozen=True)
class MovingSkin:
    """The fitted skin of V vertices in the T frames of one camera."""

    neutral: Array
    """[V, 3] head frame, metres."""

    expressions: Array
    """[52, V, 3] how far each coefficient at 1 moves them, metres."""

    coefficients: Array
    """[T, 52]; NaN where there is no face."""

    poses: Poses
    """[T] at which the fit saw the face."""

    camera: Camera

    def stilled(self, tracks: Tracks) -> Tracks:
        """Return the tracks of points as a neutral face would show them under the same poses.

        Args:
            tracks: a track set whose points all are seen best in one frame, its key frame.
        """
        weights, nearest, is_skin = self._places(tracks)
        rest = np.einsum("pn,pnc->pc", weights, self.neutral[nearest])
        deltas = np.einsum("pn,kpnc->kpc", weights, self.expressions[:, nearest]) * is_skin[:, None]
        coefficients = np.nan_to_num(self.coefficients[tracks.frames])
        moved = rest + np.einsum("fk,kpc->fpc", coefficients, deltas, optimize=True)
        shift = self._project(moved, tracks.frames) - self._project(rest, tracks.frames)
        return replace(tracks, pixels=(tracks.pixels - shift).astype(np.float32))

    def _places(self, tracks: Tracks) -> tuple[Array, Array, Array]:
        """Tell among which vertices each point lies: weights [P, N], vertices [P, N], and which points are skin [P]."""
        key = int(np.isfinite(tracks.pixels[..., 0]).sum(1).argmax())
        frame, pixels = tracks.frames[key : key + 1], tracks.pixels[key]
        shown = self.neutral + np.tensordot(np.nan_to_num(self.coefficients[frame[0]]), self.expressions, 1)
        depth = (shown @ self.poses.rotation[frame[0]].T)[:, 2]
        distance, found = KDTree(self._project(shown, frame)[0]).query(np.nan_to_num(pixels), _NEIGHBOURS)
        nearest = np.asarray(found)
        is_seen = depth[nearest] > depth[nearest].max(1, keepdims=True) - _DEEPEST_M
        weights = is_seen / (distance**2 + _CLOSENESS_PX2)
        closest = np.where(is_seen, distance, np.inf).min(1) * (512 / self.camera.width)
        is_skin = np.isfinite(pixels).all(1) & (closest < _FARTHEST_PX)
        return weights / weights.sum(1, keepdims=True), nearest, is_skin

    def _project(self, points: Array, frames: Array) -> Array:
        """Project points [P, 3] or [N, P, 3] by the poses of N frames to pixels [N, P, 2]."""
        rotation, translation = self.poses.rotation[frames], self.poses.translation[frames]
        return self.camera.project(points @ np.swapaxes(rotation, -1, -2) + translation[:, None])
