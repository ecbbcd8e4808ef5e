"""Make `src/aednerf/face/correspondence.npz`: where MediaPipe's 478 landmarks lie on the ICT-FaceKit mesh.

Sources: the canonical face (468 vertices, centimetres) inside `face_landmarker.task` (MediaPipe, Google, Apache-2.0)
and the mean face of ICT-FaceKit Light (USC ICT, MIT). The canonical face is brought onto the mean face with the 68 iBUG
pairs (similarity, then a thin-plate spline), and each of its vertices goes to the closest point of the skin. The rims
of lids and lips follow the model's own rims between the iBUG points, and the lips' other rows lie between them, so that
each point sits on the lid or lip that it moves with. Irises go to the rim of the eyeball's pupil shape.

Usage: python scripts/make_correspondence.py face_landmarker.task ict_facekit_light.npz [OUT.npz]
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra

from aednerf.core.files import atomic_path
from aednerf.face import model as ict
from aednerf.face.topology import IBUG68, LEFT_EYE, LEFT_IRIS, N_LANDMARKS, RIGHT_EYE, RIGHT_IRIS

OUT = Path(__file__).parents[1] / "src" / "aednerf" / "face" / "correspondence.npz"
METADATA = "geometry_pipeline_metadata_landmarks.binarypb"
IRIS_RADIUS_M = 0.00585

# From the person's right to left: where a rim passes an iBUG point (its number), and the landmarks along the way.
UPPER_LIP_ROWS = (
    (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291), (76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306),
    (62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292), (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
)  # fmt: skip
LOWER_LIP_ROWS = (
    (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291), (76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306),
    (62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292), (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
)  # fmt: skip
RIMS = (
    ((48, 49, 50, 51, 52, 53, 54), UPPER_LIP_ROWS[0]), ((48, 59, 58, 57, 56, 55, 54), LOWER_LIP_ROWS[0]),
    ((60, 61, 62, 63, 64), UPPER_LIP_ROWS[3]), ((60, 67, 66, 65, 64), LOWER_LIP_ROWS[3]),
    ((36, 37, 38, 39), RIGHT_EYE[:9]), ((36, 41, 40, 39), (*RIGHT_EYE[:1], *RIGHT_EYE[:7:-1])),
    ((45, 44, 43, 42), LEFT_EYE[:9]), ((45, 46, 47, 42), (*LEFT_EYE[:1], *LEFT_EYE[:7:-1])),
)  # fmt: skip


def main(task: str, face_model: str, out: str = str(OUT)) -> None:
    """Compute the table and write it."""
    canonical, _ = canonical_face(task)
    face = ict.FaceModel.load(face_model)
    with np.load(face_model, allow_pickle=False) as packed:
        names = [str(name) for name in packed["expression_names"]]
        pupils = {side: packed["expressions"][names.index(f"PupilDilate_{side[0]}")] for side in ("Left", "Right")}
    vertices = np.zeros((N_LANDMARKS, 3), np.int32)
    weights = np.zeros((N_LANDMARKS, 3), np.float32)
    warped = warp_to_model(canonical, face)
    skin = face.faces[(face.faces < ict.FACE.stop).all(1)]
    vertices[:468], weights[:468] = closest_on(warped, facing(skin, face.mesh.neutral), face.mesh.neutral)
    graph = edge_graph(skin, face.mesh.neutral)
    for numbers, landmarks in RIMS:
        points, path = along_rim(graph, face, numbers, landmarks, canonical)
        rim = skin[np.isin(skin, path).sum(1) >= 2]
        vertices[list(landmarks)], weights[list(landmarks)] = closest_on(points, rim, face.mesh.neutral)
    place_lip_rows(vertices, weights, graph, skin, face.mesh.neutral)
    for side, landmarks, ball in (("Left", LEFT_IRIS, ict.LEFT_EYEBALL), ("Right", RIGHT_IRIS, ict.RIGHT_EYEBALL)):
        dilation = np.linalg.norm(pupils[side][ball].astype(np.float32), axis=-1)
        iris = ball.start + iris_vertices(face.mesh.neutral[ball], np.flatnonzero(dilation > 1e-4))
        vertices[list(landmarks)] = iris[:, None]
        weights[list(landmarks)] = (1, 0, 0)
    with atomic_path(out) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, vertices=vertices, weights=weights, canonical_cm=canonical)
    placed = (face.mesh.neutral[vertices] * weights[..., None]).sum(1)
    moved_mm = 1000 * np.linalg.norm(placed[:468] - warped, axis=-1)
    print(f"{out}: closest points lie {np.median(moved_mm):.2f} mm (median), {moved_mm.max():.2f} mm (most) away")


def canonical_face(task: str) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Read the canonical face of a Face Landmarker: points [468, 3] in centimetres and triangles [898, 3].

    The metadata is a protocol buffer (`face_geometry/protos/geometry_pipeline_metadata.proto`): field 1 is a Mesh3d
    with the repeated float field 3 (x, y, z, u, v) and the repeated integer field 4.
    """
    with zipfile.ZipFile(task) as archive:
        fields = wire_fields(archive.read(METADATA))
    mesh = wire_fields(next(value for number, value in fields if number == 1 and isinstance(value, bytes)))
    floats = b"".join(value for number, value in mesh if number == 3 and isinstance(value, bytes))
    indices = [value for number, value in mesh if number == 4]
    return np.frombuffer(floats, "<f4").reshape(-1, 5)[:, :3].copy(), np.array(indices, np.int32).reshape(-1, 3)


def wire_fields(data: bytes) -> list[tuple[int, bytes | int]]:
    """Split one protocol-buffer message into (field number, integer or raw bytes)."""
    at, out = 0, []

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        kind = tag & 7
        if kind == 0:
            out.append((tag >> 3, varint()))
            continue
        size = {1: 8, 5: 4}.get(kind) or varint()
        out.append((tag >> 3, data[at : at + size]))
        at += size
    return out


def warp_to_model(canonical: NDArray[np.float32], face: ict.FaceModel) -> NDArray[np.float64]:
    """Bring the canonical face onto the mean face: similarity of the 68 pairs, then a thin-plate spline."""
    source = canonical[list(IBUG68)].astype(float)
    target = face.mesh.neutral[face.ibug68].astype(float)
    inner = slice(17, None)  # the jaw's points slide: they bend the spline, but do not place it
    a, b = source[inner] - source[inner].mean(0), target[inner] - target[inner].mean(0)
    u, singular, vt = np.linalg.svd(b.T @ a)
    rotation = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    scale = singular @ [1, 1, np.linalg.det(u @ vt)] / (a**2).sum()
    placed = scale * (canonical - source[inner].mean(0)) @ rotation.T + target[inner].mean(0)
    spline = RBFInterpolator(placed[list(IBUG68)], target, kernel="thin_plate_spline", smoothing=1e-7)
    return spline(placed)


def facing(triangles: NDArray[np.int32], points: NDArray[np.float32]) -> NDArray[np.int32]:
    """Keep the triangles that look forward."""
    a, b, c = points[triangles].swapaxes(0, 1)
    return triangles[np.cross(b - a, c - a)[:, 2] > 0]


def edge_graph(triangles: NDArray[np.int32], points: NDArray[np.float32]) -> csr_array:
    """Return the vertices' distances along the triangles' edges, as a sparse symmetric matrix."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    length = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=-1)
    return coo_array((length, (edges[:, 0], edges[:, 1])), shape=(ict.FACE.stop,) * 2).tocsr()


def along_rim(
    graph: csr_array, face: ict.FaceModel, numbers: tuple[int, ...], landmarks: tuple[int, ...], canonical: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Place landmarks on the shortest path through iBUG points, spaced as on the canonical face in between.

    Returns:
        Their positions [N, 3], and the path's vertices.
    """
    path = [face.ibug68[numbers[0]]]
    stops = [0]
    for number in numbers[1:]:
        _, previous = dijkstra(graph, directed=False, indices=path[-1], return_predecessors=True)
        leg = [face.ibug68[number]]
        while leg[-1] != path[-1]:
            leg.append(previous[leg[-1]])
        path += leg[-2::-1]
        stops.append(len(path) - 1)
    points = face.mesh.neutral[path].astype(float)
    at = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=-1))]
    own = np.r_[0, np.cumsum(np.linalg.norm(np.diff(canonical[list(landmarks)], axis=0), axis=-1))]
    pairs = [landmarks.index(IBUG68[number]) for number in numbers]
    goal = np.interp(own, own[pairs], at[stops])
    return np.stack([np.interp(goal, at, points[:, axis]) for axis in range(3)], axis=-1), np.array(path)


def place_lip_rows(
    vertices: NDArray[np.int32], weights: NDArray[np.float32], graph: csr_array, skin: NDArray[np.int32],
    neutral: NDArray[np.float32],
) -> None:  # fmt: skip
    """Place the two middle rows of each lip between its rims, on triangles of that lip alone (in place)."""
    rims = [np.unique(vertices[list(rows[0][1:-1])]) for rows in (UPPER_LIP_ROWS, LOWER_LIP_ROWS)]
    upper, lower = (dijkstra(graph, directed=False, indices=rim, min_only=True) for rim in rims)
    for rows, is_own in ((UPPER_LIP_ROWS, upper <= lower), (LOWER_LIP_ROWS, lower <= upper)):
        own = skin[is_own[skin].all(1)]
        outer, inner = ((neutral[vertices[list(row)]] * weights[list(row)][..., None]).sum(1) for row in rows[::3])
        for row, share in ((rows[1], 1 / 3), (rows[2], 2 / 3)):
            goal = (1 - share) * outer + share * inner
            vertices[list(row)], weights[list(row)] = closest_on(goal, facing(own, neutral), neutral)


def closest_on(
    points: NDArray[np.floating], triangles: NDArray[np.int32], neutral: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find the closest point of some triangles to each point: vertices [N, 3] and barycentric weights [N, 3]."""
    corners = neutral[triangles].astype(float)
    chosen = np.zeros(len(points), np.intp)
    weights = np.zeros((len(points), 3), np.float32)
    for i, point in enumerate(points):
        w = closest_barycentric(point, corners)
        distance = np.linalg.norm((w[..., None] * corners).sum(1) - point, axis=-1)
        chosen[i] = distance.argmin()
        weights[i] = w[chosen[i]]
    return triangles[chosen].astype(np.int32), weights


def closest_barycentric(point: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [F, 3]: the barycentric weights of the closest point of each triangle [F, 3, 3]."""
    a, b, c = corners.swapaxes(0, 1)
    ab, ac, ap = b - a, c - a, point - a
    d11, d12, d22 = (ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1)
    p1, p2 = (ab * ap).sum(-1), (ac * ap).sum(-1)
    determinant = np.maximum(d11 * d22 - d12**2, 1e-20)
    v, w = (d22 * p1 - d12 * p2) / determinant, (d11 * p2 - d12 * p1) / determinant
    inside = np.stack([1 - v - w, v, w], axis=-1)
    best, best_distance = inside, np.where((inside >= 0).all(-1), 0.0, np.inf)
    for i, j in ((0, 1), (1, 2), (2, 0)):  # else the closest point lies on an edge
        edge = corners[:, j] - corners[:, i]
        t = np.clip(((point - corners[:, i]) * edge).sum(-1) / np.maximum((edge**2).sum(-1), 1e-20), 0, 1)
        candidate = np.zeros_like(inside)
        candidate[:, i], candidate[:, j] = 1 - t, t
        distance = ((candidate[..., None] * corners).sum(1) - point) ** 2
        closer = distance.sum(-1) < best_distance
        best = np.where(closer[:, None], candidate, best)
        best_distance = np.where(closer, distance.sum(-1), best_distance)
    return best


def iris_vertices(eyeball: NDArray[np.float32], pupil: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the five vertices of one iris in MediaPipe's order: centre, person's left, top, person's right, bottom."""
    offsets = IRIS_RADIUS_M * np.array([[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1]])
    goals = eyeball[pupil].mean(0)[:2] + offsets
    depth = eyeball[pupil, 2].min() - 0.001
    front = np.flatnonzero(eyeball[:, 2] > depth)
    return front[np.linalg.norm(eyeball[front, None, :2] - goals, axis=-1).argmin(0)]


if __name__ == "__main__":
    main(*sys.argv[1:])
