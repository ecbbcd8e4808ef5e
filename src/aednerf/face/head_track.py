"""Track the rigid pose of a head through a clip: landmarks first, then optical flow, bundle adjustment and smoothing.

The steps and their reasons are in `pose`, `flow`, `bundle` and `smoothing`; this file only puts them in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from aednerf.core.errors import InputError
from aednerf.core.records import Camera
from aednerf.face.bundle import Adjusted, Tracks, adjust, resect, triangulate, weighted_error
from aednerf.face.cuts import CutFinder
from aednerf.face.flow import KeyFrame, choose_key_frames, key_frame, track_corners
from aednerf.face.pose import DEFAULT_FOCAL_PER_WIDTH, Array, Poses, first_poses
from aednerf.face.smoothing import MOST_ERROR_GROWTH, SIGMAS_FRAMES, rotation_jitter_deg, segments, smooth_poses
from aednerf.face.topology import RIGID

FOCAL_RANGE_PER_WIDTH = (0.8, 10.0)
"""A focal length outside this range, over the picture's width, is not believed."""

_STRUCTURE_FRAMES = 200
_LEAST_TRACKS = 40
_LEAST_FOCAL_GAIN = 0.01
_FOCAL_PRIOR = 0.7
_LOOSEST_PX = 0.7
_SHAPE_SIGMA_M = 0.003
_INDEPENDENT_FRAMES = 20.0


@dataclass(frozen=True)
class HeadTrack:
    """The rigid head pose of a clip's T frames, and how it was come by."""

    rotation: Array
    """[T, 3, 3] head to camera; NaN where there was no face."""

    translation: Array
    """[T, 3] metres; NaN where there was no face."""

    focal_px: float
    cx: float
    cy: float

    focal_observable: bool
    """Whether the clip fixed the focal length; if not, it is the usual one for the picture's width."""

    focal_errors: tuple[tuple[float, float], ...]
    """(focal_px, weighted rms of the tracks in pixels) for each focal length tried."""

    error_px: Array
    """[T] weighted rms distance of each frame's flow tracks, pixels; NaN without tracks."""

    track_error_px: float
    """The same over the whole clip; NaN without tracks."""

    landmark_error_px: float
    """Weighted rms distance of the rigid landmarks, pixels."""

    n_tracks: Array
    """[T] int, how many flow tracks each frame has."""

    n_keyframes: int

    jitter_deg: float
    """Rms second difference of the rotation, degrees."""

    sigma_frames: float
    """How widely yaw, pitch and depth were smoothed."""

    landmark_jitter_deg: float
    """The jitter of the pose from landmarks alone, degrees."""

    landmark_points: Array
    """[n, 3] where the rigid landmarks (those of `landmark_indices`) lie on this head, head frame, metres."""

    landmark_indices: tuple[int, ...]

    cuts: tuple[int, ...]
    """Frames that start a new shot."""

    flags: tuple[str, ...]
    """What did not go the usual way: "no-flow" (pose from landmarks alone), "sparse-flow"
    (some frames have few tracks, or none but the landmarks), "focal-fixed" (not observable), "cuts" (a shot starts
    inside the clip)."""

    @property
    def valid(self) -> Array:
        """[T] bool: which frames have a pose."""
        return Poses(self.rotation, self.translation).valid


def track_head(
    frames: Callable[[], Iterator[Array]],
    landmarks_px: Array,
    valid: Array,
    model: Array,
    size: tuple[int, int],
    *,
    rigid: Sequence[int] = RIGID,
    cuts: Sequence[int] | None = None,
    still: Callable[[Tracks], Tracks] | None = None,
    progress: Callable[[float], None] | None = None,
) -> HeadTrack:
    """Track the rigid head pose through a clip of one person, filmed by one camera at rest.

    Args:
        frames: gives the clip's T frames in order from the start, uint8 RGB [H, W, 3]; called twice, few frames are
            held.
        landmarks_px: [T, 478, 2] pixels, centres at +0.5, of the detector's IMAGE mode; NaN rows where there is no
            face.
        valid: [T] bool, which frames have a face.
        model: [478, 3] the landmarks of a neutral face in the head frame, metres (NaN rows are not used).
        size: width and height of the frames in pixels.
        rigid: the landmarks that carry the pose.
        cuts: frames that start a new shot, where known; found if None.
        still: takes off a track set what its points move by beside the head, where that is known (`moving_skin`).
        progress: called with the share done, in [0, 1].

    Raises:
        InputError: no frame has a face, or the shapes do not fit together.
    """
    report = progress or (lambda _share: None)
    landmarks = np.asarray(landmarks_px, float)
    valid = np.asarray(valid, bool) & np.isfinite(landmarks).all((1, 2))
    if landmarks.shape[1:] != (478, 2) or len(landmarks) != len(valid) or model.shape != (478, 3):
        raise InputError(f"Expected landmarks [T, 478, 2], a model [478, 3]; got {landmarks.shape}, {model.shape}.")
    if not valid.any():
        raise InputError("No frame of the clip shows a face. Use a clip with a larger, lighter or more frontal face.")
    rigid = tuple(index for index in rigid if np.isfinite(model[index]).all())
    camera = Camera(DEFAULT_FOCAL_PER_WIDTH * size[0], size[0] / 2, size[1] / 2, *size)

    rough = pose_from_landmarks(landmarks, valid, model, rigid, camera)
    report(0.03)
    keys, found_cuts = _key_frames(frames, landmarks, rough, model, report)
    cuts = found_cuts if cuts is None else list(cuts)
    runs = segments(valid, cuts)
    flow = track_corners(
        frames, keys, rough.poses, camera, progress=lambda share: report(0.1 + 0.5 * share)
    ) if keys else []  # fmt: skip
    flow = flow if still is None else [still(part) for part in flow]
    n_tracks = _count(flow, len(valid))
    followed = n_tracks >= _LEAST_TRACKS
    has_flow = len(flow) >= 2 and followed.sum() >= 10
    tracks = [*(flow if has_flow else []), _held(rough.tracks[0])]
    report(0.6)

    fit, focal_errors, observable = _structure(tracks, rough, followed if has_flow else valid, camera, has_flow)
    fit = replace(fit, tracks=_aligned(fit.tracks))
    poses = _rescaled(rough.poses, camera, fit.camera)
    poses = resect(fit.tracks, poses, fit.camera)
    report(0.85)
    if has_flow:
        # Not the landmarks: they hold the head frame, by a prior that was weighed for the sampled frames.
        better = [*(triangulate(part, poses, fit.camera) for part in fit.tracks[:-1]), fit.tracks[-1]]
        fit = replace(fit, tracks=better)
        poses = resect(better, poses, fit.camera, widenings=(1.0, 1.0, 1.0))
    poses, sigma = _smoothed(fit, poses, runs, has_flow)
    report(1.0)

    error, per_frame = weighted_error(fit.tracks[:-1] if has_flow else [], poses, fit.camera)
    flags = [
        name
        for name, is_set in (
            ("no-flow", not has_flow),
            ("sparse-flow", has_flow and bool((valid & ~followed).any())),
            ("focal-fixed", not observable),
            ("cuts", bool(cuts)),
        )
        if is_set
    ]
    return HeadTrack(
        rotation=poses.rotation,
        translation=poses.translation,
        focal_px=fit.camera.focal_px,
        cx=camera.cx,
        cy=camera.cy,
        focal_observable=observable,
        focal_errors=focal_errors,
        error_px=per_frame,
        track_error_px=error if has_flow else float("nan"),
        landmark_error_px=weighted_error(fit.tracks[-1:], poses, fit.camera)[0],
        n_tracks=n_tracks,
        n_keyframes=len(keys),
        jitter_deg=rotation_jitter_deg(poses.rotation, runs),
        sigma_frames=sigma,
        landmark_jitter_deg=rotation_jitter_deg(rough.poses.rotation, runs),
        landmark_points=fit.tracks[-1].points,
        landmark_indices=rigid,
        cuts=tuple(cuts),
        flags=tuple(flags),
    )


def pose_from_landmarks(landmarks: Array, valid: Array, model: Array, rigid: Sequence[int], camera: Camera) -> Adjusted:
    """Fit the pose of every frame, and the places of the rigid landmarks on this head, to the landmarks alone.

    Args:
        landmarks: [T, 478, 2] pixels.
        valid: [T] bool.
        model: [478, 3] the landmarks of a neutral face, which hold the head frame: its shape prior is strong (3 mm).
        rigid: the landmarks to use.
        camera: the camera.

    Returns:
        Poses [T] (NaN where not valid), one track set (the rigid landmarks) and the camera as it was.
    """
    shown, points = np.flatnonzero(valid), model[list(rigid)].astype(float)
    observed = landmarks[shown][:, list(rigid)]
    poses = Poses(np.full((len(valid), 3, 3), np.nan), np.full((len(valid), 3), np.nan))
    poses = poses.replaced(shown, first_poses(observed, points, camera))
    scale = camera.width / 512.0
    # The detector errs alike in neighbouring frames: T frames hold the shape no better than a few independent ones.
    sigma = _SHAPE_SIGMA_M * float(np.sqrt(min(1.0, _INDEPENDENT_FRAMES / min(len(shown), _STRUCTURE_FRAMES))))
    tracks = Tracks(
        shown, observed.astype(np.float32), points, points, sigma,
        np.full(len(points), 2.0 * scale), (0.5 * scale, 5.0 * scale),
    )  # fmt: skip
    poses = resect([tracks], poses, camera)
    sample = _spread(shown, _STRUCTURE_FRAMES)
    fit = adjust([tracks.at(sample)], poses[sample], camera)
    tracks = replace(tracks, points=fit.tracks[0].points, sigma_px=fit.tracks[0].sigma_px)
    return Adjusted(resect([tracks], poses, camera), [tracks], camera, fit.error_px)


def _key_frames(
    frames: Callable[[], Iterator[Array]],
    landmarks: Array,
    rough: Adjusted,
    model: Array,
    report: Callable[[float], None],
) -> tuple[list[KeyFrame], list[int]]:
    """Read the clip once: make the key frames, and look for cuts on the way."""
    wanted = set(choose_key_frames(rough.poses, landmarks).tolist())
    finder, keys = CutFinder(), []
    for number, rgb in enumerate(frames()):
        if number >= len(landmarks):
            break
        finder.push(rgb)
        if number in wanted:
            gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
            pose = rough.poses[number : number + 1]
            key = key_frame(gray, number, pose, landmarks[number], model, rough.camera)
            keys += [key] if key is not None else []
        if number % 25 == 0:
            report(0.03 + 0.07 * number / len(landmarks))
    return keys, finder.cuts()


def _held(tracks: Tracks) -> Tracks:
    """Let the landmarks only hold the head frame: beside the flow their jitter must not move a pose."""
    sigma = 3.0 * tracks.sigma_px
    return replace(tracks, sigma_px=sigma, sigma_range_px=(float(sigma.min()), float(sigma.max()) + 1e-6))


def _count(flow: Sequence[Tracks], n_frames: int) -> Array:
    count = np.zeros(n_frames, int)
    for part in flow:
        np.add.at(count, part.frames, np.isfinite(part.pixels[..., 0]).sum(1))
    return count


def _spread(frames: Array, most: int) -> Array:
    """Return at most `most` of the frames, evenly spread."""
    return frames[np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int))]


def _rescaled(poses: Poses, old: Camera, new: Camera) -> Poses:
    """Move the head so that it keeps its size in the picture under another focal length."""
    factor = np.array([1.0, 1.0, new.focal_px / old.focal_px])
    return Poses(poses.rotation, poses.translation * factor)


def _structure(
    tracks: list[Tracks], rough: Adjusted, usable: Array, camera: Camera, has_flow: bool
) -> tuple[Adjusted, tuple[tuple[float, float], ...], bool]:
    """Adjust points and focal length over some two hundred frames; keep the usual focal length if it hardly matters.

    Returns:
        The fit with poses of the sampled frames but whole tracks; (focal, error) pairs; whether the focal length
        showed.
    """
    sample = _spread(np.flatnonzero(usable), _STRUCTURE_FRAMES)
    whole = [part for part in tracks if len(part.at(sample).frames)]
    parts = [part.at(sample) for part in whole]
    fit = adjust(parts, resect(parts, rough.poses[sample], camera), camera, rounds=6)
    if has_flow:
        rigid = [_is_rigid(part, camera) for part in fit.tracks[:-1]] + [np.ones(len(fit.tracks[-1].points), bool)]
        whole = [part.of_points(keep) for part, keep in zip(whole, rigid, strict=True)]
        fit = replace(fit, tracks=[part.of_points(keep) for part, keep in zip(fit.tracks, rigid, strict=True)])
    fit = adjust(fit.tracks, fit.poses, camera)
    fit, errors, observable = _with_best_focal(fit) if has_flow else (fit, (), False)
    whole = [
        replace(part, points=done.points, sigma_px=done.sigma_px) for part, done in zip(whole, fit.tracks, strict=True)
    ]  # fmt: skip
    return replace(fit, tracks=whole), errors, observable


def _aligned(tracks: list[Tracks]) -> list[Tracks]:
    """Move all points by the similarity that brings the landmarks (the last set) closest to where they are expected.

    The tracks fix the head's axes, origin and scale by nothing but priors: this makes them exactly the face model's.

    Source: Umeyama, Least-squares estimation of transformation parameters between two point patterns, 1991.
    """
    found, wanted = tracks[-1].points, tracks[-1].prior
    middle, goal = found.mean(0), wanted.mean(0)
    left, size, right = np.linalg.svd((wanted - goal).T @ (found - middle))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    turn = (left * sign) @ right * ((size * sign).sum() / ((found - middle) ** 2).sum())
    aligned = [replace(part, points=(part.points - middle) @ turn.T + goal) for part in tracks]
    return [*(replace(part, prior=part.points) for part in aligned[:-1]), aligned[-1]]


def _is_rigid(tracks: Tracks, camera: Camera) -> Array:
    """Tell the points that move with the skull, [P] bool: not skin above a brow, not the background beside an ear."""
    return tracks.sigma_px <= max(_LOOSEST_PX * camera.width / 512.0, float(np.median(tracks.sigma_px)))


def _with_best_focal(fit: Adjusted) -> tuple[Adjusted, tuple[tuple[float, float], ...], bool]:
    """Let the focal length go free; keep what it becomes where it fits clearly better than the usual one."""
    usual = fit.camera.focal_px
    free = adjust(
        fit.tracks, fit.poses, fit.camera,
        with_focal=True, focal_prior=(usual, _FOCAL_PRIOR), rounds=20, tolerance=1e-5,
    )  # fmt: skip
    errors = ((usual, _flow_error(fit)), (free.camera.focal_px, _flow_error(free)))
    low, high = (share * fit.camera.width for share in FOCAL_RANGE_PER_WIDTH)
    observable = low <= free.camera.focal_px <= high and errors[1][1] < (1.0 - _LEAST_FOCAL_GAIN) * errors[0][1]
    return (free, errors, True) if observable else (fit, errors, False)


def _smoothed(fit: Adjusted, poses: Poses, runs: Sequence[tuple[int, int]], has_flow: bool) -> tuple[Poses, float]:
    """Smooth yaw, pitch and depth as widely as the tracks allow, solve roll, x and y again; return the width too."""
    flow = fit.tracks[:-1]
    allowed = MOST_ERROR_GROWTH * weighted_error(flow, poses, fit.camera)[0] if has_flow else np.inf
    for sigma in SIGMAS_FRAMES:
        smooth = resect(
            fit.tracks, smooth_poses(poses, runs, sigma), fit.camera, free=(2, 3, 4), widenings=(1.0, 1.0)
        )  # fmt: skip
        if not has_flow or weighted_error(flow, smooth, fit.camera)[0] <= allowed:
            break
    return smooth, sigma


def _flow_error(fit: Adjusted) -> float:
    return weighted_error(fit.tracks[:-1], fit.poses, fit.camera)[0] if len(fit.tracks) > 1 else float("nan")
