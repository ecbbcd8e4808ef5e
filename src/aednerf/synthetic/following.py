"""Strands that follow the moving face: eyebrows bound to the skin, lashes bound to the model's lash surfaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from aednerf.face.model import FACE, IBUG68_VERTICES
from aednerf.synthetic.mesh import HeadMesh, Material
from aednerf.synthetic.person import SyntheticPerson
from aednerf.synthetic.strands import Strands

Array = NDArray[np.floating]


@dataclass(frozen=True)
class FollowingStrands:
    """S strands of K points, each point bound to one triangle of the model."""

    vertex: NDArray[np.int64]
    """[S, K, 3] vertices of the model."""

    weight: Array
    """[S, K, 3] barycentric weights."""

    height: Array
    """[S, K] metres above the surface."""

    width: Array
    shade: Array

    def at(self, points: Array, normals: Array) -> Strands:
        """Place the strands on the model's points [V, 3] with normals [V, 3]."""
        weight = self.weight[..., None]
        out = (normals[self.vertex] * weight).sum(-2)
        placed = (points[self.vertex] * weight).sum(-2) + out * self.height[..., None]
        return Strands(
            placed.astype(np.float32), self.width, self.shade, np.ones_like(self.width), out.astype(np.float32)
        )


def grow_brows(person: SyntheticPerson, mesh: HeadMesh) -> FollowingStrands:
    """Grow both eyebrows over the brow landmarks."""
    rng = np.random.default_rng(person.seed + 3)
    neutral = mesh.face.neutral
    marks = neutral[np.array(IBUG68_VERTICES)]
    count, length = int(360 * person.brow_weight), 6
    paths, widths = [], []
    for knots in (marks[[22, 23, 24, 25, 26]], marks[[21, 20, 19, 18, 17]]):
        t = np.clip(rng.beta(1.05, 1.15, count), 0.0, 1)
        base = np.stack([np.interp(t, np.linspace(0, 1, 5), knots[:, axis]) for axis in range(3)], -1)
        thick = 0.0036 * person.brow_weight * np.interp(t, [0, 0.12, 0.45, 0.75, 1], [0.62, 1.0, 0.95, 0.62, 0.18])
        across = rng.uniform(-1, 1, count)
        base[:, 1] += across * thick - 0.0018 - 0.0012 * (1 - t) ** 4
        outward = np.sign(knots[-1, 0])
        turn = np.interp(t, [0, 0.12, 0.3, 0.6, 1], [64, 52, 30, 10, -20]) - across * np.interp(
            t, [0, 0.3, 1], [6, 22, 12]
        )
        turn = np.radians(turn + rng.normal(0, 8, count))
        reach = np.interp(t, [0, 0.15, 0.5, 1], [0.0055, 0.0080, 0.0085, 0.0055]) * rng.uniform(0.7, 1.15, count)
        s = np.linspace(0, 1, length)
        bend = turn[:, None] - np.radians(18) * s * np.sign(turn)[:, None]
        step = reach[:, None] / (length - 1)
        dx, dy = np.cos(bend) * step * outward, np.sin(bend) * step
        path = np.stack([base[:, :1] + np.cumsum(dx, 1) - dx, base[:, 1:2] + np.cumsum(dy, 1) - dy], -1)
        paths.append(np.concatenate([path, np.broadcast_to(base[:, 2:, None], (count, length, 1))], -1))
        widths.append(
            np.full((count, length), 0.00024) * np.linspace(1, 0.25, length) * rng.uniform(0.7, 1.2, (count, 1))
        )
    path, s = np.concatenate(paths), np.linspace(0, 1, length)
    height = 0.00015 + 0.0011 * np.sin(s * np.pi * 0.7)
    vertex, weight = _bind_from_front(mesh, path.reshape(-1, 3))
    shape = (*path.shape[:2], 3)
    return FollowingStrands(
        vertex.reshape(shape), weight.reshape(shape), np.broadcast_to(height, path.shape[:2]).astype(np.float32),
        np.concatenate(widths).astype(np.float32), rng.random(len(path)).astype(np.float32),
    )  # fmt: skip


def grow_lashes(person: SyntheticPerson, mesh: HeadMesh) -> FollowingStrands:
    """Grow lashes along the model's lash surfaces: twelve grids of 18 by 5 squares, base above in texture."""
    rng = np.random.default_rng(person.seed + 4)
    length, vertex, weight, width = 6, [], [], []
    for grid in lash_grids(mesh):
        upper = mesh.face.neutral[grid[0, 9], 1] > mesh.face.neutral[grid[-1, 9], 1] - 0.02 and _is_upper(mesh, grid)
        count, reach = (36, 1.0) if upper else (8, 0.38)
        u = (np.arange(count) + rng.uniform(0.15, 0.85, count)) / count
        reach = np.clip(reach * person.lash_length * rng.uniform(0.45, 0.72, count), 0.2, 0.99)
        lean = (u - 0.5) * 0.10 + rng.normal(0, 0.012, count)
        for k in range(count):
            v = np.linspace(0, reach[k], length)
            column = np.clip(u[k] + lean[k] * v**1.3, 0, 1) * (grid.shape[1] - 1)
            ids, bary = _in_grid(grid, v * (grid.shape[0] - 1), column)
            vertex.append(ids)
            weight.append(bary)
            width.append((0.00017 if upper else 0.00010) * np.linspace(1, 0.15, length))
    count = len(vertex)
    return FollowingStrands(
        np.stack(vertex), np.stack(weight).astype(np.float32), np.zeros((count, length), np.float32),
        np.stack(width).astype(np.float32), rng.random(count).astype(np.float32),
    )  # fmt: skip


def lash_grids(mesh: HeadMesh) -> list[NDArray[np.int64]]:
    """Return twelve grids [6, 19] of the model's vertices, base row first: the lash surfaces."""
    drawn = np.unique(mesh.of(Material.LASHES))
    uv, vertex = mesh.uv[drawn] - [6, 0], mesh.vertex[drawn]
    grids = []
    for right in (False, True):
        half = (uv[:, 0] > 0.5) == right
        order = np.argsort(-uv[half, 1], kind="stable")
        for rows in np.split(order, 6):
            members = np.flatnonzero(half)[rows].reshape(6, 19)
            grids.append(np.stack([vertex[row[np.argsort(uv[row, 0])]] for row in members]))
    return grids


def lid_edges(mesh: HeadMesh) -> dict[tuple[str, str], NDArray[np.int64]]:
    """Return the model's vertices [19] along each lid's edge, by eye and lid: the lashes' roots."""
    edges: dict[tuple[str, str], NDArray[np.int64]] = {}
    for grid in lash_grids(mesh):
        side = "left" if mesh.mean[grid[0, 9], 0] > 0 else "right"
        edges.setdefault((side, "upper" if _is_upper(mesh, grid) else "lower"), grid[0])
    return edges


def _is_upper(mesh: HeadMesh, grid: NDArray[np.int64]) -> bool:
    """Tell the upper lid's lashes by their higher middle."""
    return bool(mesh.mean[grid[0, 9], 1] > 0.5 * (mesh.mean[grid[0, 0], 1] + mesh.mean[grid[0, -1], 1]))


def _in_grid(grid: NDArray[np.int64], row: Array, column: Array) -> tuple[NDArray[np.int64], Array]:
    r, c = np.minimum(row.astype(int), grid.shape[0] - 2), np.minimum(column.astype(int), grid.shape[1] - 2)
    a, b = row - r, column - c
    swap = a + b > 1
    first = np.where(swap, grid[r + 1, c + 1], grid[r, c])
    ids = np.stack([first, grid[r, c + 1], grid[r + 1, c]], -1)
    along_column, along_row = np.where(swap, 1 - a, b), np.where(swap, 1 - b, a)
    return ids, np.stack([1 - along_column - along_row, along_column, along_row], -1)


def _bind_from_front(mesh: HeadMesh, points: Array) -> tuple[NDArray[np.int64], Array]:
    """Return the face's triangle [N, 3] that each point lies before (seen along z), and its barycentric weights."""
    neutral = mesh.face.neutral
    triangles = mesh.vertex[mesh.of(Material.FACE)]
    triangles = triangles[(triangles < FACE.stop).all(1) & (neutral[triangles][..., 2] > 0.03).all(1)]
    corners = neutral[triangles][..., :2]
    candidates = np.asarray(KDTree(corners.mean(1)).query(points[:, :2], k=12)[1])
    a, b, c = (corners[candidates][:, :, i] for i in range(3))
    d, e, p = b - a, c - a, points[:, None, :2] - a
    area = d[..., 0] * e[..., 1] - d[..., 1] * e[..., 0]
    area = np.where(np.abs(area) < 1e-14, 1e-14, area)
    v = (p[..., 0] * e[..., 1] - p[..., 1] * e[..., 0]) / area
    w = (d[..., 0] * p[..., 1] - d[..., 1] * p[..., 0]) / area
    bary = np.stack([1 - v - w, v, w], -1)
    best = np.argmax(bary.min(-1), axis=1)
    row = np.arange(len(points))
    return triangles[candidates[row, best]], bary[row, best].astype(np.float32)
