"""The air before a head: where the face model says that nothing of a person can be, the field has no cells.

One camera that faces the person cannot tell a face from a mask that hovers before it, and a mask is learned first. So
whatever lies further before the skin than a face model errs, or a fringe reaches, is empty from the start. Of the sides
and the back nothing is said: hair may be anywhere there.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from aednerf.capture.face_table import FacePart, FaceTable
from aednerf.core.units import HEAD_BOX_HALF_M
from aednerf.training.surface import is_face, outward_normals

FACE_MARGIN_M = 0.006
"""So far before the face's skin, at its most forward, something may be: what the model errs, and flattened glasses."""
FRINGE_MARGIN_M = 0.01
"""The same above the face, where hair may lie on the skin."""
_LEAST_FORWARD = 0.2
"""Skin whose normals point less forward than this has no air before it: the flanks of the nose, the lips' inside."""
_LEAST_FRONTAL = 0.7
"""Where the normals around point less forward than this on average are the head's sides: hair may hang there."""
_AROUND_M = 0.015


def air_cells(centres: Tensor, table: FaceTable, expression: np.ndarray) -> Tensor:
    """Say which cells of the head's box are air before the face or the forehead.

    Args:
        centres: [G, 3] the cells' centres in [-1, 1]^3.
        table: the person's face.
        expression: [T, 52] what the face does in the recording.

    Returns:
        [G] bool; all False where the table shows no face.
    """
    skin = table.part == FacePart.SKIN
    points, deltas = table.points[skin], table.deltas[:, skin].astype(np.float32)
    face = is_face(points, np.linalg.norm(deltas, axis=-1).max(0))
    if not face.any():
        return torch.zeros(len(centres), dtype=torch.bool, device=centres.device)
    normals = outward_normals(points).astype(np.float32)
    is_forward = (normals[:, 2] > _LEAST_FORWARD) & (_average(points, normals)[:, 2] > _LEAST_FRONTAL)
    margin = (expression.astype(np.float32) @ deltas[..., 2]).max(0).clip(min=0.0)
    margin += np.where(face, FACE_MARGIN_M, FRINGE_MARGIN_M)
    margin[~is_forward | (points[:, 1] < points[face, 1].min())] = np.inf
    outer, least_z = is_forward | ~face, points[face, 2].min()  # not the inside of lips, lids and nostrils
    teeth = table.points[np.isin(table.part, (FacePart.UPPER_TEETH, FacePart.LOWER_TEETH))]  # nothing is said there
    points = np.concatenate([points[outer], teeth])
    normals = np.concatenate([normals[outer], np.zeros_like(teeth)])
    margin = np.concatenate([margin[outer], np.full(len(teeth), np.inf)])
    places = (centres * HEAD_BOX_HALF_M).cpu().numpy()
    before = np.flatnonzero(places[:, 2] > least_z)
    _, nearest = KDTree(points).query(places[before], workers=-1)
    height = ((places[before] - points[nearest]) * normals[nearest]).sum(1)
    air = torch.zeros(len(centres), dtype=torch.bool)
    air[torch.from_numpy(before[height > margin[nearest]])] = True
    return air.to(centres.device)


def _average(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Return the mean direction [P, 3] of the normals [P, 3] around each point [P, 3]."""
    around = KDTree(points).query_ball_point(points, _AROUND_M, workers=-1)
    mean = np.stack([normals[near].mean(0) for near in around])
    return mean / np.linalg.norm(mean, axis=1, keepdims=True).clip(min=1e-6)
