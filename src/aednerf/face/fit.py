"""Fit the face model to landmarks: one person's identity, and the 52 coefficients of every frame.

Residuals are pixels of a picture scaled to 512 wide. All frames of all clips are solved together, alternating

  A. each frame's coefficients and small pose change: Gauss-Newton under the bounds [0, 1], batched over frames;
  B. what all frames share: identity, a constant 3-D offset of each landmark, and each set-up's gauge (the rigid
     motion and scale between the frame in which its poses were measured and the face model's), in one linear system.

The pose given is a prior, not fixed: landmarks jitter as one, and that has to go somewhere other than the brows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aednerf.core.errors import InputError
from aednerf.core.records import Camera
from aednerf.face import topology
from aednerf.face.fit_frames import fit_frames
from aednerf.face.fit_shared import fit_shared
from aednerf.face.fit_state import (
    EYES,
    N_COEFFICIENTS,
    FitConfig,
    FitState,
    FitView,
    blocks,
    closed_share,
    landmark_weights,
    lid_gap,
    neighbours_in_time,
    with_followed,
)
from aednerf.face.model import N_IDENTITY, FacePoints, PersonPoints
from aednerf.face.pose import Poses

Array = np.ndarray

DEFAULTS = FitConfig()


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
    """The given poses, each set-up's moved by one constant gauge into the model's frame: the ones to store."""

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
    *,
    setup_of: Sequence[int] | None = None,
    config: FitConfig = DEFAULTS,
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
        setup_of: for each clip the number of the set-up that its poses were measured in; clips of one set-up share
            one gauge. None: each clip is its own.
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
        raise InputError("No frame has a face and a head pose. Use a recording that shows the face from the front.")
    clips = np.asarray(clip_of)[valid]
    view = FitView.of(cameras, clips)
    observed = view.normalised(landmarks_px[valid])
    weights = landmark_weights(observed)
    closed = np.array([closed_share(lid_gap(observed, ring)) for ring, _, _ in EYES])
    start = np.zeros((len(valid), N_COEFFICIENTS)) if scores is None else np.nan_to_num(scores[valid]).astype(float)
    state = FitState(
        identity=np.zeros(N_IDENTITY), offsets=np.zeros((topology.N_LANDMARKS, 3)),
        expression=np.clip(start, 0, 1), prior=poses[valid], poses=poses[valid], closed_share=closed,
    )  # fmt: skip
    neighbours = neighbours_in_time(valid, clips)
    setups = clips if setup_of is None else np.asarray(setup_of)[clips]
    for i in range(config.rounds):
        state = fit_shared(state, points, observed, weights, view, setups, config)
        state = fit_frames(state, points, observed, weights, view, neighbours, config)
        if progress is not None:
            progress((i + 1) / config.rounds)
    return _result(state, points, observed, weights, view, valid, n_frames)


def refit_expression(
    fit: FaceFit,
    landmarks_px: Array,
    skin_px: Array,
    cameras: list[Camera],
    clip_of: Array,
    points: FacePoints,
    *,
    config: FitConfig = DEFAULTS,
    progress: Callable[[float], None] | None = None,
) -> FaceFit:
    """Fit the expressions again where the skin's texture tells better than the detector how the face moves.

    What all frames share stays: the texture lies where the fit put it, and tells nothing of the face's shape.

    Args:
        fit: what the detector's landmarks gave.
        landmarks_px: [T, 478, 2] pixels, the detector's.
        skin_px: [T, 478, 2] pixels, where the texture shows the landmarks; NaN where it does not.
        cameras: one camera per clip.
        clip_of: [T] clip of each frame.
        points: the landmarks on the face model.
        config: priors and the number of rounds.
        progress: told the share of the work done, in [0, 1].

    Returns:
        The fit with other expressions.
    """
    valid = np.flatnonzero(np.isfinite(fit.expression).all(1))
    clips = np.asarray(clip_of)[valid]
    view = FitView.of(cameras, clips)
    observed, skin = view.normalised(landmarks_px[valid]), view.normalised(skin_px[valid])
    followed = np.isfinite(skin[..., 0])
    weights = with_followed(landmark_weights(observed), followed)
    state = FitState(
        identity=fit.identity.astype(float), offsets=fit.offsets.astype(float),
        expression=fit.expression[valid].astype(float), prior=fit.poses[valid], poses=fit.fitted_poses[valid],
        closed_share=np.array([closed_share(lid_gap(observed, ring)) for ring, _, _ in EYES]),
    )  # fmt: skip
    observed = np.where(followed[..., None], skin, observed)
    neighbours = neighbours_in_time(valid, clips)
    for i in range(config.rounds):
        state = fit_frames(state, points, observed, weights, view, neighbours, config)
        if progress is not None:
            progress((i + 1) / config.rounds)
    return _result(state, points, observed, weights, view, valid, len(landmarks_px))


def inner_landmarks() -> Array:
    """Return the landmarks that the error counts: all but the outline, whose points slide."""
    return np.setdiff1d(np.arange(topology.N_LANDMARKS), topology.SLIDING)


def _result(
    state: FitState, points: FacePoints, observed: Array, weights: Array, view: FitView, valid: Array, n_frames: int
) -> FaceFit:
    person = state.person(points)
    seen = np.concatenate(
        [view.project(person.at(state.expression[b]).astype(float), state.poses[b], b)[0] for b in blocks(len(valid))]
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
