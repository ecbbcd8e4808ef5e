"""One similarity between two head frames: that of a computer-generated person, and the one that `prepare` found.

`prepare` sees a bare video. Where it puts the origin and axes of the head, how large it takes the head to be and which
focal length it believes are its own choice, so an avatar trained on its capture lives in another head frame than the
truth. For a point X of the true head

    X' = s Q X + q                                                               (Q a rotation, s a scale, q a shift)

and s, Q and q are those with which the prepared cameras see the true head where the true cameras see it: the minimum of

    sum_i sum_p || proj'_i(R'_i (s Q X_p + q) + t'_i) - proj_i(R_i X_p + t_i) ||^2      (i frames, p points of the face)

in pixels of the recording, over training frames only (soft beyond a pixel at 512, since some may be tracked badly).
Comparing pictures rather than camera centres keeps a wrong focal length, which moves the camera but hardly the picture,
out of the scale. It starts at Q = the mean of R'_i^T R_i. A true pose (R, t) in the other head frame is, with the whole
camera space scaled by s, which no picture shows,

    R Q^T,    s t - R Q^T q,    and a camera's motion [V | v] becomes [V | s v].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aednerf.capture.capture import Capture
from aednerf.capture.face_table import FacePart
from aednerf.capture.manifest import ClipRecord
from aednerf.core.errors import InputError
from aednerf.core.records import Camera

Array = NDArray[np.floating]

MOST_FRAMES, MOST_POINTS = 150, 60
SOFT_PER_WIDTH = 1 / 512
LEAST_FRAMES = 3


@dataclass(frozen=True)
class Similarity:
    """X' = scale * rotation @ X + shift, from the true head frame to another."""

    scale: float
    rotation: NDArray[np.float64]
    """[3, 3]."""

    shift: NDArray[np.float64]
    """[3] metres."""

    rms_px: float = 0.0
    """Root mean square of the distances that are left, in pixels of the recording."""

    n_frames: int = 0
    """From how many frames it was found; 0 where it is not found but known."""

    @staticmethod
    def identity() -> Similarity:
        """Return the similarity that changes nothing."""
        return Similarity(1.0, np.eye(3), np.zeros(3))

    def apply(self, points: Array) -> Array:
        """Map points [..., 3] of the true head."""
        return self.scale * points @ self.rotation.T + self.shift

    def poses(self, rotation: Array, translation: Array) -> tuple[Array, Array]:
        """Map true head-to-camera poses [..., 3, 3], [..., 3] (the camera space is scaled with the head)."""
        turned = rotation @ self.rotation.T
        return turned, self.scale * translation - turned @ self.shift

    def view(self, motion: Array) -> Array:
        """Map a camera's motion [3, 4] in true camera space."""
        return np.concatenate([motion[:, :3], self.scale * motion[:, 3:]], axis=1)


@dataclass(frozen=True)
class Cameras:
    """What T frames say about where the head stands before the camera, and how the camera projects."""

    rotation: Array
    """[T, 3, 3] head to camera."""

    translation: Array
    """[T, 3]."""

    intrinsics: Array
    """[T, 3] focal length, cx, cy in pixels, the same pixels for all that is compared."""

    def project(self, points: Array) -> Array:
        """Return [T, P, 2] pixels of head points [P, 3]."""
        placed = points @ np.swapaxes(self.rotation, 1, 2) + self.translation[:, None]
        focal, centre = self.intrinsics[:, None, :1], self.intrinsics[:, None, 1:]
        return centre + focal * placed[..., :2] * [-1, 1] / placed[..., 2:]


def find_similarity(points: Array, true: Cameras, found: Cameras, soft_px: float) -> Similarity:
    """Find the similarity between two head frames from the cameras that saw the same moments (see above).

    Args:
        points: [P, 3] points of the true head, spread over it.
        true: the true cameras of T frames.
        found: the other ones of the same frames.
        soft_px: distances beyond this count linearly.
    """
    from scipy.optimize import least_squares
    from scipy.spatial.transform import Rotation

    target = true.project(points)
    start = mean_rotation(np.swapaxes(found.rotation, 1, 2) @ true.rotation)

    def similarity(x: NDArray[np.float64]) -> Similarity:
        return Similarity(float(np.exp(x[6])), Rotation.from_rotvec(x[:3]).as_matrix() @ start, x[3:6])

    def error(x: NDArray[np.float64]) -> Array:
        return (found.project(similarity(x).apply(points)) - target).ravel()

    result = least_squares(error, _first_guess(start, true, found), loss="soft_l1", f_scale=soft_px, x_scale="jac")
    left = error(result.x).reshape(-1, 2)
    rms = float(np.sqrt((left**2).sum(1).mean()))
    best = similarity(result.x)
    return Similarity(best.scale, best.rotation, best.shift, rms, len(true.rotation))


def _first_guess(start: Array, true: Cameras, found: Cameras) -> NDArray[np.float64]:
    """Return [7] no further turn, no shift, and the scale at which the heads look equally large."""
    ratio = true.intrinsics[:, 0] / true.translation[:, 2] * found.translation[:, 2] / found.intrinsics[:, 0]
    return np.array([0, 0, 0, 0, 0, 0, np.log(np.median(ratio))])


def mean_rotation(rotations: Array) -> NDArray[np.float64]:
    """Return the rotation [3, 3] nearest to the mean of rotations [T, 3, 3]."""
    left, _, right = np.linalg.svd(np.asarray(rotations, np.float64).mean(0))
    return left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right


def true_frames(prepared: Capture, exact: Capture) -> NDArray[np.int64]:
    """Return [T] which frame of the exact capture each frame of the prepared one shows.

    Raises:
        InputError: a clip was not prepared from one of the exact capture's `truth/video` files.
    """
    sources = {clip.source.sha256: clip for clip in exact.clips}
    frames = np.zeros(prepared.n_frames, np.int64)
    for clip in prepared.clips:
        twin = sources.get(clip.source.sha256)
        if twin is None or twin.n_frames < clip.n_frames:
            raise InputError(
                f"Clip {clip.name} of {prepared.path} is no recording of {exact.path}. Prepare the files of "
                f"{exact.path / 'truth' / 'video'} themselves, as they are."
            )
        frames[clip.first : clip.end] = twin.first + np.arange(clip.n_frames)
    return frames


def camera_in_source(clip: ClipRecord, size: int) -> Camera:
    """Return a clip's camera in pixels of its source video, before the crop."""
    scale = clip.crop.size / size
    return Camera(
        clip.focal_px * scale, clip.cx * scale + clip.crop.x, clip.cy * scale + clip.crop.y,
        clip.source.width, clip.source.height,
    )  # fmt: skip


def cameras_of(capture: Capture, frames: Sequence[int] | NDArray[np.int64]) -> Cameras:
    """Return the tracked cameras of some frames, in pixels of the source video."""
    cameras = [camera_in_source(clip, capture.size) for clip in capture.clips]
    rows = [cameras[capture.clip_of(int(frame))] for frame in frames]
    motion = capture.motion(np.asarray(frames))
    intrinsics = np.array([[camera.focal_px, camera.cx, camera.cy] for camera in rows])
    return Cameras(motion.rotation.astype(float), motion.translation.astype(float), intrinsics)


def align(prepared: Capture, exact: Capture) -> Similarity:
    """Return the similarity from the exact capture's head frame to the prepared one's, over its training frames.

    Raises:
        InputError: the captures do not belong together, or share fewer than three training frames.
    """
    twins, frames = true_frames(prepared, exact), prepared.train_frames
    frames = frames[exact.tracking.valid[twins[frames]]]
    if len(frames) < LEAST_FRAMES:
        raise InputError(f"{prepared.path} has {len(frames)} training frames with a face, expected at least 3.")
    frames = frames[np.unique(np.linspace(0, len(frames) - 1, MOST_FRAMES).round().astype(int))]
    skin = exact.face.points[exact.face.part == FacePart.SKIN].astype(float)
    points = skin[np.unique(np.linspace(0, len(skin) - 1, MOST_POINTS).round().astype(int))]
    true, found = cameras_of(exact, twins[frames]), cameras_of(prepared, frames)
    return find_similarity(points, true, found, SOFT_PER_WIDTH * exact.size)
