"""Some telling frames of a capture side by side, with the fitted face drawn over them as a mesh."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from aednerf.capture.capture import Capture
from aednerf.capture.charts import write_text
from aednerf.capture.face_table import FacePart, FaceTable
from aednerf.capture.measures import head_angles_deg, lip_gaps
from aednerf.media.image import resize

Image = NDArray[np.uint8]

CELL = 320
"""Edge of one picture in pixels."""

_MESH_COLOUR = (80, 255, 120)
_FINE_M, _COARSE_M = 0.005, 0.010
_LONGEST_EDGE_M = 0.03


def contact_sheet(capture: Capture, columns: int = 3) -> Image:
    """Return the sheet: each telling frame plain, and beside it with the mesh."""
    edges, chosen = _wireframe(capture.face)
    cells = []
    for caption, frame in telling_frames(capture):
        image = next(capture.images(frame, frame + 1))
        plain = resize(image, CELL, CELL)
        meshed = _with_mesh(plain.copy(), capture, frame, edges, chosen)
        cell: Image = np.concatenate([plain, meshed], axis=1).astype(np.uint8)
        cell[-24:] = cell[-24:] // 3
        write_text(cell, f"{caption}, frame {frame} of {capture.clips[capture.clip_of(frame)].name}",
                   (8, CELL - 8), (255, 255, 255), 0.45)  # fmt: skip
        cells.append(cell)
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    rows = [np.concatenate(cells[i : i + columns], axis=1) for i in range(0, len(cells), columns)]
    return np.concatenate(rows)


def telling_frames(capture: Capture, count: int = 12) -> list[tuple[str, int]]:
    """Choose frames to look at: the extremes of mouth, head and error first, then others evenly spread; ascending."""
    tracking = capture.tracking
    valid = np.flatnonzero(tracking.valid)
    if not len(valid):
        return []
    gaps = lip_gaps(tracking.landmarks_px[valid])
    yaw, pitch = head_angles_deg(tracking.rotation[valid])
    extremes = {
        "mouth widest": gaps.argmax(), "mouth closed": gaps.argmin(), "furthest left": yaw.argmax(),
        "furthest right": yaw.argmin(), "furthest up": pitch.argmax(), "worst fit": tracking.error_px[valid].argmax(),
    }  # fmt: skip
    chosen = {int(valid[index]): caption for caption, index in reversed(extremes.items())}
    middles = np.linspace(0, len(valid) - 1, 2 * (count - len(chosen)) + 1)[1::2]
    for frame in valid[middles.round().astype(int)].tolist():
        chosen.setdefault(frame, "sample")
    return [(caption, frame) for frame, caption in sorted(chosen.items())]


def _wireframe(face: FaceTable) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the edges [N, 2] between, and the indices of, points of the face's front, finer around the mouth and eyes.

    The table has no triangles: seen from the front, those of Delaunay do.
    """
    front = np.flatnonzero((face.part == FacePart.SKIN) & (face.points[:, 2] > np.quantile(face.points[:, 2], 0.35)))
    movement = np.abs(face.deltas[:, front].astype(np.float32)).max((0, 2))
    step = np.where(movement > 0.009, _FINE_M, _COARSE_M)
    cells = np.round(face.points[front, :2] / step[:, None]).astype(int)
    _, first = np.unique(np.column_stack([cells, step > _FINE_M]), axis=0, return_index=True)
    chosen = front[first]
    triangles = Delaunay(face.points[chosen, :2]).simplices
    edges = np.unique(np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1), axis=0)
    length = np.linalg.norm(face.points[chosen[edges[:, 0]]] - face.points[chosen[edges[:, 1]]], axis=-1)
    return edges[length < _LONGEST_EDGE_M], chosen


def _with_mesh(image: Image, capture: Capture, frame: int, edges: NDArray[Any], chosen: NDArray[Any]) -> Image:
    tracking = capture.tracking
    points = capture.face.deformed(tracking.expression[frame])[chosen]
    camera = capture.camera(capture.clip_of(frame)).resized(CELL, CELL)
    pixels = camera.project(points @ tracking.rotation[frame].T + tracking.translation[frame])
    lines = np.round((pixels[edges] - 0.5) * 16).astype(np.int32)
    drawn = image.copy()
    cv2.polylines(drawn, list(lines), False, _MESH_COLOUR, 1, cv2.LINE_AA, shift=4)
    return cv2.addWeighted(image, 0.4, drawn, 0.6, 0).astype(np.uint8)
