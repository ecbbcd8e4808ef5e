"""Optical-flow tracks of the rigid parts of a head: corners of a few key frames, found again in every frame.

Landmark detectors jitter by about a pixel; the texture of skin, ears and hair can be followed to a third of one. Each
frame is compared with the key frames whose pose is nearest, after an affine warp by the (rough) poses into the key
frame's view, so that what the Lucas-Kanade tracker has to find is a shift of a few pixels. Nothing drifts: no track
goes from frame to frame.

Source: Bouguet, Pyramidal implementation of the Lucas Kanade feature tracker, 2000; the forward-backward check is
that of Kalal et al., Forward-backward error, 2010.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.interpolate import LinearNDInterpolator

from aednerf.core.records import Camera
from aednerf.face.bundle import Tracks
from aednerf.face.pose import Array, Poses, angles_from_rotation, project
from aednerf.face.topology import LEFT_BROW, LEFT_EYE, RIGHT_BROW, RIGHT_EYE

HEAD_CENTRE_M = np.array([0.0, 0.025, 0.005])
HEAD_RADII_M = np.array([0.088, 0.125, 0.100])
"""An ellipsoid about the skull of the face model's neutral head: where hair and ears are first thought to be."""

EAR_CENTRES_M = np.array([[-0.083, 0.020, 0.010], [0.083, 0.020, 0.010]])
EAR_RADIUS_M = 0.022
"""A disc over each ear, beyond the ellipsoid."""

RIGHT_CHEEK = (111, 117, 118, 119, 100, 142, 36, 205, 187, 147, 123, 116)
LEFT_CHEEK = (340, 346, 347, 348, 329, 371, 266, 425, 411, 376, 352, 345)
_NOSE_BASE = 2

WINDOW_PX = 17
FORWARD_BACKWARD_PX = 0.3
_MARGIN_PX = 24
_LEVELS = 1
_FARTHEST_SHIFT_PX = 16.0


@dataclass(frozen=True)
class KeyFrame:
    """A frame whose corners are looked for in the others."""

    frame: int
    """Its number in the clip."""

    corners_px: Array
    """[P, 2] float32 pixels, centres at +0.5."""

    points: Array
    """[P, 3] first guess of the corners' places in the head frame, metres."""

    origin: tuple[int, int]
    """Left and top of the cut-out that holds all corners and a margin."""

    view: Array
    """[h, w] uint8, the cut-out."""


def pose_distance(one: Array, other: Array) -> Array:
    """Return how different poses look to the tracker: degrees, roll counted half since the warp undoes it.

    Args:
        one, other: [..., 3] yaw, pitch, roll in radians.
    """
    return np.linalg.norm(np.degrees(one - other) * np.array([1.0, 1.0, 0.5]), axis=-1)


def choose_key_frames(poses: Poses, landmarks_px: Array, *, least: int = 14, most: int = 24) -> Array:
    """Choose still, open-eyed frames that cover the clip's poses, by farthest-point sampling.

    Args:
        poses: [T]; frames without a pose are passed over.
        landmarks_px: [T, 478, 2] pixels.
        least: how many, where there are enough frames.
        most: how many at most; beyond `least` only while some pose is more than 6 degrees from every key frame.

    Returns:
        Ascending frame numbers; empty where no frame has a pose.
    """
    valid = np.flatnonzero(poses.valid)
    if not len(valid):
        return valid
    candidates = valid[_is_calm(landmarks_px)[valid]]
    if len(candidates) < min(least, len(valid)):
        candidates = valid
    # A clip of n frames has little use for more than n / 8 key frames.
    least = min(least, max(4, len(valid) // 8), len(candidates))
    angles = angles_from_rotation(poses.rotation[candidates])
    chosen = [int(np.argmin(pose_distance(angles, np.median(angles, axis=0))))]
    distance = pose_distance(angles, angles[chosen[0]])
    while len(chosen) < least or (len(chosen) < min(most, len(candidates)) and distance.max() > 6.0):
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, pose_distance(angles, angles[chosen[-1]]))
        distance[chosen[-1]] = -1.0
    return np.unique(candidates[chosen])


def _is_calm(landmarks_px: Array) -> Array:
    """Tell the frames in which both eyes are open and the face moves slower than in most others, [T] bool."""
    speed = np.full(len(landmarks_px), np.nan)
    if len(landmarks_px) > 2:
        speed[1:-1] = np.linalg.norm(landmarks_px[2:] - landmarks_px[:-2], axis=-1).mean(-1)
    lids = landmarks_px[:, [159, 386]] - landmarks_px[:, [145, 374]]
    corners = landmarks_px[:, [33, 263]] - landmarks_px[:, [133, 362]]
    opening = (np.linalg.norm(lids, axis=-1) / np.linalg.norm(corners, axis=-1)).min(-1)
    if np.isnan(speed).all():
        return np.zeros(len(landmarks_px), bool)
    with np.errstate(invalid="ignore"):
        return (speed <= np.nanpercentile(speed, 60)) & (opening > 0.85 * np.nanmedian(opening))


def key_frame(
    gray: Array, frame: int, pose: Poses, landmarks_px: Array, model: Array, camera: Camera, *, corners: int = 320
) -> KeyFrame | None:
    """Find the corners of one key frame and guess where on the head they are.

    Args:
        gray: [H, W] uint8.
        frame: its number in the clip.
        pose: its pose (one row).
        landmarks_px: [478, 2] its landmarks.
        model: [478, 3] the landmarks of the neutral face, head frame, metres.
        camera: the camera.
        corners: how many at most.

    Returns:
        The key frame, or None where fewer than twelve corners were found.
    """
    scale = camera.width / 512.0
    mask = _rigid_mask(gray.shape, pose, landmarks_px, camera)
    found = cv2.goodFeaturesToTrack(gray, corners, 0.002, max(3.0, 6.0 * scale), mask=mask, blockSize=5)
    if found is None or len(found) < 12:
        return None
    cv2.cornerSubPix(gray, found, (3, 3), (-1, -1), (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.01))
    corners_px = found.reshape(-1, 2) + np.float32(0.5)
    left, top = np.maximum(np.floor(corners_px.min(0)).astype(int) - _MARGIN_PX, 0)
    right, bottom = np.ceil(corners_px.max(0)).astype(int) + _MARGIN_PX
    view = gray[top:bottom, left:right].copy()
    return KeyFrame(frame, corners_px, _on_head(corners_px, pose, model, camera), (int(left), int(top)), view)


def _rigid_mask(shape: tuple[int, ...], pose: Poses, landmarks_px: Array, camera: Camera) -> Array:
    """Mark forehead, nose, temples, ears and hair; not brows, eyes, cheeks, the silhouette and all below the nose."""
    height, width = shape[:2]
    grid = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1)
    closeness, _ = _meet_head(grid.reshape(-1, 2), pose, camera)
    mask = (closeness < 0.9).reshape(height, width)
    up = pose.rotation[0, :2, 1] * np.array([1.0, -1.0])
    mask &= (grid - landmarks_px[_NOSE_BASE]) @ (up / max(np.linalg.norm(up), 1e-6)) > 0
    mask = mask.astype(np.uint8) * 255
    ears = EAR_CENTRES_M @ pose.rotation[0].T + pose.translation[0]
    for centre in camera.project(ears):
        radius = EAR_RADIUS_M * camera.focal_px / -pose.translation[0, 2]
        cv2.circle(mask, np.round(centre).astype(int).tolist(), round(float(radius)), 255, -1)
    border = max(1, round(5 * camera.width / 512))
    for ring in (RIGHT_EYE + RIGHT_BROW, LEFT_EYE + LEFT_BROW, RIGHT_CHEEK, LEFT_CHEEK):
        hull = cv2.convexHull(np.round(landmarks_px[list(ring)]).astype(np.int32))
        cv2.fillConvexPoly(mask, hull, 0)
        cv2.polylines(mask, [hull], True, 0, 2 * border)
    mask[:2], mask[-2:], mask[:, :2], mask[:, -2:] = 0, 0, 0, 0
    return mask


def _meet_head(pixels: Array, pose: Poses, camera: Camera) -> tuple[Array, Array]:
    """Meet the head's ellipsoid with the rays of pixels [P, 2].

    Returns:
        How near the silhouette each ray passes (0 through the middle, 1 touching, more outside), and the
        depth -Z of the near side (of the closest approach where the ray misses).
    """
    offset = (pixels - [camera.cx, camera.cy]) * [1.0, -1.0] / camera.focal_px
    ray = np.concatenate([offset, -np.ones((len(pixels), 1))], axis=1)
    start = (-pose.rotation[0].T @ pose.translation[0] - HEAD_CENTRE_M) / HEAD_RADII_M
    ray = ray @ pose.rotation[0] / HEAD_RADII_M
    along, length = ray @ start, (ray**2).sum(-1)
    closeness = np.sqrt(np.maximum(start @ start - along**2 / length, 0.0))
    depth = (-along - np.sqrt(length * np.maximum(1.0 - closeness**2, 0.0))) / length
    return closeness, depth


def _on_head(corners_px: Array, pose: Poses, model: Array, camera: Camera) -> Array:
    """Put corners on the face between the landmarks, else on the head's ellipsoid; head frame [P, 3]."""
    known = np.isfinite(model).all(-1)
    depth = -(model[known] @ pose.rotation[0].T + pose.translation[0])[:, 2]
    on_face = LinearNDInterpolator(project(model[known], pose, camera)[0], depth)(corners_px)
    depth = np.where(np.isfinite(on_face), on_face, _meet_head(corners_px, pose, camera)[1])
    offset = (corners_px - [camera.cx, camera.cy]) * [1.0, -1.0] / camera.focal_px
    position = np.concatenate([offset, -np.ones((len(offset), 1))], axis=1) * depth[:, None]
    return (position - pose.translation[0]) @ pose.rotation[0]


def find_corners(gray: Array, key: KeyFrame, pose: Poses, camera: Camera) -> Array:
    """Find the corners of a key frame in another frame.

    Args:
        gray: [H, W] uint8, the other frame.
        key: the key frame.
        pose: the other frame's rough pose (one row).
        camera: the camera.

    Returns:
        [P, 2] float32 pixels, NaN where a corner was not found or not found again on the way back.
    """
    lost = np.full_like(key.corners_px, np.nan)
    predicted = project(key.points, pose, camera)[0]
    local = key.corners_px - np.asarray(key.origin, np.float32) - 0.5
    design = np.concatenate([local, np.ones((len(local), 1))], axis=1)
    # The least-squares affine from the cut-out to the frame, in OpenCV's pixel numbers (no half).
    affine = np.linalg.solve(design.T @ design, design.T @ (predicted - 0.5)).T
    turn = affine[:, :2]
    if not np.isfinite(affine).all() or not 0.1 < np.linalg.det(turn) < 10.0:
        return lost
    height, width = key.view.shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    view = cv2.warpAffine(gray, affine, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    guess = ((predicted - 0.5 - affine[:, 2]) @ np.linalg.inv(turn).T).astype(np.float32)
    found, good = _lucas_kanade(key.view, view, local, guess)
    back, good_back = _lucas_kanade(view, key.view, found, local)
    pixels = found @ turn.T + affine[:, 2] + 0.5
    inside = ((pixels > 3) & (pixels < np.array([gray.shape[1], gray.shape[0]]) - 3)).all(-1)
    keep = good & good_back & inside
    keep &= np.linalg.norm(back - local, axis=-1) < FORWARD_BACKWARD_PX
    keep &= np.linalg.norm(found - guess, axis=-1) < _FARTHEST_SHIFT_PX
    return np.where(keep[:, None], pixels, lost).astype(np.float32)


def _lucas_kanade(source: Array, target: Array, points: Array, guess: Array) -> tuple[Array, Array]:
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        source, target, points[:, None].astype(np.float32), guess[:, None].astype(np.float32).copy(),
        winSize=(WINDOW_PX, WINDOW_PX), maxLevel=_LEVELS, flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 0.01), minEigThreshold=1e-4,
    )  # fmt: skip
    return found[:, 0], status[:, 0] == 1


def track_corners(
    frames: Callable[[], Iterator[Array]],
    keys: Sequence[KeyFrame],
    poses: Poses,
    camera: Camera,
    *,
    nearest: int = 6,
    progress: Callable[[float], None] | None = None,
) -> list[Tracks]:
    """Find the corners of the nearest key frames in every frame that has a pose.

    Args:
        frames: gives the clip's frames in order, uint8 RGB; a few are held at a time.
        keys: the key frames.
        poses: [T] rough poses.
        camera: the camera.
        nearest: how many key frames each frame is compared with.
        progress: called with the share done, in [0, 1].

    Returns:
        One track set per key frame.
    """
    angles = angles_from_rotation(poses.rotation)
    key_angles = angles[[key.frame for key in keys]]
    distance = pose_distance(angles[:, None], key_angles[None])
    order = np.argsort(distance, axis=1)[:, :nearest]
    seen: list[list[tuple[int, Array]]] = [[] for _ in keys]

    def work(number: int, rgb: Array) -> None:
        gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        for index in order[number]:
            seen[index].append((number, find_corners(gray, keys[index], poses[number : number + 1], camera)))

    waiting: deque[Future[None]] = deque()
    workers = min(4, os.cpu_count() or 1)
    valid = poses.valid
    with ThreadPoolExecutor(workers) as pool:
        for number, rgb in enumerate(frames()):
            if number >= len(poses):
                break
            if valid[number]:
                waiting.append(pool.submit(work, number, rgb))
            if len(waiting) > 4 * workers:
                waiting.popleft().result()
            if progress is not None and number % 25 == 0:
                progress(number / len(poses))
        for future in waiting:
            future.result()
    return [_as_tracks(key, rows, camera) for key, rows in zip(keys, seen, strict=True) if rows]


def _as_tracks(key: KeyFrame, rows: list[tuple[int, Array]], camera: Camera) -> Tracks:
    rows = sorted(rows, key=lambda row: row[0])
    scale = camera.width / 512.0
    return Tracks(
        frames=np.array([number for number, _ in rows]),
        pixels=np.stack([pixels for _, pixels in rows]),
        points=key.points,
        prior=key.points,
        prior_sigma_m=0.03,
        sigma_px=np.full(len(key.points), 2.0 * scale),
        sigma_range_px=(0.15, 3.0 * max(scale, 0.5)),
    )
