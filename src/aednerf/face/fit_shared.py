"""Step B of the face fit: what all frames share (identity, landmark offsets, set-ups' gauges), in one linear system."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aednerf.face import topology
from aednerf.face.fit_state import FitConfig, FitState, FitView, blocks, offset_deviations
from aednerf.face.model import N_IDENTITY, FacePoints
from aednerf.face.pose import Poses, rotation_from_vector

Array = np.ndarray


def fit_shared(
    state: FitState, points: FacePoints, observed: Array, weights: Array, view: FitView, setups: Array,
    config: FitConfig,
) -> FitState:  # fmt: skip
    """Solve identity, offsets and the set-ups' gauges; the offsets are eliminated first, landmark by landmark."""
    person = state.person(points)
    n_setups = int(setups.max()) + 1
    n_gauge = 7 * n_setups
    square = np.zeros((topology.N_LANDMARKS, 3, 3))
    mixed = np.zeros((topology.N_LANDMARKS, 3, n_gauge))
    pull = np.zeros((topology.N_LANDMARKS, 3))
    gauge_square, gauge_pull = np.zeros((n_gauge, n_gauge)), np.zeros(n_gauge)
    share = _shares(state.prior, config)
    for block in blocks(len(observed)):
        head = person.at(state.expression[block]).astype(float)
        seen, by_point = view.project(head, state.poses[block], block)
        root = weights[block][..., None] * np.sqrt(share[block])[:, None, None]
        by_point, residual = by_point * root[..., None], (observed[block] - seen) * root
        normal = np.swapaxes(by_point, -1, -2) @ by_point
        force = np.einsum("tpdc,tpd->tpc", by_point, residual)
        square += normal.sum(0)
        pull += force.sum(0)
        motions = _gauge_motions(head)
        response = normal @ motions
        for setup in np.unique(setups[block]):
            own, columns = setups[block] == setup, slice(7 * setup, 7 * setup + 7)
            mixed[:, :, columns] += response[own].sum(0)
            gauge_square[columns, columns] += np.einsum("tpci,tpcj->ij", motions[own], response[own], optimize=True)
            gauge_pull[columns] += np.einsum("tpci,tpc->i", motions[own], force[own])
    return _solve_shared(state, points, square, mixed, pull, gauge_square, gauge_pull, setups, config)


def _shares(poses: Poses, config: FitConfig) -> Array:
    """Return [T] how much each frame counts: little where the face turns away, for there the detector errs more."""
    turn = np.arccos(np.clip(poses.rotation[:, 2, 2], -1.0, 1.0))
    frontal = np.exp(-0.5 * (turn / config.frontal_sd_rad) ** 2) + 1e-6
    return frontal * min(1.0, config.frames_in_common / frontal.sum())


def _gauge_motions(head: Array) -> Array:
    """Return [T, P, 3, 7]: how a point of the head moves with a turn, a shift and a growth of the whole head."""
    x, y, z = np.moveaxis(head, -1, 0)
    zero, one = np.zeros_like(x), np.ones_like(x)
    rows = [[zero, z, -y, one, zero, zero, x], [-z, zero, x, zero, one, zero, y], [y, -x, zero, zero, zero, one, z]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _solve_shared(
    state: FitState, points: FacePoints, square: Array, mixed: Array, pull: Array, gauge_square: Array,
    gauge_pull: Array, setups: Array, config: FitConfig,
) -> FitState:  # fmt: skip
    """Minimise over [offsets | identity, gauges], the offsets being coupled in facing pairs of the inner lips only."""
    n_points, n_gauge = len(square), len(gauge_pull)
    modes = points.identities.astype(float).transpose(1, 2, 0)
    n_shared = N_IDENTITY + n_gauge
    # Landmark equations: (square + prior) step + coupling shared = force.
    coupling = np.concatenate([square @ modes, mixed], axis=-1).reshape(3 * n_points, n_shared)
    matrix = np.zeros((n_points, 3, n_points, 3))
    hold = 1.0 / offset_deviations(config)[:, None] ** 2
    matrix[range(n_points), :, range(n_points)] = square + np.eye(3) * hold[..., None]
    force = pull - state.offsets * hold
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
    size, growth = _log_size(points, state.identity)
    shared[:N_IDENTITY, :N_IDENTITY] += np.outer(growth, growth) / config.size_sd**2
    shared[N_IDENTITY:, N_IDENTITY:] = gauge_square + np.eye(n_gauge)
    identity_force = flat_modes.T @ pull.ravel() - state.identity - growth * size / config.size_sd**2
    shared_force = np.concatenate([identity_force, gauge_pull])
    eliminated = np.linalg.solve(matrix, np.concatenate([coupling, force[:, None]], axis=1))
    step = np.linalg.solve(shared - coupling.T @ eliminated[:, :-1], shared_force - coupling.T @ eliminated[:, -1])
    offsets = state.offsets + (eliminated[:, -1] - eliminated[:, :-1] @ step).reshape(n_points, 3)
    gauge = step[N_IDENTITY:].reshape(-1, 7)[setups]
    return replace(
        state, identity=state.identity + step[:N_IDENTITY], offsets=offsets,
        prior=_regauged(state.prior, gauge), poses=_regauged(state.poses, gauge),
    )  # fmt: skip


def _log_size(points: FacePoints, identity: Array) -> tuple[float, Array]:
    """Return the logarithm of the face's size over the mean face's, and its derivative [100] to the identity."""
    mean = points.neutral - points.neutral.mean(0)
    modes = points.identities - points.identities.mean(1, keepdims=True)
    own = mean + np.tensordot(identity, modes, 1)
    squared = (own**2).sum()
    return float(0.5 * np.log(squared / (mean**2).sum())), (modes * own).sum((1, 2)) / squared


def _regauged(poses: Poses, gauge: Array) -> Poses:
    """Move the head's frame: gauge [T, 7] turns, shifts and grows the head; the distance undoes the growth."""
    shift = (poses.rotation @ gauge[:, 3:6, None])[..., 0]
    rotation = poses.rotation @ rotation_from_vector(gauge[:, :3])
    return Poses(rotation, (poses.translation + shift) / np.exp(gauge[:, 6:]))
