"""Smooth a head's pose over time without rubbing out its nods, and measure how much it jitters.

Yaw, pitch and depth are the parts of a pose that points in a picture fix worst, so noise lives there; they are
smoothed. Roll and the place in the picture are seen to a fraction of a pixel: they are not smoothed but solved again
from the tracks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.ndimage import gaussian_filter1d

from aednerf.face.pose import Array, Poses, angles_from_rotation, rotation_angle, rotation_from_angles

SIGMAS_FRAMES = (2.5, 2.2, 1.8, 1.2, 0.8)
"""Widths of the Gaussian in frames, the usual one first. On 71 s of a newsreader 2.2 brings the jitter from 0.28 to
0.13 degrees, nearly all of it real roll, at 3 % more distance of the tracks; a lively speaker's head turns too fast
for it."""

MOST_ERROR_GROWTH = 1.05
"""By what factor smoothing may increase the distance of the tracks before a narrower width is taken."""


def segments(valid: Array, cuts: Iterable[int] = ()) -> list[tuple[int, int]]:
    """Return the half-open runs of valid frames, split at cuts.

    >>> segments(np.array([1, 1, 0, 1, 1, 1], bool), cuts=[4])
    [(0, 2), (3, 4), (4, 6)]
    """
    valid = np.asarray(valid, bool)
    starts = valid & ~np.append(False, valid[:-1])[: len(valid)]
    starts[[cut for cut in cuts if 0 < cut < len(valid) and valid[cut]]] = True
    stops = valid & np.append(~valid[1:] | starts[1:], True)[: len(valid)]
    pairs = zip(np.flatnonzero(starts), np.flatnonzero(stops), strict=True)
    return [(int(first), int(last) + 1) for first, last in pairs]


def smooth(values: Array, runs: Sequence[tuple[int, int]], sigma_frames: float) -> Array:
    """Smooth [T] or [T, D] along time inside each run with a Gaussian; the rest stays as it is.

    Ends are continued by point reflection, so that a head that is turning when the clip ends is not held back.
    """
    out = np.array(values, float)
    reach = int(np.ceil(4 * sigma_frames))
    for first, end in runs:
        part = out[first:end]
        pad = min(reach, end - first - 1)
        if pad < 1:
            continue
        before = 2 * part[0] - part[pad:0:-1]
        after = 2 * part[-1] - part[-2 : -pad - 2 : -1]
        longer = np.concatenate([before, part, after])
        out[first:end] = gaussian_filter1d(longer, sigma_frames, axis=0, mode="nearest")[pad : pad + end - first]
    return out


def smooth_poses(poses: Poses, runs: Sequence[tuple[int, int]], sigma_frames: float) -> Poses:
    """Smooth yaw, pitch and depth; leave roll and the viewing direction of the head's origin as they are.

    Args:
        poses: [T]; NaN rows stay NaN.
        runs: the half-open runs of frames that belong together (see `segments`).
        sigma_frames: width of the kernel in frames.
    """
    angles = angles_from_rotation(poses.rotation)
    for column in (0, 1):
        for first, end in runs:
            angles[first:end, column] = np.unwrap(angles[first:end, column])
    angles[:, :2] = smooth(angles[:, :2], runs, sigma_frames)
    depth = poses.translation[:, 2:]
    # x and y go with the depth, so that the head's origin stays at its pixel.
    return Poses(rotation_from_angles(angles), poses.translation * (smooth(depth, runs, sigma_frames) / depth))


def rotation_jitter_deg(rotation: Array, runs: Sequence[tuple[int, int]]) -> float:
    """Return the rms second difference of the rotation in degrees; NaN where no run has three frames.

    The second difference at frame i is the angle between the turn from i-1 to i and the turn from i to i+1.
    """
    angles = []
    for first, end in runs:
        if end - first >= 3:
            step = np.swapaxes(rotation[first : end - 1], -1, -2) @ rotation[first + 1 : end]
            angles.append(rotation_angle(np.swapaxes(step[:-1], -1, -2) @ step[1:]))
    return float(np.degrees(np.sqrt(np.mean(np.concatenate(angles) ** 2)))) if angles else float("nan")
