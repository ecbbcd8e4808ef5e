"""Fit the face model to the pictures themselves: to the detector's landmarks first, then to the skin's texture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from aednerf.core.records import Camera
from aednerf.face.fit import DEFAULTS, FaceFit, fit_expression, refit_expression
from aednerf.face.model import FacePoints
from aednerf.face.pose import Array, Poses
from aednerf.face.skin_texture import Frames, SkinTexture

LEAST_FRAMES = 25
"""The mean of fewer frames is too much each frame's own to tell how far it is off."""

_PASSES = ((33, 4), (25, 4), (17, 6))
"""Of each pass over the texture: the window in pixels, and the rounds of the fit that follows it."""

_SHARE_OF_FIT = 0.5
"""How much of a pass the fit takes, for the progress."""


def fit_pictures(
    frames: Frames,
    landmarks_px: Array,
    poses: Poses,
    cameras: list[Camera],
    clip_of: Array,
    points: FacePoints,
    scores: Array | None = None,
    *,
    setup_of: Sequence[int] | None = None,
    progress: Callable[[float], None] | None = None,
) -> FaceFit:
    """Fit one person's identity and expressions to the frames of all clips.

    Args:
        frames: gives the T frames in order from the start, uint8 RGB [H, W, 3]; called several times.
        landmarks_px: [T, 478, 2] pixels, the detector's; NaN rows where there is no face.
        poses: T head-to-camera poses; NaN rows where there is none.
        cameras: one camera per clip.
        clip_of: [T] clip of each frame.
        points: the landmarks on the face model.
        scores: [T, 52] the detector's blendshape scores, where the fit starts.
        setup_of: as in `fit_expression`.
        progress: told the share of the work done, in [0, 1].

    Returns:
        The last fit.

    Raises:
        InputError: no frame has both a face and a pose, or the shapes do not agree.
    """
    report = progress or (lambda _share: None)
    total = 1.0 + len(_PASSES)
    fit = fit_expression(
        landmarks_px, poses, cameras, clip_of, points, scores, setup_of=setup_of,
        progress=lambda share: report(share / total),
    )  # fmt: skip
    turn = np.arccos(np.clip(fit.poses.rotation[:, 2, 2], -1.0, 1.0))
    if np.isfinite(turn).sum() < LEAST_FRAMES:
        return fit
    for done, (window_px, rounds) in enumerate(_PASSES, start=1):
        texture = SkinTexture.learn(frames, fit.landmarks_px, fit.person.neutral, turn)
        skin_px = texture.follow(frames, fit.landmarks_px, window_px)
        report((done + 1 - _SHARE_OF_FIT) / total)
        fit = refit_expression(
            fit, landmarks_px, skin_px, cameras, clip_of, points, config=replace(DEFAULTS, rounds=rounds),
            progress=lambda share, done=done: report((done + 1 - _SHARE_OF_FIT * (1 - share)) / total),
        )  # fmt: skip
    return fit
