"""What the face fit solves for, what it sees, and how strongly it holds to what is likely: the steps' common ground.

Pixels here are those of a picture scaled to 512 wide, about the principal point, v upwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aednerf.core.records import ARKIT_NAMES, Camera
from aednerf.face import topology
from aednerf.face.model import FacePoints, PersonPoints
from aednerf.face.pose import Poses

Array = np.ndarray

REFERENCE_WIDTH = 512
N_COEFFICIENTS = len(ARKIT_NAMES)

EYES = (
    (topology.LEFT_EYE, topology.LEFT_IRIS, ARKIT_NAMES.index("eyeBlinkLeft")),
    (topology.RIGHT_EYE, topology.RIGHT_IRIS, ARKIT_NAMES.index("eyeBlinkRight")),
)
"""Of the left and the right eye: the lids' ring, the iris, the coefficient that closes it."""

_FOLLOWED_GAIN, _DETECTED_GAIN, _INNER_LIPS_GAIN, _CHIN_GAIN = 10.0, 0.5, 2.0, 0.1
"""What the landmarks count in a frame, as a factor, once the skin is followed. Only the detector sees the lips' inner
rims; the chin is told by the skin above it."""


@dataclass(frozen=True)
class FitConfig:
    """How strongly the fit holds to what is likely. Standard deviations; residuals have 1 px at 512."""

    rounds: int = 8
    """Alternations of the two steps."""

    ridge: float = 3.0
    """Cost of a squared coefficient, against squared pixels summed over the landmarks."""

    sparsity: float = 40.0
    """Cost of a coefficient (not squared): holds at 0 what the landmarks hardly speak of."""

    smoothness: float = 20.0
    """Cost of the squared distance of a coefficient from the mean of its neighbours in time."""

    symmetry: float = 340.0
    """Cost of the squared difference of a muscle's coefficients on both sides."""

    rotation_sd_rad: float = float(np.deg2rad(0.3))
    """A frame's rotation may differ from the given pose's by this much."""

    translation_sd_m: float = 0.002
    """A frame's translation may differ from the given pose's by this much."""

    offset_sd_m: float = 0.0006
    """A landmark's constant offset from its place on the face model."""

    brow_offset_sd_m: float = 0.002
    """The same of the brows, which sit higher on one forehead than on another."""

    lip_gap_sd_m: float = 0.0003
    """How far the offsets of facing points of the lips' inner rims may differ: closed lips must stay closed."""

    size_sd: float = 0.005
    """The face keeps the mean face's size (relative): one camera cannot tell size from distance, and without this the
    face shrinks, since then its offsets do."""

    pose_prior_points: float = 10.0
    """How many landmarks share one error: the pose prior counts this much more than beside independent ones."""

    frontal_sd_rad: float = float(np.deg2rad(8.0))
    """What all frames share is told by those that face the camera to about so much."""

    frames_in_common: int = 30
    """How many independent frames a recording counts as when the priors on the shared unknowns are weighed."""


@dataclass(frozen=True)
class FitState:
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
        for (ring, _, blink), share in zip(EYES, self.closed_share, strict=True):
            expressions[blink] *= (1.0 - share) * lid_gap(neutral, ring) / lid_gap(expressions[blink], ring)
        return replace(person, neutral=neutral, expressions=expressions)


@dataclass(frozen=True)
class FitView:
    """The cameras of the valid frames, in pixels at 512 wide about the principal point, v upwards."""

    focal: Array
    centre: Array
    scale: Array

    @staticmethod
    def of(cameras: list[Camera], clips: Array) -> FitView:
        scale = np.array([REFERENCE_WIDTH / camera.width for camera in cameras])[clips]
        centre = np.array([(camera.cx, camera.cy) for camera in cameras])[clips]
        return FitView(np.array([camera.focal_px for camera in cameras])[clips] * scale, centre, scale)

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


def landmark_weights(observed: Array) -> Array:
    """Return [T, 478]: the square roots of how much each landmark counts.

    The outline slides along the face, but its lowest part tells the jaw from the lower lip. Lips and lids carry what
    people look at. Behind closed lids the iris is a guess.
    """
    weight = np.ones(topology.N_LANDMARKS)
    weight[list(topology.SLIDING)] = 0.1
    weight[list(topology.CHIN)] = 3.0
    weight[list(topology.UPPER_LIDS)] = 0.1
    rings = (topology.LIPS_OUTER_RING, topology.LIPS_INNER_RING, topology.LEFT_EYE, topology.RIGHT_EYE)
    weight[[i for ring in rings for i in ring]] = 3.0
    weights = np.tile(weight, (len(observed), 1))
    for ring, iris, _ in EYES:
        gap = lid_gap(observed, ring)
        openness = np.clip(gap / np.median(gap) * 2.0 - 0.6, 0.01, 1.0)
        weights[:, list(iris)] = 3.0 * openness[:, None]
    return np.sqrt(weights)


def with_followed(weights: Array, followed: Array) -> Array:
    """Return `landmark_weights` for single frames where the skin's texture found some of the landmarks.

    Those err by a third of what the detector's do, once what is constant is taken away: they tell much more of how a
    face moves, and no more of its shape.

    Args:
        weights: [T, 478] from `landmark_weights`.
        followed: [T, 478] which landmarks were found.
    """
    gain = np.where(followed, _FOLLOWED_GAIN, _DETECTED_GAIN)
    gain[:, list(topology.LIPS_INNER_RING)] = _INNER_LIPS_GAIN
    gain[:, list(topology.CHIN)] = _CHIN_GAIN
    return weights * np.sqrt(gain)


def offset_deviations(config: FitConfig) -> Array:
    """Return [478]: the standard deviation of each landmark's constant offset, in metres."""
    deviations = np.full(topology.N_LANDMARKS, config.offset_sd_m)
    deviations[[*topology.LEFT_BROW, *topology.RIGHT_BROW]] = config.brow_offset_sd_m
    return deviations


def lid_gap(points: Array, ring: tuple[int, ...]) -> Array:
    """Return the mean distance of facing points of an eye's lids: points [..., 478, D] -> [...]."""
    return np.linalg.norm(points[..., ring[1:8], :] - points[..., ring[:8:-1], :], axis=-1).mean(-1)


def closed_share(gap: Array) -> float:
    """Return the gap of closed lids over that of open ones; the detector never lets them touch.

    A recording without a blink says nothing about it: then 0.2, about what it is on others.
    """
    share = float(np.quantile(gap, 0.002) / np.quantile(gap, 0.7))
    return share if share < 0.5 else 0.2


def neighbours_in_time(valid: Array, clips: Array) -> tuple[Array, Array]:
    """Return each frame's neighbours in time (indices before and after); the frame itself where there is none."""
    index = np.arange(len(valid))
    joined = (np.diff(valid) == 1) & (np.diff(clips) == 0)
    return np.where(np.r_[False, joined], index - 1, index), np.where(np.r_[joined, False], index + 1, index)


def blocks(n: int, size: int = 128) -> list[slice]:
    return [slice(first, min(first + size, n)) for first in range(0, n, size)]
