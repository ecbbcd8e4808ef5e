"""Fit the face model to landmarks: one person's identity, and the 52 coefficients of every frame.

Residuals are pixels of a picture scaled to 512 wide. All frames of all clips are solved together, alternating

  A. each frame's coefficients and small pose change: Gauss-Newton under the bounds [0, 1], batched over frames;
  B. what all frames share: identity, a constant 3-D offset of each landmark, and each clip's gauge (the rigid motion and
     scale between the frame in which its poses were measured and the face model's), in one linear system.

The pose given is a prior, not fixed: landmarks jitter as one, and that has to go somewhere other than the brows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES, Camera
from aednerf.face import topology
from aednerf.face.model import N_IDENTITY, FacePoints, PersonPoints
from aednerf.face.pose import Poses, rotation_from_vector

Array = np.ndarray

REFERENCE_WIDTH = 512
N_COEFFICIENTS = len(ARKIT_NAMES)

_EYES = (
    (topology.LEFT_EYE, topology.LEFT_IRIS, ARKIT_NAMES.index("eyeBlinkLeft")),
    (topology.RIGHT_EYE, topology.RIGHT_IRIS, ARKIT_NAMES.index("eyeBlinkRight")),
)


@dataclass(frozen=True)
class FitConfig:
    """How strongly the fit holds to what is likely. Standard deviations; residuals have 1 px at 512."""

    rounds: int = 8
    """Alternations of the two steps."""

    ridge: float = 20.0
    """Cost of a squared coefficient, against squared pixels summed over the landmarks."""

    sparsity: float = 40.0
    """Cost of a coefficient (not squared): holds at 0 what the landmarks hardly speak of."""

    smoothness: float = 20.0
    """Cost of the squared distance of a coefficient from the mean of its neighbours in time."""

    rotation_sd_rad: float = float(np.deg2rad(0.3))
    """A frame's rotation may differ from the given pose's by this much."""

    translation_sd_m: float = 0.002
    """A frame's translation may differ from the given pose's by this much."""

    offset_sd_m: float = 0.003
    """A landmark's constant offset from its place on the face model."""

    lip_gap_sd_m: float = 0.0003
    """How far the offsets of facing points of the lips' inner rims may differ: closed lips must stay closed."""

    pose_prior_points: float = 10.0
    """How many landmarks share one error: the pose prior counts this much more than it would beside independent ones."""

    frames_in_common: int = 10
    """How many independent frames a recording counts as when the priors on the shared unknowns are weighed."""


@dataclass(frozen=True)
class FaceFit:
    """What the fit found; rows of frames without a face are NaN."""

    identity: Array
    """[100] weights of the identity modes."""

    offsets: Array
    """[478, 3] metres, head frame: each landmark's constant offset from its place on the face model."""

    expression: Array
    """[T, 52] ARKit coefficients in [0, 1]."""

    poses: Poses
    """The given poses, each clip's moved by one constant gauge into the face model's frame: those to store and train with."""

    fitted_poses: Poses
    """The poses at which the landmarks fit best: jittery, of use only beside `expression`."""

    landmarks_px: Array
    """[T, 478, 2] the fitted landmarks."""

    error_px: Array
    """[T] root mean square over the points inside the face, weighted as in the fit, in pixels at 512 wide."""

    person: PersonPoints
    """The 478 landmarks of this person, offsets included."""


def fit_expression(
    landmarks_px: Array,
    poses: Poses,
    cameras: list[Camera],
    clip_of: Array,
    points: FacePoints,
    scores: Array | None = None,
    config: FitConfig = FitConfig(),
    progress: Callable[[float], None] | None = None,
) -> FaceFit:
    """Fit one person's identity and expressions to the landmarks of all clips.

    Args:
        landmarks_px: [T, 478, 2] pixels; NaN rows where there is no face.
        poses: T head-to-camera poses, the prior; NaN rows where there is none.
        cameras: one camera per clip.
        clip_of: [T] clip of each frame; a clip's frames are consecutive.
        points: the landmarks on the face model (`correspondence.landmark_points`).
        scores: [T, 52] the detector's blendshape scores, where the fit starts.
        config: priors and the number of rounds.
        progress: told the share of the work done, in [0, 1].

    Returns:
        The fit.

    Raises:
        InputError: no frame has both a face and a pose, or the shapes do not agree.

    Source: alternating Gauss-Newton with a Schur complement over the landmarks; priors as in Thies et al., Face2Face,
    CVPR 2016, section 4 (normal identity, small expression), the constant landmark offsets are ours.
    """
    n_frames = len(landmarks_px)
    if landmarks_px.shape[1:] != (topology.N_LANDMARKS, 2) or len(poses) != n_frames or len(clip_of) != n_frames:
        raise InputError(f"Expected landmarks [T, 478, 2] and as many poses and clip numbers, got landmarks "
                         f"{list(landmarks_px.shape)}, {len(poses)} poses, {len(clip_of)} clip numbers.")  # fmt: skip
    valid = np.flatnonzero(np.isfinite(landmarks_px).all((1, 2)) & poses.valid)
    if not len(valid):
        raise InputError("No frame has a face and a head pose. Use a recording in which the face is seen from the front.")
    clips = np.asarray(clip_of)[valid]
    view = _View.of(cameras, clips)
    observed = view.normalised(landmarks_px[valid])
    weights = _weights(observed)
    closed = np.array([_closed_share(_lid_gap(observed, ring)) for ring, _, _ in _EYES])
    start = np.zeros((len(valid), N_COEFFICIENTS)) if scores is None else np.nan_to_num(scores[valid]).astype(float)
    state = _State(
        identity=np.zeros(N_IDENTITY), offsets=np.zeros((topology.N_LANDMARKS, 3)),
        expression=np.clip(start, 0, 1), prior=poses[valid], poses=poses[valid], closed_share=closed,
    )  # fmt: skip
    neighbours = _neighbours(valid, clips)
    for i in range(config.rounds):
        state = _fit_shared(state, points, observed, weights, view, clips, config)
        state = _fit_frames(state, points, observed, weights, view, neighbours, config)
        if progress is not None:
            progress((i + 1) / config.rounds)
    return _result(state, points, observed, weights, view, valid, n_frames)


def inner_landmarks() -> Array:
    """Return the landmarks that the error counts: all but the outline, whose points slide."""
    return np.setdiff1d(np.arange(topology.N_LANDMARKS), topology.SLIDING)


@dataclass(frozen=True)
class _State:
    """All unknowns, for the valid frames only."""

    identity: Array
    offsets: Array
    expression: Array
    prior: Poses
    poses: Poses
    closed_share: Array
    """[2] what is left of the gap that the detector sees between the lids of a closed eye: left, right."""

    def person(self, points: FacePoints) -> PersonPoints:
        """Return the landmarks of the person, whose lids meet as the detector sees them meet at eyeBlink 1."""
        person = points.person(self.identity.astype(np.float32))
        neutral = person.neutral + self.offsets.astype(np.float32)
        expressions = person.expressions.copy()
        for (ring, _, blink), share in zip(_EYES, self.closed_share, strict=True):
            travel = expressions[blink][list(ring[1:8])] - expressions[blink][list(ring[:8:-1])]
            gain = (1.0 - share) * _lid_gap(neutral, ring) / np.linalg.norm(travel, axis=-1).mean()
            expressions[blink] *= np.float32(gain)
        return replace(person, neutral=neutral, expressions=expressions)


@dataclass(frozen=True)
class _View:
    """The cameras of the valid frames, in pixels at 512 wide about the principal point, v upwards."""

    focal: Array
    centre: Array
    scale: Array

    @staticmethod
    def of(cameras: list[Camera], clips: Array) -> _View:
        scale = np.array([REFERENCE_WIDTH / camera.width for camera in cameras])[clips]
        centre = np.array([(camera.cx, camera.cy) for camera in cameras])[clips]
        return _View(np.array([camera.focal_px for camera in cameras])[clips] * scale, centre, scale)

    def normalised(self, pixels: Array) -> Array:
        return (pixels - self.centre[:, None]) * self.scale[:, None, None] * (1.0, -1.0)

    def pixels(self, normalised: Array) -> Array:
        return normalised * (1.0, -1.0) / self.scale[:, None, None] + self.centre[:, None]

    def project(self, head_points: Array, poses: Poses, frames: slice | Array = slice(None)) -> tuple[Array, Array]:
        """Project [T, P, 3] points: [T, P, 2], and the derivative to the head point [T, P, 2, 3]."""
        camera = head_points @ np.swapaxes(poses.rotation, -1, -2) + poses.translation[:, None]
        factor = -self.focal[frames, None] / camera[..., 2]
        seen = camera[..., :2] * factor[..., None]
        slope = -seen / camera[..., 2, None]
        by_camera = np.zeros((*camera.shape[:2], 2, 3))
        by_camera[..., 0, 0] = by_camera[..., 1, 1] = factor
        by_camera[..., 2] = slope
        return seen, by_camera @ poses.rotation[:, None]


def _weights(observed: Array) -> Array:
    """Return [T, 478]: the square roots of how much each landmark counts.

    The outline slides along the face. Lips and lids carry what people look at. Behind closed lids the iris is a guess.
    """
    weight = np.ones(topology.N_LANDMARKS)
    weight[list(topology.SLIDING)] = 0.1
    rings = (topology.LIPS_OUTER_RING, topology.LIPS_INNER_RING, topology.LEFT_EYE, topology.RIGHT_EYE)
    weight[[i for ring in rings for i in ring]] = 2.0
    weights = np.tile(weight, (len(observed), 1))
    for ring, iris, _ in _EYES:
        gap = _lid_gap(observed, ring)
        openness = np.clip(gap / np.median(gap) * 2.0 - 0.6, 0.01, 1.0)
        weights[:, list(iris)] = 3.0 * openness[:, None]
    return np.sqrt(weights)


def _lid_gap(points: Array, ring: tuple[int, ...]) -> Array:
    """Return the mean distance of facing points of the lids: points [..., 478, D] -> [...]."""
    return np.linalg.norm(points[..., ring[1:8], :] - points[..., ring[:8:-1], :], axis=-1).mean(-1)


def _closed_share(gap: Array) -> float:
    """Return the gap of closed lids over that of open ones; the detector never lets them touch.

    A recording without a blink says nothing about it: then 0.2, about what it is on others.
    """
    share = float(np.quantile(gap, 0.002) / np.quantile(gap, 0.7))
    return share if share < 0.5 else 0.2


def _neighbours(valid: Array, clips: Array) -> tuple[Array, Array]:
    """Return each frame's neighbours in time (indices before and after); the frame itself where there is none."""
    index = np.arange(len(valid))
    joined = (np.diff(valid) == 1) & (np.diff(clips) == 0)
    return np.where(np.r_[False, joined], index - 1, index), np.where(np.r_[joined, False], index + 1, index)


def _blocks(n: int, size: int = 128) -> list[slice]:
    return [slice(first, min(first + size, n)) for first in range(0, n, size)]


# Step A: each frame's coefficients and pose.


def _fit_frames(
    state: _State, points: FacePoints, observed: Array, weights: Array, view: _View,
    neighbours: tuple[Array, Array], config: FitConfig,
) -> _State:  # fmt: skip
    person = state.person(points)
    directions = person.expressions + person.look_derivatives()
    before, after = neighbours
    smooth_goal = 0.5 * (state.expression[before] + state.expression[after])
    expression, steps = np.empty_like(state.expression), np.empty((len(observed), 6))
    for block in _blocks(len(observed)):
        start = state.expression[block]
        hessian, gradient = _frame_equations(
            person, directions, start, state.poses[block], observed[block], weights[block], view, block
        )
        _add_pose_prior(hessian, gradient, state.poses[block], state.prior[block], config)
        _add_expression_prior(hessian, gradient, start, smooth_goal[block], config)
        step = _bounded_step(hessian, gradient, start)
        steps[block], expression[block] = step[:, :6], np.clip(start + step[:, 6:], 0.0, 1.0)
    return replace(state, expression=expression, poses=state.poses.moved(steps))


def _frame_equations(
    person: PersonPoints, directions: Array, expression: Array, poses: Poses, observed: Array, weights: Array,
    view: _View, frames: slice,
) -> tuple[Array, Array]:  # fmt: skip
    """Return the Gauss-Newton matrix [T, 58, 58] and gradient [T, 58] of the landmarks: six of the pose, 52 coefficients."""
    head = person.at(expression).astype(float)
    seen, by_point = view.project(head, poses, frames)
    root = weights[..., None]
    residual = ((seen - observed) * root).reshape(len(head), -1).astype(np.float32)
    by_point = by_point * root[..., None]
    turned = head @ np.swapaxes(poses.rotation, -1, -2)
    by_camera = by_point @ np.swapaxes(poses.rotation, -1, -2)[:, None]
    by_rotation = np.cross(turned[:, :, None], by_camera)
    by_expression = np.einsum("tpdc,kpc->tpdk", by_point.astype(np.float32), directions, optimize=True)
    jacobian = np.concatenate([by_rotation, by_camera, by_expression], axis=-1, dtype=np.float32)
    jacobian = jacobian.reshape(len(head), -1, 6 + N_COEFFICIENTS)
    transposed = np.swapaxes(jacobian, -1, -2)
    return (transposed @ jacobian).astype(float), (transposed @ residual[..., None])[..., 0].astype(float)


def _add_pose_prior(hessian: Array, gradient: Array, poses: Poses, prior: Poses, config: FitConfig) -> None:
    relative = poses.rotation @ np.swapaxes(prior.rotation, -1, -2)
    skew = 0.5 * (relative - np.swapaxes(relative, -1, -2))
    turn = np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=-1)
    sd = np.repeat([config.rotation_sd_rad, config.translation_sd_m], 3)
    weight = config.pose_prior_points / sd**2
    gradient[:, :6] += weight * np.concatenate([turn, poses.translation - prior.translation], axis=-1)
    hessian[:, range(6), range(6)] += weight


def _add_expression_prior(hessian: Array, gradient: Array, start: Array, smooth_goal: Array, config: FitConfig) -> None:
    quadratic = _expression_prior(config)
    hessian[:, 6:, 6:] += quadratic + config.smoothness * np.eye(N_COEFFICIENTS)
    gradient[:, 6:] += start @ quadratic + config.sparsity + config.smoothness * (start - smooth_goal)
    # The mouth cannot be closed further than the jaw is open.
    close, jaw = 6 + ARKIT_NAMES.index("mouthClose"), 6 + ARKIT_NAMES.index("jawOpen")
    excess = start[:, close - 6] - start[:, jaw - 6]
    weight = np.where(excess > 0, 500.0, 0.0)
    for i, sign in ((close, 1.0), (jaw, -1.0)):
        gradient[:, i] += sign * weight * excess
        hessian[:, i, i] += weight
    hessian[:, close, jaw] -= weight
    hessian[:, jaw, close] -= weight


def _expression_prior(config: FitConfig) -> Array:
    """Return [52, 52]: small coefficients, and both eyes looking the same way."""
    quadratic = config.ridge * np.eye(N_COEFFICIENTS)
    sideways = {"eyeLookOutLeft": 1, "eyeLookInLeft": -1, "eyeLookOutRight": 1, "eyeLookInRight": -1}
    upwards = {"eyeLookUpLeft": 1, "eyeLookDownLeft": -1, "eyeLookUpRight": -1, "eyeLookDownRight": 1}
    for relation in (sideways, upwards):
        row = np.array([relation.get(name, 0) for name in ARKIT_NAMES], float)
        quadratic += 10.0 * config.ridge * np.outer(row, row)
    return quadratic


def _bounded_step(hessian: Array, gradient: Array, start: Array) -> Array:
    """Minimise each frame's quadratic over the pose (free) and the coefficients (within [0, 1]); return the step [T, 58]."""
    across = np.linalg.solve(hessian[:, :6, :6], np.concatenate([hessian[:, :6, 6:], gradient[:, :6, None]], axis=-1))
    reduced = hessian[:, 6:, 6:] - hessian[:, 6:, :6] @ across[..., :-1]
    slope = gradient[:, 6:] - (hessian[:, 6:, :6] @ across[..., -1:])[..., 0]
    step = _minimise_in_box(reduced, slope, -start, 1.0 - start)
    pose = -across[..., -1] - (across[..., :-1] @ step[..., None])[..., 0]
    return np.concatenate([pose, step], axis=-1)


def _minimise_in_box(hessian: Array, gradient: Array, low: Array, high: Array, passes: int = 4, sweeps: int = 5) -> Array:
    """Minimise x.H x / 2 + g.x for low <= x <= high in each of T problems, from x = 0.

    Newton steps over the coefficients that no bound holds are kept where they lower the value; coordinate descent
    between them frees and freezes coefficients, and never raises it.
    """
    x = np.zeros_like(gradient)
    slope = gradient.copy()
    diagonal = np.diagonal(hessian, axis1=1, axis2=2)
    for _ in range(passes):
        free = ~(((x <= low) & (slope > 0)) | ((x >= high) & (slope < 0)))
        newton = hessian * (free[:, :, None] & free[:, None, :])
        newton[:, range(x.shape[1]), range(x.shape[1])] += ~free
        move = np.clip(x - np.linalg.solve(newton, (slope * free)[..., None])[..., 0], low, high) - x
        change = (hessian @ move[..., None])[..., 0]
        is_lower = ((slope + 0.5 * change) * move).sum(-1) < 0
        x = np.where(is_lower[:, None], x + move, x)
        slope = np.where(is_lower[:, None], slope + change, slope)
        for _ in range(sweeps):
            for k in range(x.shape[1]):
                move = np.clip(x[:, k] - slope[:, k] / diagonal[:, k], low[:, k], high[:, k]) - x[:, k]
                x[:, k] += move
                slope += move[:, None] * hessian[:, k]
    return x


# Step B: what all frames share.


def _fit_shared(
    state: _State, points: FacePoints, observed: Array, weights: Array, view: _View, clips: Array, config: FitConfig
) -> _State:
    """Solve identity, offsets and the clips' gauges; the offsets are eliminated first, landmark by landmark."""
    person = state.person(points)
    n_clips = int(clips.max()) + 1
    n_gauge = 7 * n_clips
    square = np.zeros((topology.N_LANDMARKS, 3, 3))
    mixed = np.zeros((topology.N_LANDMARKS, 3, n_gauge))
    pull = np.zeros((topology.N_LANDMARKS, 3))
    gauge_square, gauge_pull = np.zeros((n_gauge, n_gauge)), np.zeros(n_gauge)
    share = min(1.0, config.frames_in_common / len(observed))
    for block in _blocks(len(observed)):
        head = person.at(state.expression[block]).astype(float)
        seen, by_point = view.project(head, state.poses[block], block)
        root = weights[block][..., None] * np.sqrt(share)
        by_point, residual = by_point * root[..., None], (observed[block] - seen) * root
        normal = np.swapaxes(by_point, -1, -2) @ by_point
        force = np.einsum("tpdc,tpd->tpc", by_point, residual)
        square += normal.sum(0)
        pull += force.sum(0)
        motions = _gauge_motions(head)
        response = normal @ motions
        for clip in np.unique(clips[block]):
            own, columns = clips[block] == clip, slice(7 * clip, 7 * clip + 7)
            mixed[:, :, columns] += response[own].sum(0)
            gauge_square[columns, columns] += np.einsum("tpci,tpcj->ij", motions[own], response[own], optimize=True)
            gauge_pull[columns] += np.einsum("tpci,tpc->i", motions[own], force[own])
    return _solve_shared(state, points, square, mixed, pull, gauge_square, gauge_pull, clips, config)


def _gauge_motions(head: Array) -> Array:
    """Return [T, P, 3, 7]: how a point of the head moves with a turn, a shift and a growth of the whole head."""
    x, y, z = np.moveaxis(head, -1, 0)
    zero, one = np.zeros_like(x), np.ones_like(x)
    rows = [[zero, z, -y, one, zero, zero, x], [-z, zero, x, zero, one, zero, y], [y, -x, zero, zero, zero, one, z]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _solve_shared(
    state: _State, points: FacePoints, square: Array, mixed: Array, pull: Array, gauge_square: Array,
    gauge_pull: Array, clips: Array, config: FitConfig,
) -> _State:  # fmt: skip
    """Minimise over [offsets | identity, gauges], the offsets being coupled in facing pairs of the inner lips only."""
    n_points, n_gauge = len(square), len(gauge_pull)
    modes = points.identities.astype(float).transpose(1, 2, 0)
    n_shared = N_IDENTITY + n_gauge
    # Landmark equations: (square + prior) step + coupling shared = force.
    coupling = np.concatenate([square @ modes, mixed], axis=-1).reshape(3 * n_points, n_shared)
    matrix = np.zeros((n_points, 3, n_points, 3))
    matrix[range(n_points), :, range(n_points)] = square + np.eye(3) / config.offset_sd_m**2
    force = pull - state.offsets / config.offset_sd_m**2
    for upper, lower in zip(topology.LIPS_UPPER_INNER, topology.LIPS_LOWER_INNER, strict=True):
        gap = state.offsets[upper] - state.offsets[lower]
        for i, j, sign in ((upper, lower, 1.0), (lower, upper, -1.0)):
            matrix[i, range(3), i, range(3)] += 1 / config.lip_gap_sd_m**2
            matrix[i, range(3), j, range(3)] -= 1 / config.lip_gap_sd_m**2
            force[i] -= sign * gap / config.lip_gap_sd_m**2
    matrix, force = matrix.reshape(3 * n_points, -1), force.ravel()
    # The shared unknowns' own equations.
    flat_modes = modes.reshape(3 * n_points, N_IDENTITY)
    shared = np.zeros((n_shared, n_shared))
    shared[:N_IDENTITY, :N_IDENTITY] = flat_modes.T @ coupling[:, :N_IDENTITY] + np.eye(N_IDENTITY)
    shared[:N_IDENTITY, N_IDENTITY:] = flat_modes.T @ coupling[:, N_IDENTITY:]
    shared[N_IDENTITY:, :N_IDENTITY] = shared[:N_IDENTITY, N_IDENTITY:].T
    shared[N_IDENTITY:, N_IDENTITY:] = gauge_square + np.eye(n_gauge)
    shared_force = np.concatenate([flat_modes.T @ pull.ravel() - state.identity, gauge_pull])
    eliminated = np.linalg.solve(matrix, np.concatenate([coupling, force[:, None]], axis=1))
    step = np.linalg.solve(shared - coupling.T @ eliminated[:, :-1], shared_force - coupling.T @ eliminated[:, -1])
    offsets = state.offsets + (eliminated[:, -1] - eliminated[:, :-1] @ step).reshape(n_points, 3)
    gauge = step[N_IDENTITY:].reshape(-1, 7)[clips]
    return replace(
        state, identity=state.identity + step[:N_IDENTITY], offsets=offsets,
        prior=_regauged(state.prior, gauge), poses=_regauged(state.poses, gauge),
    )  # fmt: skip


def _regauged(poses: Poses, gauge: Array) -> Poses:
    """Move the head's frame: gauge [T, 7] is a turn, a shift and a growth of the head, the last undone by the distance."""
    shift = (poses.rotation @ gauge[:, 3:6, None])[..., 0]
    rotation = poses.rotation @ rotation_from_vector(gauge[:, :3])
    return Poses(rotation, (poses.translation + shift) / np.exp(gauge[:, 6:]))


def _result(
    state: _State, points: FacePoints, observed: Array, weights: Array, view: _View, valid: Array, n_frames: int
) -> FaceFit:
    person = state.person(points)
    seen = np.concatenate(
        [view.project(person.at(state.expression[b]).astype(float), state.poses[b], b)[0] for b in _blocks(len(valid))]
    )
    inner = inner_landmarks()
    squared = ((seen - observed) ** 2).sum(-1)[:, inner]
    importance = weights[:, inner] ** 2
    error = np.sqrt((squared * importance).sum(1) / importance.sum(1))

    def whole(rows: Array) -> Array:
        out = np.full((n_frames, *rows.shape[1:]), np.nan, np.float32 if rows.ndim < 3 else float)
        out[valid] = rows
        return out

    return FaceFit(
        identity=state.identity.astype(np.float32),
        offsets=state.offsets.astype(np.float32),
        expression=whole(state.expression),
        poses=Poses(whole(state.prior.rotation), whole(state.prior.translation).astype(float)),
        fitted_poses=Poses(whole(state.poses.rotation), whole(state.poses.translation).astype(float)),
        landmarks_px=whole(view.pixels(seen)).astype(np.float32),
        error_px=whole(error),
        person=person,
    )
