"""The hair: strands grown over the scalp, led by a style, kept out of the head and gathered in locks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from aednerf.face.model import MOUTH_SOCKET
from aednerf.synthetic.mesh import HeadMesh
from aednerf.synthetic.noise import Noise, smoothstep
from aednerf.synthetic.person import SyntheticPerson
from aednerf.synthetic.skin import scalp_mask
from aednerf.synthetic.strands import Strands

Array = NDArray[np.floating]


class Head:
    """The skin of a neutral head, asked how far a point is outside it."""

    def __init__(self, mesh: HeadMesh) -> None:
        """Index the skin."""
        skin, mean = mesh.face.neutral[: MOUTH_SOCKET.start], mesh.mean[: MOUTH_SOCKET.start]
        # Ears would throw the hair outwards: a smooth swelling stands for them (`_round_the_ear`).
        ear = (np.abs(mean[:, 0]) > 0.0755) & (mean[:, 1] < 0.065) & (mean[:, 1] > -0.05)
        keep = ~ear & (skin[:, 1] > -0.115)
        self.points, self.normals = skin[keep], mesh.normals(mesh.face.neutral)[: MOUTH_SOCKET.start][keep]
        self.ear = float(np.abs(skin[ear, 0]).max()), skin[ear & (skin[:, 0] > 0)].mean(0)
        self._tree = KDTree(self.points)

    def above(self, points: Array) -> tuple[Array, Array]:
        """Return the height [N] over the skin (large where there is none near) and the skin's normal [N, 3] there."""
        distance, nearest = self._tree.query(points, k=3)
        normal = self.normals[nearest].mean(1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        height = ((points - self.points[nearest].mean(1)) * normal).sum(1)
        return np.where((distance[:, 0] > 0.018) & (height > -0.02), 1.0, height), normal


def grow_hair(person: SyntheticPerson, mesh: HeadMesh) -> Strands:
    """Grow the hair of one person in its style."""
    rng = np.random.default_rng(person.seed + 6)
    noise, head = Noise(person.seed), Head(mesh)
    grow = {"crop": _crop, "bob": _bob}[person.hair_style]
    return grow(mesh, head, noise, rng)


def _roots(mesh: HeadMesh, noise: Noise, rng: np.random.Generator, count: int) -> tuple[Array, Array, Array]:
    """Return roots [N, 3], normals [N, 3] and the roots on the mean face [N, 3], spread over the scalp by area."""
    triangles = mesh.vertex[mesh.skin]
    a, b, c = mesh.face.neutral[triangles].swapaxes(0, 1)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    area *= scalp_mask(mesh.mean[triangles].mean(1), noise) > 0.02
    chosen = rng.choice(len(triangles), 2 * count, p=area / area.sum())
    bary = rng.dirichlet(np.ones(3), 2 * count).astype(np.float32)[..., None]
    mean = (mesh.mean[triangles[chosen]] * bary).sum(1)
    keep = np.flatnonzero(rng.random(2 * count) < scalp_mask(mean, noise))[:count]
    roots = (mesh.face.neutral[triangles[chosen[keep]]] * bary[keep]).sum(1)
    normals = (mesh.normals(mesh.face.neutral)[triangles[chosen[keep]]] * bary[keep]).sum(1)
    return roots, _unit(normals), mean[keep]


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _gather(points: Array, rng: np.random.Generator, n_locks: int, amount: Array) -> tuple[Array, NDArray[np.intp]]:
    """Draw strands [S, K, 3] together in locks, by `amount` [K] or [S, K] along them; return each strand's lock too."""
    guides = points[rng.choice(len(points), n_locks, replace=False)]
    nearest = np.asarray(KDTree(guides[:, 0]).query(points[:, 0])[1])
    led = guides[nearest]
    shift = points[:, :1] - led[:, :1]
    target = led + 0.35 * shift
    return points + (target - points) * np.broadcast_to(amount, points.shape[:2])[..., None], nearest


def _crop(mesh: HeadMesh, head: Head, noise: Noise, rng: np.random.Generator) -> Strands:
    """Short at the sides, longer and swept to the side on top."""
    roots, normals, mean = _roots(mesh, noise, rng, 16000)
    n, length = len(roots), 6
    top = smoothstep(0.078, 0.118, mean[:, 1] + 0.004 * noise.at(mean, 0.03, 90))
    front = smoothstep(0.0, 0.085, mean[:, 2])
    reach = (0.0055 + (0.019 + 0.017 * front) * top) * rng.uniform(0.72, 1.08, n)
    reach = reach * (0.35 + 0.65 * smoothstep(0.1, 0.9, scalp_mask(mean, noise)))
    swirl = 0.5 * noise.at(mean, 0.028, 91)[:, None] * np.array([1.0, 0, 0.6]) + 0.25 * rng.standard_normal((n, 3))
    edge = smoothstep(0.055, 0.085, mean[:, 2])[:, None]  # the front is combed up, away from the forehead
    over = np.array([0.62, 0.0, 0.25]) + edge * np.array([-0.15, 0.3, -0.85]) + swirl
    down = np.stack([0 * roots[:, 0], -np.ones(n), -0.45 * np.ones(n)], -1) + 0.5 * swirl
    flow = down + (over - down) * top[:, None]
    flow = _unit(flow - (flow * normals).sum(1, keepdims=True) * normals)
    lift = 0.20 + 0.62 * top + 0.22 * top * front
    heading = _unit(flow * (1 - lift[:, None]) + normals * lift[:, None])
    path, place = [roots], roots
    for k in range(length - 1):
        heading = _unit(heading + 0.20 * flow * top[:, None] + np.array([0, -0.10, 0]) * (k / length))
        place = place + heading * (reach / (length - 1))[:, None]
        height, normal = head.above(place)
        place = place + np.maximum(0.0006 * (k + 1) - height, 0)[:, None] * normal
        path.append(place)
    s = np.linspace(0, 1, length)
    points, lock = _gather(np.stack(path, 1), rng, 900, 0.75 * s**1.2 * top[:, None])
    points = points + 0.0006 * s[:, None] ** 2 * rng.standard_normal((n, 1, 3)) * (0.4 + top)[:, None, None]
    width = 0.00042 * np.linspace(1, 0.25, length) * np.ones((n, 1))
    occlusion = 1 - (0.72 * (1 - s) ** 1.2) * (0.45 + 0.55 * top[:, None])
    outward = np.broadcast_to(normals[:, None], points.shape)
    return _strands(points, width, _tones(lock, rng), occlusion, outward)


def _bob(mesh: HeadMesh, head: Head, noise: Noise, rng: np.random.Generator) -> Strands:
    """Chin-long, parted on the left, falling beside the face."""
    roots, normals, mean = _roots(mesh, noise, rng, 8200)
    n, part = len(roots), 0.022
    chin = mesh.face.neutral[np.array([1447, 1225]), 1].min()
    side = np.where(roots[:, 0] > part + 0.004 * noise.at(mean, 0.01, 92), 1.0, -1.0)
    layer = rng.random(n) ** 0.65
    away = np.stack([side, np.full(n, -0.1), np.full(n, -0.42)], -1)
    away[:, 2] -= 0.5 * smoothstep(0.03, 0.09, roots[:, 2])
    away += 0.10 * rng.standard_normal((n, 3)) + 0.22 * noise.at(mean, 0.03, 93)[:, None] * np.array([0, 0, 1.0])
    low = smoothstep(0.095, 0.045, mean[:, 1])[:, None] * smoothstep(0.06, 0.0, mean[:, 2])[:, None]
    away = away + (np.stack([0.12 * side, -np.ones(n), np.full(n, -0.25)], -1) - away) * low
    heading = _unit(_unit(away - (away * normals).sum(1, keepdims=True) * normals) + (0.42 - 0.34 * low) * normals)
    tip = (
        chin
        + 0.018
        + 0.010 * noise.at(mean, 0.02, 94)
        + 0.008 * rng.standard_normal(n)
        + 0.030 * (rng.random(n) < 0.12)
    )
    tip += 0.014 * smoothstep(0.02, -0.08, roots[:, 2])
    place, path, alive = roots, [roots], np.ones(n, bool)
    layer = layer * (1 - 0.75 * low[:, 0])
    thick = (0.0016 + 0.0105 * layer) * (0.7 + 0.3 * smoothstep(0.02, 0.1, mean[:, 1]))
    step = 0.006
    for k in range(58):
        fall = np.array([0, -1.0, 0]) * (0.11 + 0.022 * min(k, 14))
        near_tip = smoothstep(0.060, 0.0, place[:, 1] - tip)[:, None]
        inward = -np.stack([np.sign(place[:, 0]), np.zeros(n), 0.4 * np.sign(place[:, 2])], -1) * 0.24 * near_tip
        heading = _unit(heading + fall + inward)
        new = place + heading * step
        height, normal = head.above(new)
        room = thick * min(1.0, (k + 1) / 6)
        push = np.clip(room - height, 0, 0.0075)
        new = new + push[:, None] * normal
        new = _beside_face(new, side)
        new = _round_the_ear(new, head, layer)
        heading = _unit(0.55 * heading + 0.45 * _unit(new - place))
        alive = alive & (new[:, 1] > tip)
        place = np.where(alive[:, None], new, place)
        path.append(place)
    paths = np.stack(path, 1)
    long = np.linalg.norm(paths[:, -1] - paths[:, 0], axis=1) > 0.045  # cut ends at the hairline would stand alone
    points, layer, n = _resample(paths[long], 12), layer[long], int(long.sum())
    s = np.linspace(0, 1, points.shape[1])
    points, lock = _gather(points, rng, 420, 0.62 * s**0.9)
    wave = np.sin(s * 9 + 6.28 * rng.random((n, 1)))[..., None] * 0.0011 * s[:, None]
    points = points + wave * rng.standard_normal((n, 1, 3)) + 0.0010 * s[:, None] ** 2 * rng.standard_normal((n, 1, 3))
    flying = (rng.random(n) < 0.035)[:, None, None] * s[:, None] ** 1.5 * rng.normal(0, 0.0065, (n, 1, 3))
    points = points + flying
    flat = points.reshape(-1, 3)
    height, normal = head.above(flat)
    stray = _in_the_way(points) | (height.reshape(points.shape[:2]) < -0.008).any(1)
    sunk = np.clip(0.0012 - height, 0, 0.02).reshape(points.shape[:2]) * (s > 0)  # locks and curls may have gone inside
    normal = normal.reshape(points.shape)
    points = points + sunk[..., None] * normal
    axis = points - np.array([0, 0.03, -0.01])
    outward = _unit(normal + 0.6 * _unit(axis * np.array([1, 0.4, 1])))
    width = 0.00054 * np.interp(s, [0, 0.5, 1], [0.8, 1.0, 0.35]) * np.ones((n, 1))
    occlusion = (0.34 + 0.66 * layer[:, None]) * np.interp(s, [0, 0.12, 0.8, 1], [0.62, 0.95, 1.0, 0.9])
    kept = ~stray
    return _strands(points[kept], width[kept], _tones(lock, rng)[kept], occlusion[kept], outward[kept])


def _in_the_way(points: Array) -> NDArray[np.bool_]:
    """Return [S]: strands that hang over the face, which a comb would have caught."""
    x, y, z = np.moveaxis(points, -1, 0)
    free = np.interp(y, [-0.12, -0.05, 0.0, 0.05, 0.075, 0.088], [0.048, 0.056, 0.060, 0.058, 0.050, 0.0])
    return ((np.abs(x) < free) & (z > 0.03) & (y < 0.088)).any(1)


def _beside_face(points: Array, side: Array) -> Array:
    """Keep falling hair out of the face: beside the temples and cheeks."""
    moved = points.copy()
    keep = np.interp(points[:, 1], [-0.10, -0.05, 0.0, 0.05, 0.085, 0.10], [0.060, 0.066, 0.070, 0.068, 0.052, 0.0])
    in_front = smoothstep(0.015, 0.05, points[:, 2])
    short = np.maximum(keep - points[:, 0] * side, 0) * in_front
    moved[:, 0] += side * 0.22 * short
    moved[:, 2] -= 0.12 * short
    return moved


def _round_the_ear(points: Array, head: Head, layer: Array) -> Array:
    """Lay the hair over the ears instead of through them."""
    widest, middle = head.ear
    over = np.exp(-(((points[:, 2] - middle[2]) / 0.034) ** 2) - ((points[:, 1] - middle[1]) / 0.040) ** 2)
    keep = (widest - 0.002 + 0.008 * layer) * np.clip(1.25 * over, 0, 1)
    moved = points.copy()
    moved[:, 0] += np.sign(points[:, 0]) * 0.5 * np.maximum(keep - np.abs(points[:, 0]), 0)
    return moved


def _resample(paths: Array, count: int) -> Array:
    """Return [S, count, 3]: points at equal arc lengths of paths [S, M, 3]."""
    along = np.concatenate(
        [np.zeros((len(paths), 1)), np.linalg.norm(np.diff(paths, axis=1), axis=-1).cumsum(1)], axis=1
    )
    out = np.empty((len(paths), count, 3))
    for k, path in enumerate(paths):
        at = np.linspace(0, along[k, -1], count)
        for axis in range(3):
            out[k, :, axis] = np.interp(at, along[k], path[:, axis])
    return out


def _tones(lock: NDArray[np.intp], rng: np.random.Generator) -> Array:
    """Return [S] in [0, 1]: strands of one lock have nearly one tone."""
    return 0.6 * rng.random(int(lock.max()) + 1)[lock] + 0.4 * rng.random(len(lock))


def _strands(points: Array, width: Array, shade: Array, occlusion: Array, outward: Array) -> Strands:
    order = np.argsort(-occlusion.mean(1))  # outer strands first: the depth test then spares the inner ones' shading
    return Strands(
        points[order].astype(np.float32), np.broadcast_to(width, points.shape[:2])[order].astype(np.float32),
        shade[order].astype(np.float32), np.broadcast_to(occlusion, points.shape[:2])[order].astype(np.float32),
        outward[order].astype(np.float32),
    )  # fmt: skip
