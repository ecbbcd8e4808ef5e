"""The face model's surface as a prior of shape: solid right under the skin, empty right before it.

One camera sees depth only by the head's turns, and what it never sees from the side can be anywhere. The mesh that was
fitted to the person says where the face is. Only skin that expressions move counts, between chin and brows and not
turned away from the front: there no hair lies, and it is no part of the neck.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aednerf.capture.face_table import FacePart, FaceTable
from aednerf.core.units import HEAD_BOX_HALF_M

_LEAST_MOTION_M = 0.002
"""Skin that some coefficient at 1 moves at least so far belongs to the face."""
_STRONG_MOTION_M = 0.005
"""Skin of the front that is moved so far reaches from the chin to the brows."""
_FRONT_M = 0.05
"""How far behind its foremost point the front of the face reaches."""
_LEAST_REACH_M = 0.001
_DEPTH_M = 0.08
"""How far behind its foremost point the face reaches at all: not to the ears."""
_SPACING_M = 0.004
"""Points lie no closer: the table is densest at lips and lids."""
_LEAST_FORWARD = 0.2
"""Normals that point less forward than this belong to the sides."""
_NEIGHBOURS = 10
_BEHIND_M = 0.08
"""The head's middle lies so far behind the face's: normals point away from it."""

BEFORE_M = (0.0025, 0.006)
"""Between these distances before the skin nothing should be."""
UNDER_M = (0.002, 0.004)
"""Between these depths under the skin the head should be opaque."""
_ABOVE_CHIN_M = 0.035
_CORE_SHARES = (0.15, 0.2, 0.25)
"""The head's core lies so far between its skin and its middle: some 12 to 25 mm under the skin."""
_CLEAR_SHARE = 0.75
"""How far from all skin the ends of both reaches must be, for their length: not in a fold, not in a thin wing."""


@dataclass(frozen=True)
class FaceSurface:
    """P points of a person's skin and how expressions move them, in the head box's units."""

    points: Tensor
    """[P, 3]."""
    normals: Tensor
    """[P, 3] outward, of unit length."""
    deltas: Tensor
    """[52, P, 3]."""
    reach: Tensor
    """[52] how far each coefficient at 1 moves any skin at most, in metres; at least a millimetre."""
    core: Tensor
    """[Q, 3] points well inside the head, under all its skin above the chin."""

    @staticmethod
    def of(table: FaceTable, device: torch.device) -> FaceSurface:
        """Take the moving skin of a face table."""
        skin = table.part == FacePart.SKIN
        points, deltas = table.points[skin], table.deltas[:, skin].astype(np.float32)
        moved = np.linalg.norm(deltas, axis=-1)
        face, reach = is_face(points, moved.max(0)), moved.max(1, initial=_LEAST_REACH_M)
        points, deltas = points[face], deltas[:, face]
        normals = outward_normals(points)
        clear = _is_clear(points, BEFORE_M[1] * normals) & _is_clear(points, -UNDER_M[1] * normals)
        clear &= (normals[:, 2] > _LEAST_FORWARD) & _is_spaced(points)
        tensors = (points[clear] / HEAD_BOX_HALF_M, normals[clear], deltas[:, clear] / HEAD_BOX_HALF_M)
        tensors = (*tensors, reach, _core(table.points[skin], face) / HEAD_BOX_HALF_M)
        return FaceSurface(*(torch.as_tensor(each, dtype=torch.float32, device=device) for each in tensors))

    def draw_core(self, n_frames: int, n: int) -> Tensor:
        """Draw points [B, n, 3] inside the head; none where there is no face."""
        n = n if len(self.core) else 0
        return self.core[torch.randint(0, max(1, len(self.core)), (n_frames, n), device=self.core.device)]

    def draw(self, expression: Tensor, n: int) -> tuple[Tensor, Tensor]:
        """Draw points [B, n, 3] before the skin and under it, in frames of the given expressions [B, 52].

        Without a face there are none: [B, 0, 3].
        """
        n = n if len(self.points) else 0
        chosen = torch.randint(0, max(1, len(self.points)), (n,), device=self.points.device)
        skin = self.points[chosen] + torch.einsum("be,epc->bpc", expression, self.deltas[:, chosen])
        outward = self.normals[chosen]
        before, under = (_between(limits, n, skin) * outward for limits in (BEFORE_M, UNDER_M))
        return skin + before, skin - under


def _between(limits_m: tuple[float, float], n: int, like: Tensor) -> Tensor:
    low, high = (limit / HEAD_BOX_HALF_M for limit in limits_m)
    return low + (high - low) * torch.rand(len(like), n, 1, device=like.device)


def is_face(points: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Tell which points [P, 3] of the skin are the face's, from how far expressions move them at most [P]."""
    if not (motion > _STRONG_MOTION_M).any():
        return np.zeros(len(points), bool)
    strong = points[(motion > _STRONG_MOTION_M) & (points[:, 2] > points[:, 2].max() - _FRONT_M)]
    low, high = strong[:, 1].min(), strong[:, 1].max()
    is_forward = points[:, 2] > points[:, 2].max() - _DEPTH_M
    return is_forward & (motion > _LEAST_MOTION_M) & (points[:, 1] > low) & (points[:, 1] < high)


def _core(points: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Return points [Q, 3] well inside the head, from its skin [P, 3] and which of it is the face's."""
    if not face.any():
        return np.zeros((0, 3))
    low, middle = points[face, 1].min(), points[face].mean(0) - (0.0, 0.0, _BEHIND_M)
    above = points[points[:, 1] > low + _ABOVE_CHIN_M]
    inward = middle - above
    return np.concatenate([above + share * inward for share in _CORE_SHARES])


def _is_spaced(points: np.ndarray) -> np.ndarray:
    """Choose points [P, 3], one after the other, that keep their distance from all those chosen before."""
    chosen = np.zeros(len(points), bool)
    for index, point in enumerate(points):
        chosen[index] = not (np.linalg.norm(points[chosen] - point, axis=1) < _SPACING_M).any()
    return chosen


def _is_clear(points: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Tell for which points [P, 3] the end of `reach` [P, 3] from them is far from all of them."""
    if not len(points):
        return np.zeros(0, bool)
    ends = points + reach
    nearest = np.linalg.norm(ends[:, None] - points[None], axis=-1).min(1)
    return nearest > _CLEAR_SHARE * np.linalg.norm(reach, axis=1)


def outward_normals(points: np.ndarray) -> np.ndarray:
    """Return the outward normals [P, 3] of a surface given by points [P, 3], from each point's neighbours."""
    if not len(points):
        return np.zeros((0, 3))
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    nearest = points[np.argsort(distances, axis=1)[:, :_NEIGHBOURS]]
    centred = nearest - nearest.mean(1, keepdims=True)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    normals = axes[:, 2]
    outward = points - (points.mean(0) - (0.0, 0.0, _BEHIND_M))
    return normals * np.sign((normals * outward).sum(1, keepdims=True))
