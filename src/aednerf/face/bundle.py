"""Bundle adjustment of a rigid head: poses, points and focal length from points seen in many frames.

Robust Gauss-Newton. A residual r (pixels, the 2-D distance) of a point with standard deviation sigma costs
rho = (r/sigma)^2 / (1 + (r/(c sigma))^2), the function of Geman and McClure, whose weight is
1/sigma^2 / (1 + (r/(c sigma))^2)^2. Every point has its own sigma, estimated as it goes: loose hair and the skin
above the brows are less rigid than a nose. In `adjust` the points are eliminated (Schur complement), which leaves one
dense system in the poses and the focal length; it needs double precision. Single precision serves where frames or
points are solved one by one.

Source: Triggs et al., Bundle adjustment: a modern synthesis, 2000, sections 4 and 6; Geman and McClure, 1985.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve as solve_symmetric

from aednerf.core.records import Camera
from aednerf.face.pose import Array, Poses, linearise, project

KERNEL = 3.0
"""c of the robust function: residuals beyond this many sigmas lose their say."""

_CHUNK_FRAMES = 256
_MIN_OBSERVATIONS = 4


@dataclass(frozen=True)
class Tracks:
    """P rigid points and where N frames of the clip see them."""

    frames: Array
    """[N] int, ascending frame numbers."""

    pixels: Array
    """[N, P, 2] float32 pixels, centres at +0.5; NaN where a point is not seen."""

    points: Array
    """[P, 3] the points in the head frame, metres."""

    prior: Array
    """[P, 3] where the points are expected."""

    prior_sigma_m: float
    """Standard deviation of a point about `prior` in metres, for each coordinate."""

    sigma_px: Array
    """[P] standard deviation of each point's residual."""

    sigma_range_px: tuple[float, float]
    """What `sigma_px` may become."""

    def of_frames(self, first: int, end: int) -> Tracks:
        """Return the part that the frames [first, end) see."""
        part = slice(*np.searchsorted(self.frames, [first, end]))
        return replace(self, frames=self.frames[part], pixels=self.pixels[part])

    def of_points(self, keep: Array) -> Tracks:
        """Return the part with the points that the mask `keep` [P] marks."""
        pixels, points, prior = self.pixels[:, keep], self.points[keep], self.prior[keep]
        return replace(self, pixels=pixels, points=points, prior=prior, sigma_px=self.sigma_px[keep])

    def at(self, frames: Array) -> Tracks:
        """Return the part that the given frames see, renumbered to their places in `frames` (ascending)."""
        keep = np.isin(self.frames, frames)
        return replace(self, frames=np.searchsorted(frames, self.frames[keep]), pixels=self.pixels[keep])


@dataclass(frozen=True)
class Adjusted:
    """What a bundle adjustment found."""

    poses: Poses
    tracks: list[Tracks]
    camera: Camera
    error_px: float
    """Weighted rms distance of the tracks to their points."""


def _weights(residual: Array, tracks: Tracks, widening: float = 1.0) -> tuple[Array, Array]:
    """Return the weight [N, P] and the cost [N, P] of residuals [2, N, P]; both 0 where not seen (NaN)."""
    seen = np.isfinite(residual[0])
    variance = np.square(tracks.sigma_px * widening, dtype=residual.dtype)
    square = np.where(seen, residual[0] ** 2 + residual[1] ** 2, 0.0) / variance
    soft = 1.0 / (1.0 + square / KERNEL**2)
    return seen * soft**2 / variance, square * soft


def weighted_error(tracks: Sequence[Tracks], poses: Poses, camera: Camera) -> tuple[float, Array]:
    """Return the weighted rms distance in pixels, over all observations and [T] for each frame (NaN: none seen)."""
    square, weight = np.zeros(len(poses)), np.zeros(len(poses))
    for part in tracks:
        residual = _residual(part, poses, camera)
        part_weight, _ = _weights(residual, part)
        part_square = np.nansum(part_weight * (residual**2).sum(0), axis=1)
        np.add.at(square, part.frames, part_square)
        np.add.at(weight, part.frames, part_weight.sum(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        per_frame = np.sqrt(square / weight)
    return float(np.sqrt(square.sum() / max(weight.sum(), 1e-12))), per_frame


def _residual(tracks: Tracks, poses: Poses, camera: Camera) -> Array:
    """Return observed minus projected, [2, N, P]."""
    projected = project(tracks.points.astype(np.float32), poses[tracks.frames].single(), camera)
    return np.moveaxis(tracks.pixels - projected, -1, 0)


def _with_sigma(tracks: Tracks, residual: Array) -> Tracks:
    """Re-estimate each point's sigma from its weighted residuals."""
    weight, _ = _weights(residual, tracks)
    total = weight.sum(0)
    square = np.nansum(weight * (residual**2).sum(0), axis=0)
    # The weighted variance of a Gaussian under this kernel is a little small; 1.3 undoes that for c = 3.
    sigma = np.where(total > 0, np.sqrt(1.3 * square / np.maximum(2 * total, 1e-12)), tracks.sigma_range_px[1])
    return replace(tracks, sigma_px=np.clip(sigma, *tracks.sigma_range_px))


@dataclass
class _System:
    """The normal equations of one Gauss-Newton step, the points already eliminated; the focal length is last."""

    matrix: Array
    vector: Array
    points: list[tuple[Array, Array, Array, Array]]
    """For each track set: its rows in the system, coupling / L^T, L^-1 gradient, L (V = L L^T)."""


def _sum_outer(left: Array, right: Array) -> Array:
    """Sum [2, A, N, P] times [2, B, N, P] over the two components and P, giving [N, A, B]."""
    a = np.ascontiguousarray(left.transpose(2, 1, 0, 3)).reshape(left.shape[2], left.shape[1], -1)
    b = np.ascontiguousarray(right.transpose(2, 0, 3, 1)).reshape(right.shape[2], -1, right.shape[1])
    return a @ b


def _build(tracks: Sequence[Tracks], poses: Poses, camera: Camera, damping: float, with_focal: bool) -> _System:
    n = 6 * len(poses) + 1
    system = _System(np.zeros((n, n)), np.zeros(n), [])
    blocks = np.zeros((len(poses), 6, 6))
    for part in tracks:
        line = linearise(part.points, poses[part.frames], camera)
        residual = np.moveaxis(part.pixels, -1, 0) - line.pixels
        weight, _ = _weights(residual, part)
        residual = np.where(weight > 0, residual, 0.0)
        by_focal = line.by_log_focal[:, None] * float(with_focal)
        weighted_pose, weighted_point = weight * line.by_pose, weight * line.by_point
        rows = (6 * part.frames[:, None] + np.arange(6)).reshape(-1)

        np.add.at(blocks, part.frames, _sum_outer(weighted_pose, line.by_pose))
        system.vector[rows] += _sum_outer(weighted_pose, residual[:, None]).reshape(-1)
        edge = _sum_outer(weighted_pose, by_focal).reshape(-1)
        system.matrix[rows, -1] += edge
        system.matrix[-1, rows] += edge
        system.matrix[-1, -1] += (weight * by_focal[:, 0] ** 2).sum()
        system.vector[-1] += (weight * by_focal[:, 0] * residual).sum()

        swap = (0, 1, 3, 2)  # the same sums with points in the place of frames
        curvature = _sum_outer(weighted_point.transpose(swap), line.by_point.transpose(swap))
        gradient = _sum_outer(weighted_point.transpose(swap), residual[:, None].transpose(swap))[..., 0]
        curvature += np.eye(3) * (1.0 / part.prior_sigma_m**2)
        gradient += (part.prior - part.points) / part.prior_sigma_m**2
        curvature *= 1.0 + damping * np.eye(3)
        lower = np.linalg.cholesky(curvature)
        inverse = np.linalg.inv(lower)

        coupling = np.einsum("danp,dbnp->napb", weighted_pose, line.by_point).reshape(len(rows), -1, 3)
        focal = np.einsum("dnp,dbnp->pb", by_focal[:, 0], weighted_point)
        coupling = np.concatenate([coupling, focal[None]])
        coupling = np.matmul(coupling.transpose(1, 0, 2), inverse.transpose(0, 2, 1))  # [P, rows, 3]
        coupling = np.ascontiguousarray(coupling.transpose(1, 0, 2)).reshape(len(rows) + 1, -1)
        reduced = np.einsum("pab,pb->pa", inverse, gradient)
        rows = np.append(rows, n - 1)
        system.matrix[np.ix_(rows, rows)] -= coupling @ coupling.T
        system.vector[rows] -= coupling @ reduced.reshape(-1)
        system.points.append((rows, coupling, reduced, inverse))
    places = 6 * np.arange(len(poses))[:, None] + np.arange(6)
    system.matrix[places[:, :, None], places[:, None, :]] += blocks * (1.0 + damping * np.eye(6))
    return system


def adjust(
    tracks: Sequence[Tracks],
    poses: Poses,
    camera: Camera,
    *,
    with_focal: bool = False,
    focal_prior: tuple[float, float] | None = None,
    rounds: int = 12,
    tolerance: float = 2e-4,
) -> Adjusted:
    """Adjust poses, points and (if asked) the focal length together.

    Args:
        tracks: what the frames see; `frames` number the rows of `poses`. Their priors hold origin, axes and scale.
        poses: the start, all valid.
        camera: the start; only its focal length may change.
        with_focal: let the focal length change.
        focal_prior: (focal_px, standard deviation of its logarithm) that holds it, when it may change.
        rounds: most Gauss-Newton steps.
        tolerance: stop when a step lowers the cost by less than this share.

    Returns:
        The adjusted poses, tracks (points and sigmas) and camera.
    """
    tracks = list(tracks)
    damping, sigma = 1e-4, 0.0
    for _ in range(rounds):
        cost = _total_cost(tracks, poses, camera, focal_prior)
        for _attempt in range(4):
            system = _build(tracks, poses, camera, damping, with_focal)
            if with_focal and focal_prior is not None:
                system.matrix[-1, -1] += 1.0 / focal_prior[1] ** 2
                system.vector[-1] += np.log(focal_prior[0] / camera.focal_px) / focal_prior[1] ** 2
            trial = _step(system, tracks, poses, camera, with_focal)
            new_cost = _total_cost(trial.tracks, trial.poses, trial.camera, focal_prior)
            if new_cost < cost:
                break
            damping *= 10.0
        else:
            break
        damping = max(damping / 5.0, 1e-7)
        poses, camera = trial.poses, trial.camera
        tracks = [_with_sigma(part, _residual(part, poses, camera)) for part in trial.tracks]
        last_sigma, sigma = sigma, float(np.mean(np.concatenate([part.sigma_px for part in tracks])))
        if cost - new_cost < tolerance * cost and abs(sigma - last_sigma) < 2e-3 * sigma:
            break
    return Adjusted(poses, tracks, camera, weighted_error(tracks, poses, camera)[0])


def _total_cost(
    tracks: Sequence[Tracks], poses: Poses, camera: Camera, focal_prior: tuple[float, float] | None
) -> float:
    cost = 0.0 if focal_prior is None else (np.log(focal_prior[0] / camera.focal_px) / focal_prior[1]) ** 2
    for part in tracks:
        cost += _weights(_residual(part, poses, camera), part)[1].sum()
        cost += ((part.points - part.prior) ** 2).sum() / part.prior_sigma_m**2
    return float(cost)


def _step(system: _System, tracks: Sequence[Tracks], poses: Poses, camera: Camera, with_focal: bool) -> Adjusted:
    """Solve the reduced system, then put the solution back into the points."""
    matrix = system.matrix
    if not with_focal:
        matrix[-1, -1] = 1.0
    scale = 1.0 / np.sqrt(np.maximum(np.diag(matrix), 1e-12))
    solution = scale * solve_symmetric(matrix * scale[:, None] * scale, system.vector * scale, assume_a="pos")
    moved = []
    for part, (rows, coupling, reduced, inverse) in zip(tracks, system.points, strict=True):
        back = reduced - (solution[rows] @ coupling).reshape(-1, 3)
        moved.append(replace(part, points=part.points + np.einsum("pba,pb->pa", inverse, back)))
    focal = camera.focal_px * float(np.exp(np.clip(solution[-1], -0.3, 0.3)))
    return Adjusted(poses.moved(solution[:-1].reshape(-1, 6)), moved, replace(camera, focal_px=focal), np.nan)


def resect(
    tracks: Sequence[Tracks],
    poses: Poses,
    camera: Camera,
    *,
    free: Sequence[int] = (0, 1, 2, 3, 4, 5),
    widenings: Sequence[float] = (8.0, 4.0, 2.0, 1.0, 1.0, 1.0),
) -> Poses:
    """Fit each frame's pose to the fixed points, every frame for itself.

    Args:
        tracks: what the frames see.
        poses: [T] the start; frames without a pose stay without.
        camera: the camera.
        free: which of the six increments [w, dt] may move (see `pose`); (2, 3, 4) are roll, x and y.
        widenings: the factor on every sigma in each Gauss-Newton step: wide at first, so that a poor start is pulled
            in.

    Returns:
        [T] the fitted poses. Frames that see fewer than four points keep theirs.
    """
    moving = np.asarray(free, int)
    for first in range(0, len(poses), _CHUNK_FRAMES):
        end = min(first + _CHUNK_FRAMES, len(poses))
        chosen = first + np.flatnonzero(poses[first:end].valid)
        parts = [part.of_frames(first, end).at(chosen) for part in tracks]
        parts = [part for part in parts if len(part.frames)]
        if not parts:
            continue
        fitted = poses[chosen]
        for widening in widenings:
            matrix, vector = np.zeros((len(chosen), 6, 6)), np.zeros((len(chosen), 6))
            count = np.zeros(len(chosen))
            for part in parts:
                line = linearise(part.points.astype(np.float32), fitted[part.frames].single(), camera)
                residual = np.moveaxis(part.pixels, -1, 0) - line.pixels
                weight, _ = _weights(residual, part, widening)
                residual = np.where(weight > 0, residual, 0.0)
                weighted = weight * line.by_pose
                np.add.at(matrix, part.frames, _sum_outer(weighted, line.by_pose))
                np.add.at(vector, part.frames, _sum_outer(weighted, residual[:, None])[..., 0])
                np.add.at(count, part.frames, (weight > 0).sum(1))
            enough = np.flatnonzero(count >= _MIN_OBSERVATIONS)
            step = np.zeros((len(chosen), 6))
            few = matrix[enough][:, moving][:, :, moving] * (1.0 + 1e-6 * np.eye(len(moving)))
            step[np.ix_(enough, moving)] = np.linalg.solve(few, vector[enough][:, moving, None])[..., 0]
            # One step may not turn the head more than 0.2 rad or move it more than 5 cm: a guard for starved frames.
            size = np.maximum(np.linalg.norm(step[:, :3], axis=1) / 0.2, np.linalg.norm(step[:, 3:], axis=1) / 0.05)
            fitted = fitted.moved(step / np.maximum(size, 1.0)[:, None])
        poses = poses.replaced(chosen, fitted)
    return poses


def triangulate(tracks: Tracks, poses: Poses, camera: Camera) -> Tracks:
    """Move the points of a track set to where all the (fixed) poses see them, by one robust Gauss-Newton step."""
    curvature = np.tile(np.eye(3) / tracks.prior_sigma_m**2, (len(tracks.points), 1, 1))
    gradient = (tracks.prior - tracks.points) / tracks.prior_sigma_m**2
    for first in range(0, len(tracks.frames), _CHUNK_FRAMES):
        part = slice(first, first + _CHUNK_FRAMES)
        line = linearise(tracks.points.astype(np.float32), poses[tracks.frames[part]].single(), camera)
        residual = np.moveaxis(tracks.pixels[part], -1, 0) - line.pixels
        weight, _ = _weights(residual, tracks)
        residual = np.where(weight > 0, residual, 0.0)
        swapped = (weight * line.by_point).transpose(0, 1, 3, 2)
        curvature += _sum_outer(swapped, line.by_point.transpose(0, 1, 3, 2))
        gradient += _sum_outer(swapped, residual[:, None].transpose(0, 1, 3, 2))[..., 0]
    points = tracks.points + np.linalg.solve(curvature, gradient[..., None])[..., 0]
    moved = replace(tracks, points=points)
    return _with_sigma(moved, _residual(moved, poses, camera))
