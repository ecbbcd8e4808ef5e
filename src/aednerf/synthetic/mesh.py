"""The head as the rasteriser draws it: ICT-FaceKit's mesh with texture coordinates, normals and neck weights."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial import KDTree

from aednerf.core.errors import InputError
from aednerf.face.model import MOUTH_SOCKET, FaceModel, PersonPoints

Array = NDArray[np.floating]

NECK_BLEND_M = 0.075
"""Over this height below the chin the neck goes over from the head's motion to the torso's."""


SHOULDER_M = (0.055, 0.080)
"""Between these distances from its axis the neck goes over to the shoulders."""


class Material(IntEnum):
    """ICT-FaceKit's materials, in its order."""

    FACE = 0
    BACK_HEAD = 1
    GUMS_TONGUE = 2
    TEETH = 3
    SCLERA_LEFT = 4
    IRIS_LEFT = 5
    SCLERA_RIGHT = 6
    IRIS_RIGHT = 7
    LACRIMAL = 8
    EYE_BLEND = 9
    EYE_OCCLUSION = 10
    LASHES = 11


@dataclass(frozen=True)
class HeadMesh:
    """One person's mesh: R drawn vertices (a vertex of the model on a texture seam is drawn twice or more)."""

    face: PersonPoints
    """All V vertices of the model, and how they move."""

    mean: Array
    """[V, 3] the model's mean face: where the painting happens, the same for everybody."""

    vertex: NDArray[np.int64]
    """[R] the model's vertex of each drawn vertex."""

    uv: Array
    """[R, 2] texture coordinates; their whole part is the texture of ICT-FaceKit."""

    triangles: NDArray[np.int32]
    """[F, 3] drawn vertices."""

    material: NDArray[np.int8]
    """[F] values of `Material`."""

    spread: csr_matrix
    """[V, F] adds the faces' normals to their vertices."""

    neck_top: float
    """The height under the chin, in metres, above which everything moves with the head."""

    neck: Array
    """[V] metres below the jaw line: positive is neck, negative is head."""

    @staticmethod
    def load(path: str | Path, identity: NDArray[np.floating]) -> HeadMesh:
        """Read the face model with its texture coordinates and shape it to one person.

        Raises:
            InputError: the file is missing or is not the packed face model.
        """
        model = FaceModel.load(path)
        try:
            with np.load(path, allow_pickle=False) as packed:
                quads, uv_quads = packed["faces"], packed["uv_faces"]
                uv, material = packed["uv"], packed["face_material"]
        except (KeyError, ValueError, OSError) as error:
            raise InputError(f"{path} lacks texture coordinates ({error}). Fetch or pack it again.") from None
        whole = quads[:, 3] >= 0
        corners = [np.concatenate([q[:, :3], q[whole][:, [0, 2, 3]]]) for q in (quads, uv_quads)]
        pairs, inverse = np.unique(np.stack(corners, -1).reshape(-1, 2), axis=0, return_inverse=True)
        face = model.person(identity)
        vertex, triangles = pairs[:, 0].astype(np.int64), inverse.reshape(-1, 3).astype(np.int32)
        owner = np.repeat(np.arange(len(triangles)), 3)
        spread = csr_matrix((np.ones(owner.size, np.float32), (vertex[triangles].ravel(), owner)),
                            shape=(len(face.neutral), len(triangles)))  # fmt: skip
        jaw = face.neutral[model.ibug68[:17]]
        return HeadMesh(
            face, model.mesh.neutral, vertex, uv[pairs[:, 1]].astype(np.float32), triangles,
            np.concatenate([material, material[whole]]), spread,
            float(jaw[:, 1].min()) - 0.006,
            np.where(_is_ear(model.mesh.neutral), np.float32(-1), _below_jaw(face.neutral, jaw)),
        )  # fmt: skip

    def head_share(self, points: Array) -> Array:
        """Return [...]: how far points [..., 3] of the head frame move with the head (1), not the torso (0)."""
        height = np.clip((points[..., 1] - (self.neck_top - NECK_BLEND_M)) / NECK_BLEND_M, 0, 1)
        near, far = SHOULDER_M
        wide = np.clip((np.hypot(points[..., 0], points[..., 2]) - near) / (far - near), 0, 1)
        t = height * (1 - wide * (1 - height))
        return (t * t * (3 - 2 * t)).astype(np.float32)

    def normals(self, points: Array) -> Array:
        """Return [V, 3] unit normals of the placed vertices [V, 3], weighted by the triangles' area."""
        a, b, c = points[self.vertex[self.triangles]].swapaxes(0, 1)
        normals = self.spread @ np.cross(b - a, c - a)
        return (normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)).astype(np.float32)

    def of(self, *materials: Material) -> NDArray[np.int32]:
        """Return the triangles [N, 3] of some materials."""
        return self.triangles[np.isin(self.material, materials)]

    @property
    def skin(self) -> NDArray[np.int32]:
        """Triangles of the visible skin, without the sockets of mouth and eyes."""
        triangles = self.of(Material.FACE, Material.BACK_HEAD)
        return triangles[(self.vertex[triangles] < MOUTH_SOCKET.start).all(1)]

    @property
    def sockets(self) -> NDArray[np.int32]:
        """Triangles of the sockets of mouth and eyes."""
        triangles = self.of(Material.FACE, Material.BACK_HEAD)
        return triangles[(self.vertex[triangles] >= MOUTH_SOCKET.start).any(1)]


def _is_ear(mean: Array) -> NDArray[np.bool_]:
    return (np.abs(mean[:, 0]) > 0.0735) & (mean[:, 1] > -0.045)


def _below_jaw(points: Array, jaw: Array) -> Array:
    """Measure each point [V, 3] against the jaw's contour [17, 3], closed behind by a line to the nape."""
    t = np.linspace(0, 16, 321)
    contour = np.stack([np.interp(t, np.arange(17), jaw[:, axis]) for axis in range(3)], axis=-1)
    nearest = contour[KDTree(contour).query(points)[1]]
    down = np.array([0, -0.88, -0.47])
    below = (points - nearest) @ down - 0.004
    # Behind the ears the border runs from the lobes to the nape.
    lobe = jaw[[0, 16]].mean(0)
    border = lobe[1] - 0.040 + 0.15 * (points[:, 2] - lobe[2])
    return np.minimum(below, border - points[:, 1]).astype(np.float32)
