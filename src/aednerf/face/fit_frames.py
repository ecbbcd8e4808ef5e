"""Step A of the face fit: each frame's coefficients and small pose change, Gauss-Newton under bounds, batched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aednerf.core.records import ARKIT_NAMES
from aednerf.face.fit_state import N_COEFFICIENTS, FitConfig, FitState, FitView, blocks
from aednerf.face.model import FacePoints, PersonPoints
from aednerf.face.pose import Poses

Array = np.ndarray

MOUTH_CLOSE, JAW_OPEN = ARKIT_NAMES.index("mouthClose"), ARKIT_NAMES.index("jawOpen")

_CAUTIONS = {
    "eyeBlink": 0.2, "eyeLook": 0.3, "eyeWide": 0.45, "eyeSquint": 0.7, "browDown": 0.4, "browInnerUp": 0.3,
    "browOuterUp": 3.0, "cheekSquint": 0.4, "noseSneer": 0.6, "jawOpen": 0.07, "jawForward": 3.0, "jawLeft": 4.0,
    "jawRight": 4.0, "mouthClose": 0.25, "mouthFunnel": 0.6, "mouthPucker": 0.6, "mouthSmile": 0.7, "mouthFrown": 2.0,
    "mouthUpperUp": 1.5, "mouthLowerDown": 2.0, "mouthStretch": 1.5, "mouthDimple": 3.0, "mouthShrug": 1.6,
}  # fmt: skip
"""How strongly the priors hold the coefficients whose names begin so; 1 the others. Found by search, such that fitted
coefficients follow the true ones of computer-generated people, and tell what a real mouth and real eyes show."""

_CAUTION = np.array([
    next((weight for start, weight in _CAUTIONS.items() if name.startswith(start)), 1.0) for name in ARKIT_NAMES
])  # fmt: skip
"""[52] the same by coefficient."""

_MIRRORED = tuple(
    (ARKIT_NAMES.index(name), ARKIT_NAMES.index(name.removesuffix("Left") + "Right"))
    for name in ARKIT_NAMES
    if name.endswith("Left") and not name.startswith(("eyeLook", "jaw", "mouthLeft"))
)
"""Pairs of coefficients of one muscle on both sides: faces move nearly alike on both, the detector less so."""


def fit_frames(
    state: FitState, points: FacePoints, observed: Array, weights: Array, view: FitView,
    neighbours: tuple[Array, Array], config: FitConfig,
) -> FitState:  # fmt: skip
    person = state.person(points)
    directions = person.expressions + person.look_derivatives()
    before, after = neighbours
    smooth_goal = 0.5 * (state.expression[before] + state.expression[after])
    expression, steps = np.empty_like(state.expression), np.empty((len(observed), 6))
    for block in blocks(len(observed)):
        start = state.expression[block]
        hessian, gradient = _frame_equations(
            person, directions, start, state.poses[block], observed[block], weights[block], view, block
        )
        _add_pose_prior(hessian, gradient, state.poses[block], state.prior[block], config)
        _add_expression_prior(hessian, gradient, start, smooth_goal[block], config)
        step = _bounded_step(hessian, gradient, start)
        steps[block], expression[block] = step[:, :6], np.clip(start + step[:, 6:], 0.0, 1.0)
    expression[:, MOUTH_CLOSE] = np.minimum(expression[:, MOUTH_CLOSE], expression[:, JAW_OPEN])
    return replace(state, expression=expression, poses=state.poses.moved(steps))


def _frame_equations(
    person: PersonPoints, directions: Array, expression: Array, poses: Poses, observed: Array, weights: Array,
    view: FitView, frames: slice,
) -> tuple[Array, Array]:  # fmt: skip
    """Return the landmarks' Gauss-Newton matrix [T, 58, 58] and gradient [T, 58]: the pose, then the coefficients."""
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
    sparsity = config.sparsity * _CAUTION
    hessian[:, 6:, 6:] += quadratic + config.smoothness * np.eye(N_COEFFICIENTS)
    gradient[:, 6:] += start @ quadratic + sparsity + config.smoothness * (start - smooth_goal)
    # The mouth cannot be closed further than the jaw is open.
    close, jaw = 6 + MOUTH_CLOSE, 6 + JAW_OPEN
    excess = start[:, MOUTH_CLOSE] - start[:, JAW_OPEN]
    weight = np.where(excess > -1e-3, 500.0, 0.0)
    for i, sign in ((close, 1.0), (jaw, -1.0)):
        gradient[:, i] += sign * weight * excess
        hessian[:, i, i] += weight
    hessian[:, close, jaw] -= weight
    hessian[:, jaw, close] -= weight


def _expression_prior(config: FitConfig) -> Array:
    """Return [52, 52]: small coefficients, both sides moving alike, and both eyes looking the same way."""
    quadratic = config.ridge * np.diag(_CAUTION)
    sideways = {"eyeLookOutLeft": 1, "eyeLookInLeft": -1, "eyeLookOutRight": 1, "eyeLookInRight": -1}
    upwards = {"eyeLookUpLeft": 1, "eyeLookDownLeft": -1, "eyeLookUpRight": -1, "eyeLookDownRight": 1}
    for relation in (sideways, upwards):
        row = np.array([relation.get(name, 0) for name in ARKIT_NAMES], float)
        quadratic += 10.0 * config.ridge * np.outer(row, row)
    for left, right in _MIRRORED:
        quadratic[[left, right], [left, right]] += config.symmetry
        quadratic[[left, right], [right, left]] -= config.symmetry
    return quadratic


def _bounded_step(hessian: Array, gradient: Array, start: Array) -> Array:
    """Minimise each frame's quadratic, coefficients kept in [0, 1]; return the whole step [T, 58]."""
    across = np.linalg.solve(hessian[:, :6, :6], np.concatenate([hessian[:, :6, 6:], gradient[:, :6, None]], axis=-1))
    reduced = hessian[:, 6:, 6:] - hessian[:, 6:, :6] @ across[..., :-1]
    slope = gradient[:, 6:] - (hessian[:, 6:, :6] @ across[..., -1:])[..., 0]
    step = _minimise_in_box(reduced, slope, -start, 1.0 - start)
    pose = -across[..., -1] - (across[..., :-1] @ step[..., None])[..., 0]
    return np.concatenate([pose, step], axis=-1)


def _minimise_in_box(
    hessian: Array, gradient: Array, low: Array, high: Array, passes: int = 4, sweeps: int = 5
) -> Array:
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
