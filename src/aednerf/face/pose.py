"""Rigid head pose: rotations, projection with its derivatives, and the pose of a known set of points in each frame.

Conventions are the project's: X_cam = R X_head + t with Z < 0 in front; u = cx - f X/Z, v = cy + f Y/Z.
A pose changes by a left increment: X_cam' = exp(w) R X_head + t + dt, so its six numbers are [w, dt].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aednerf.core.records import Camera

Array = np.ndarray

DEFAULT_FOCAL_PER_WIDTH = 1500.0 / 512.0
"""Focal length over picture width where nothing better is known: a talking head filmed from about two metres."""


@dataclass(frozen=True)
class Poses:
    """The head-to-camera pose of N frames; NaN rows where there is none."""

    rotation: Array
    """[N, 3, 3]."""

    translation: Array
    """[N, 3] metres."""

    def __len__(self) -> int:
        return len(self.rotation)

    def __getitem__(self, frames: Array | slice) -> Poses:
        return Poses(self.rotation[frames], self.translation[frames])

    @property
    def valid(self) -> Array:
        """[N] bool: which frames have a pose."""
        return np.asarray(np.isfinite(self.translation).all(-1) & np.isfinite(self.rotation).all((-1, -2)))

    def single(self) -> Poses:
        """Return the poses in single precision, enough for 1e-4 pixels."""
        return Poses(self.rotation.astype(np.float32), self.translation.astype(np.float32))

    def moved(self, step: Array) -> Poses:
        """Return the poses after the increments `step` [N, 6] (radians, metres)."""
        return Poses(rotation_from_vector(step[:, :3]) @ self.rotation, self.translation + step[:, 3:])

    def replaced(self, frames: Array, poses: Poses) -> Poses:
        """Return a copy in which `frames` have the poses of `poses`."""
        rotation, translation = self.rotation.copy(), self.translation.copy()
        rotation[frames], translation[frames] = poses.rotation, poses.translation
        return Poses(rotation, translation)


def rotation_from_vector(vector: Array) -> Array:
    """Turn rotation vectors [..., 3] (radians) into matrices [..., 3, 3] (Rodrigues' formula)."""
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(vector, -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*vector.shape[:-1], 3, 3)
    # np.sinc and the half-angle form stay exact at angle zero.
    return (
        np.eye(3) + np.sinc(angle / np.pi) * cross + 0.5 * np.sinc(angle / (2 * np.pi)) ** 2 * (cross @ cross)
    )  # fmt: skip


def rotation_angle(rotation: Array) -> Array:
    """Return the angle of each rotation matrix [..., 3, 3] in radians, exact for small angles too."""
    skew = rotation - np.swapaxes(rotation, -1, -2)
    sine = 0.5 * np.sqrt(skew[..., 2, 1] ** 2 + skew[..., 0, 2] ** 2 + skew[..., 1, 0] ** 2)
    return np.arctan2(sine, 0.5 * (np.trace(rotation, axis1=-2, axis2=-1) - 1.0))


def angles_from_rotation(rotation: Array) -> Array:
    """Split rotations [..., 3, 3] into [..., 3] yaw, pitch, roll in radians, where R = Rz(roll) Rx(pitch) Ry(yaw).

    Roll comes last, so it turns the picture in its own plane: the part that image points fix best.
    """
    pitch = np.arcsin(np.clip(rotation[..., 2, 1], -1.0, 1.0))
    yaw = np.arctan2(-rotation[..., 2, 0], rotation[..., 2, 2])
    roll = np.arctan2(-rotation[..., 0, 1], rotation[..., 1, 1])
    return np.stack([yaw, pitch, roll], axis=-1)


def rotation_from_angles(angles: Array) -> Array:
    """Join yaw, pitch, roll [..., 3] in radians into rotations; the inverse of `angles_from_rotation`."""
    axes = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    yaw, pitch, roll = (rotation_from_vector(angles[..., i, None] * axes[i]) for i in range(3))
    return roll @ pitch @ yaw


def project(points: Array, poses: Poses, camera: Camera) -> Array:
    """Project head points [P, 3] with N poses to pixels [N, P, 2]."""
    return camera.project(points @ np.swapaxes(poses.rotation, -1, -2) + poses.translation[:, None])


@dataclass(frozen=True)
class Linearised:
    """Projections and what they change with; N poses, P points."""

    pixels: Array
    """[2, N, P]."""

    by_pose: Array
    """[2, 6, N, P] derivative to the pose increment [w, dt]."""

    by_point: Array
    """[2, 3, N, P] derivative to the head point."""

    by_log_focal: Array
    """[2, N, P] derivative to the logarithm of the focal length."""


def linearise(points: Array, poses: Poses, camera: Camera) -> Linearised:
    """Project head points [P, 3] with N poses and differentiate; components come first, for plain arithmetic."""
    turned = np.moveaxis(points @ np.swapaxes(poses.rotation, -1, -2), -1, 0)
    x, y, z = turned + poses.translation.T[:, :, None]
    scale = camera.focal_px / z
    u, v = -scale * x, scale * y
    zero = np.zeros_like(u)
    by_camera = np.stack([np.stack([-scale, zero, -u / z]), np.stack([zero, scale, -v / z])])
    dx, dy, dz = by_camera[:, 0], by_camera[:, 1], by_camera[:, 2]
    rx, ry, rz = turned
    by_rotation = np.stack([dz * ry - dy * rz, dx * rz - dz * rx, dy * rx - dx * ry], axis=1)
    by_point = np.einsum("dcnp,ncb->dbnp", by_camera, poses.rotation, optimize=True)
    pixels = np.stack([camera.cx + u, camera.cy + v])
    return Linearised(pixels, np.concatenate([by_rotation, by_camera], axis=1), by_point, np.stack([u, v]))


def first_poses(observed: Array, points: Array, camera: Camera) -> Poses:
    """Find the pose of known points in each frame in closed form, by scaled orthography.

    Args:
        observed: [N, P, 2] pixels, all finite.
        points: [P, 3] head points in metres.
        camera: the camera; its focal length turns the scale into a distance.

    Returns:
        Poses good to a few degrees, the start of a refinement.

    Source: DeMenthon and Davis, Model-based object pose in 25 lines of code, IJCV 1995 (the first iteration, POS).
    """
    centre = points.mean(0)
    target = (observed - observed.mean(1, keepdims=True)) * np.array([1.0, -1.0])
    affine = np.swapaxes(np.linalg.pinv(points - centre) @ target, -1, -2)
    left, size, right = np.linalg.svd(affine, full_matrices=False)
    rows = left @ right
    rotation = np.concatenate([rows, np.cross(rows[:, 0], rows[:, 1])[:, None]], axis=1)
    distance = camera.focal_px / size.mean(-1)
    middle = observed.mean(1)
    offset = np.stack([middle[:, 0] - camera.cx, camera.cy - middle[:, 1]], axis=-1) / camera.focal_px
    position = np.concatenate([offset * distance[:, None], -distance[:, None]], axis=1)
    return Poses(rotation, position - rotation @ centre)
