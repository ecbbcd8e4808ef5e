"""The bust: a knitted garment round the neck and over the shoulders, modelled as rings of points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.spatial import KDTree

from aednerf.face.model import MOUTH_SOCKET
from aednerf.synthetic.mesh import HeadMesh
from aednerf.synthetic.noise import Noise, smoothstep
from aednerf.synthetic.person import SyntheticPerson

Array = NDArray[np.floating]

_AROUND, _DOWN, _TRIM = 180, 64, 9
_BREATH_UP_M, _BREATH_OUT_M = 0.0028, 0.0030


@dataclass(frozen=True)
class Garment:
    """A grid of points around the body (the torso's frame is the head's frame in the mean pose)."""

    points: Array
    """[D, A, 3] in metres, from the collar's inside down."""

    cloth: Array
    """[D, A, 2] metres of cloth around and down."""

    chest: Array
    """[D, A] how much breathing moves a point forward, in [0, 1]."""

    neckline: Array
    """[A] the height of the neckline, by the angle from the front."""

    @staticmethod
    def sew(person: SyntheticPerson, mesh: HeadMesh) -> Garment:
        """Make the garment of one person over the model's own shoulders."""
        neutral = mesh.face.neutral
        skin = neutral[: MOUTH_SOCKET.start]
        angle = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
        chin = skin[:, 1][np.abs(skin[:, 0]) < 0.01][(skin[:, 2] > 0.08)[np.abs(skin[:, 0]) < 0.01]].min()
        neckline = _neckline(person, angle, chin)
        radius = _surface(skin, angle, neckline)
        normals = mesh.normals(neutral)[: MOUTH_SOCKET.start]
        shoulder = float(skin[np.abs(np.abs(skin[:, 0]) - 0.112) < 0.006, 1].max())
        rings = _rings(person, angle, _around_neck(angle, radius, neckline, skin, normals), shoulder)
        rows = np.concatenate([np.zeros(1), np.linspace(0.012, 1, _DOWN) ** 1.25])
        points = PchipInterpolator(np.linspace(0, 1, len(rings)), rings, axis=0)(rows)
        points = _outside(points, skin, normals)
        points += _folds(points, angle, Noise(person.seed + 5))
        points = np.concatenate([_collar(points[0], skin, normals), points[1:]])
        girth = np.linalg.norm(np.diff(points, axis=1, append=points[:, :1]), axis=-1).cumsum(1)
        drop = np.linalg.norm(np.diff(points, axis=0, prepend=points[:1]), axis=-1).cumsum(0)
        around = np.broadcast_to(girth[_TRIM + 14], drop.shape)
        chest = smoothstep(-0.12, -0.26, points[..., 1]) * smoothstep(-0.02, 0.08, points[..., 2])
        return Garment(points.astype(np.float32), np.stack([around, drop], -1).astype(np.float32), chest,
                       neckline.astype(np.float32))  # fmt: skip

    def at(self, breath: float) -> Array:
        """Return the points [D, A, 3] with the chest raised by `breath` in [0, 1]."""
        moved = self.points.copy()
        moved[..., 1] += _BREATH_UP_M * breath
        moved[..., 2] += _BREATH_OUT_M * breath * self.chest
        return moved

    @staticmethod
    def lift(breath: float) -> float:
        """Return how far breathing raises the torso, in metres."""
        return _BREATH_UP_M * breath

    @staticmethod
    def normals(points: Array) -> Array:
        """Return [D, A, 3] outward unit normals of the placed grid."""
        around = np.roll(points, -1, 1) - np.roll(points, 1, 1)
        normal = np.cross(np.gradient(points, axis=0), around)
        return (normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)).astype(np.float32)

    @property
    def trim(self) -> Array:
        """[D, A] 1 on the collar's rib."""
        trim = np.zeros(self.points.shape[:2], np.float32)
        trim[:_TRIM] = 1
        return trim

    @property
    def triangles(self) -> NDArray[np.int32]:
        """[F, 3] indices of the flattened grid."""
        down, around = self.points.shape[:2]
        first = np.arange(down - 1)[:, None] * around + np.arange(around)
        right = np.arange(down - 1)[:, None] * around + (np.arange(around) + 1) % around
        quads = np.stack([first, first + around, right, right, first + around, right + around], -1)
        return quads.reshape(-1, 3).astype(np.int32)

    def covers(self, points: Array) -> NDArray[np.bool_]:
        """Return [N]: which points of the skin lie well under the cloth."""
        angle = np.arctan2(points[:, 0], points[:, 2] - _axis(points[:, 1])) % (2 * np.pi)
        edge = np.interp(angle, np.linspace(0, 2 * np.pi, _AROUND + 1), np.append(self.neckline, self.neckline[0]))
        return points[:, 1] < edge - 0.014


def _axis(height: Array) -> Array:
    """Return the z of the neck's axis at a height."""
    return np.interp(height, [-0.20, -0.14, -0.10], [-0.010, -0.004, 0.004])


def _wrapped(angle: Array) -> Array:
    return (angle + np.pi) % (2 * np.pi) - np.pi


def _neckline(person: SyntheticPerson, angle: Array, chin: float) -> Array:
    front, side, back = {"crew": (-0.060, -0.034, -0.006), "scoop": (-0.086, -0.043, -0.014)}[person.garment_style]
    c = np.cos(angle)
    return chin + np.where(c > 0, side + (front - side) * np.abs(c) ** 1.6, side + (back - side) * np.abs(c) ** 1.6)


def _surface(skin: Array, angle: Array, height: Array) -> Array:
    """Return [A]: about how far neck and shoulders reach from the neck's axis, at angles and heights."""
    near = skin[(skin[:, 1] < -0.075) & (skin[:, 2] < 0.085)]
    z = near[:, 2] - _axis(near[:, 1])
    tree = KDTree(np.stack([0.07 * np.abs(np.arctan2(near[:, 0], z)), near[:, 1]], -1))
    nearest = tree.query(np.stack([0.07 * np.abs(_wrapped(angle)), height], -1), k=6)[1]
    return np.hypot(near[:, 0], z)[nearest].mean(1)


def _around_neck(angle: Array, radius: Array, neckline: Array, skin: Array, normals: Array) -> Array:
    """Return [A, 3]: the neckline laid on the skin."""
    ring = np.stack([np.sin(angle) * radius, neckline, np.cos(angle) * radius + _axis(neckline)], -1)
    tree = KDTree(skin)
    for _ in range(4):
        nearest = tree.query(ring, k=4)[1]
        normal = normals[nearest].mean(1)
        height = ((ring - skin[nearest].mean(1)) * normal).sum(-1)
        ring = ring - (height - 0.0012)[:, None] * normal / np.linalg.norm(normal, axis=1, keepdims=True)
        ring = gaussian_filter(ring, (2.0, 0), mode="wrap")
    return ring


def _rings(person: SyntheticPerson, angle: Array, ring: Array, shoulder: float) -> Array:
    """Return [7, A, 3] control rings from the neckline `ring` [A, 3] down, over shoulders of that height."""
    s, c = np.sin(angle), np.cos(angle)
    broad = 1.0 if person.garment_style == "crew" else 0.93
    side, neckline = np.abs(s) ** 2, ring[:, 1]
    rings = [ring]
    slope = np.where(c > 0, 0.030, 0.018) * (1 - side) + 0.013 * side
    rings.append(rings[0] + np.stack([0.024 * s, -slope, 0.012 * c], -1))
    level = neckline.mean() - 0.004
    for width, front, back, y_side, y_front, y_back in (
        (0.118, 0.080, 0.084, 0.006, -0.070, -0.050),
        (0.166, 0.098, 0.100, -0.013, -0.112, -0.088),
        (0.200, 0.112, 0.112, -0.040, -0.158, -0.135),
        (0.220, 0.120, 0.118, -0.105, -0.215, -0.205),
        (0.232, 0.122, 0.118, -0.290, -0.340, -0.330),
    ):
        depth = np.where(c > 0, front, back)
        y = level + np.where(c > 0, y_front, y_back) * (1 - side) + (shoulder - level + y_side) * side
        rings.append(np.stack([width * broad * np.sign(s) * np.abs(s) ** 0.85, y, depth * broad * c - 0.012], -1))
    return np.stack(rings)


def _outside(points: Array, skin: Array, normals: Array) -> Array:
    """Push the cloth out of the skin, then smooth what that bent."""
    tree = KDTree(skin)
    pushed = points.copy()
    for gap in (0.006, 0.005, 0.004):
        distance, nearest = tree.query(pushed.reshape(-1, 3))
        height = ((pushed.reshape(-1, 3) - skin[nearest]) * normals[nearest]).sum(-1)
        near = smoothstep(0.035, 0.02, distance)
        pushed += (near * np.maximum(gap - height, 0))[:, None].reshape(*points.shape[:2], 1) * normals[
            nearest
        ].reshape(points.shape)
        pushed[1:] = np.stack(
            [
                gaussian_filter1d(gaussian_filter1d(pushed[..., axis], 0.8, 0), 1.5, 1, mode="wrap")[1:]
                for axis in range(3)
            ],
            -1,
        )
    return pushed


def _folds(points: Array, angle: Array, noise: Noise) -> Array:
    """Return [D, A, 3]: soft folds that grow away from the collar."""
    flat = (points * np.array([1, 0.35, 1])).reshape(-1, 3).astype(np.float32)
    height = noise.at(flat, 0.045, 1) + 0.5 * noise.at(flat, 0.022, 2)
    crease = np.exp(-(((np.abs(_wrapped(angle)) - np.radians(62)) / np.radians(8)) ** 2))  # between chest and arm
    inward = 0.016 * smoothstep(-0.165, -0.24, points[..., 1]) * crease
    amount = (
        0.0022 * smoothstep(0.0, 0.5, np.linspace(0, 1, len(points)))[:, None] * height.reshape(points.shape[:2])
        - inward
    )
    out = np.stack([np.sin(angle), np.zeros_like(angle), np.cos(angle)], -1)
    return amount[..., None] * out


def _collar(ring: Array, skin: Array, normals: Array) -> Array:
    """Return [T, A, 3]: a rolled rib on the neckline `ring` [A, 3], from under the cloth over to its first row."""
    out = gaussian_filter(normals[KDTree(skin).query(ring, k=6)[1]].mean(1), (3.0, 0), mode="wrap")
    out /= np.linalg.norm(out, axis=-1, keepdims=True)
    up = np.array([0.0, 1.0, 0.0]) - out[:, 1:2] * out
    up /= np.linalg.norm(up, axis=-1, keepdims=True)
    rows = []
    for t in np.linspace(0, 1, _TRIM):
        turn = np.pi * (t * 1.06 - 0.03)
        rows.append(
            ring
            + out * (0.0027 * (1 - np.cos(turn)) - 0.002)
            + up * (0.0075 * np.sin(turn) - 0.010 * max(1 - 3 * t, 0))
        )
    return np.stack(rows)
