"""Where MediaPipe's 478 landmarks lie on the face model: a table made once by `scripts/make_correspondence.py`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

from aednerf.face.model import FaceModel, FacePoints
from aednerf.face.topology import N_LANDMARKS


@dataclass(frozen=True)
class Correspondence:
    """A point on a triangle of the face model for each landmark."""

    vertices: NDArray[np.int32]
    """[478, 3] vertices of the face model."""

    weights: NDArray[np.float32]
    """[478, 3] barycentric weights; irises stand on one vertex of the eyeball."""

    canonical_cm: NDArray[np.float32]
    """[468, 3] MediaPipe's canonical face in its own frame (centimetres): what its pose matrices move."""

    @staticmethod
    def load() -> Correspondence:
        """Read the table that comes with the program."""
        with as_file(files("aednerf.face") / "correspondence.npz") as path, np.load(path, allow_pickle=False) as table:
            found = Correspondence(table["vertices"], table["weights"], table["canonical_cm"])
        assert found.vertices.shape == (N_LANDMARKS, 3)
        return found


def landmark_points(face: FaceModel) -> FacePoints:
    """Return the 478 landmarks as points of the face model, quick to place for any person and expression."""
    table = Correspondence.load()
    return face.mesh.combine(table.vertices, table.weights)
