"""The head's motion: it sways, nods with the stress of speech, takes the emotion's posture and turns to the side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aednerf.core.records import EMOTIONS
from aednerf.core.units import FPS
from aednerf.face.pose import rotation_from_angles
from aednerf.synthetic.feeling import accents, slow_noise

Array = NDArray[np.float64]

DISTANCE_M = 0.97
"""How far the head's origin is from the camera."""

HEIGHT_M = 0.022
"""How far the head's origin is above the camera's axis: the picture's middle is at the chin."""

PIVOT_M = np.array([0.0, -0.085, -0.005])
"""What the head turns about, in the head frame: the upper neck."""

POSTURES: dict[str, tuple[float, float, float, float]] = {
    "neutral": (0, 0, 0, 0), "happy": (2.0, -1.0, 3.0, 0.006), "sad": (-3.0, 5.5, -2.5, -0.004),
    "angry": (0.0, 4.0, 0.0, 0.016), "fear": (5.0, 0.5, -1.5, -0.020), "disgusted": (-5.0, -1.0, 2.5, -0.012),
    "contempt": (4.5, -4.5, -3.0, -0.006), "surprised": (0.0, -3.0, 0.5, -0.010),
}  # fmt: skip
"""Yaw (to the person's left), pitch (down) and roll in degrees, and metres towards the camera, at intensity 1."""

TURN_EVERY_S, TURN_DEG = 8.0, (15.0, 22.0)
"""Now and then the head turns far to one side, so that a recording shows the sides too."""

LOOK_AROUND = np.array([
    (0.0, 0, 0), (0.18, 34, 0), (0.28, 34, 0), (0.52, -34, 0), (0.62, -34, 0), (0.74, 0, -4),
    (0.82, 0, -14), (0.86, 0, -14), (0.94, 0, 13), (0.97, 0, 13), (1.06, 0, 0),
])  # fmt: skip
"""Share of the time, yaw and pitch in degrees: how the head shows all its sides while a line is said."""

_SWAY_DEG = np.array([2.8, 1.5, 1.2])
_QUICK_DEG = np.array([0.8, 0.6, 0.45])
_SHIFT_M = np.array([0.004, 0.0025, 0.006])
_NOD_DEG = 2.4
_BREATHS_PER_MINUTE = 15.0


def move_head(
    levels: Array, stress_s: Sequence[float], looks: Sequence[tuple[int, int]], times_s: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Move the head.

    Args:
        levels: [T, 8] how strongly each emotion shows.
        stress_s: when the stressed syllables are.
        looks: frames `[first, end)` over which the head is turned to every side.
        times_s: [T] the instants of the frames.
        rng: of it all.

    Returns:
        rotation [T, 3, 3] and translation [T, 3] in metres, head to camera.
    """
    n_frames = len(times_s)
    posture = _averaged(levels @ np.array([POSTURES[label] for label in EMOTIONS]), seconds=0.9)
    slow = np.stack([slow_noise(n_frames, rng, 0.22) for _ in range(3)], axis=1) * _SWAY_DEG
    quick = np.stack([slow_noise(n_frames, rng, 0.9) for _ in range(3)], axis=1) * _QUICK_DEG
    degrees = posture[:, :3] + slow + quick
    nod = accents(stress_s, times_s, rng, width_s=0.13)
    degrees[:, 1] += _NOD_DEG * (nod - 0.35 * _averaged(nod, 0.6))
    around, is_free = _looking_around(looks, n_frames)
    degrees[:, 0] += is_free * _turns(n_frames, rng)
    degrees[:, :2] += around
    degrees[:, 1] += 0.8 * slow_noise(n_frames, rng, 0.15)
    rotation = rotation_from_angles(np.deg2rad(degrees))
    shift = np.stack([slow_noise(n_frames, rng, 0.2) for _ in range(3)], axis=1) * _SHIFT_M
    place = np.array([0.0, HEIGHT_M, -DISTANCE_M]) + PIVOT_M + shift
    place[:, 2] += posture[:, 3]
    return rotation, place - rotation @ PIVOT_M


def breathe(n_frames: int, levels: Array, rng: np.random.Generator) -> Array:
    """Return [T] in [0, 1]: how far the chest is raised; quicker in fear and anger, slower when sad."""
    factors = {"fear": 1.5, "angry": 1.25, "surprised": 1.2, "sad": 0.85}
    rate = _averaged(levels, 1.5) @ np.array([factors.get(label, 1.0) for label in EMOTIONS])
    rate = np.where(levels.sum(1) > 0.05, rate / np.maximum(_averaged(levels, 1.5).sum(1), 0.05), 1.0)
    phase = np.cumsum(np.clip(rate, 0.8, 1.6) * _BREATHS_PER_MINUTE / 60 / FPS) + rng.uniform()
    depth = 0.85 + 0.15 * slow_noise(n_frames, rng, 0.1) / 2
    # Breathing in is quicker than breathing out.
    wave = 0.5 - 0.5 * np.cos(2 * np.pi * phase + 0.5 * np.sin(2 * np.pi * phase))
    return np.clip(wave * depth, 0, 1)


def _turns(n_frames: int, rng: np.random.Generator) -> Array:
    """Return [T] yaw in degrees of the large turns, to alternating sides."""
    yaw, time = np.zeros(n_frames), np.arange(n_frames) / FPS
    side, at = rng.choice((-1, 1)), rng.uniform(2.5, 4.5)
    while at < n_frames / FPS:
        stays, size = rng.uniform(0.5, 1.3), rng.uniform(*TURN_DEG)
        rising, falling = (time - at) / 0.75, (time - at - stays) / 0.85
        yaw += side * size * (_eased(rising + 0.5) - _eased(falling - 0.5))
        side, at = -side, at + TURN_EVERY_S * rng.uniform(0.75, 1.25)
    return yaw


def _looking_around(looks: Sequence[tuple[int, int]], n_frames: int) -> tuple[Array, Array]:
    """Return [T, 2] yaw and pitch in degrees, and [T] in [0, 1]: where the head is free to do something else."""
    from scipy.interpolate import PchipInterpolator

    degrees, busy = np.zeros((n_frames, 2)), np.zeros(n_frames)
    path = PchipInterpolator(LOOK_AROUND[:, 0], LOOK_AROUND[:, 1:])
    for first, end in looks:
        share = (np.arange(n_frames) + 0.5 - first) / (end - first)
        degrees += np.where(((share >= 0) & (share <= LOOK_AROUND[-1, 0]))[:, None], path(share), 0)
        busy[max(first - FPS // 2, 0) : end + FPS // 2] = 1
    return degrees, 1 - _averaged(busy, 0.5)


def _eased(share: Array) -> Array:
    share = np.clip(share, 0, 1)
    return share**3 * (10 - 15 * share + 6 * share * share)


def _averaged(values: Array, seconds: float) -> Array:
    """Smooth values [T, ...] over time with a window of about the given length."""
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(values, seconds * FPS / 3, axis=0, mode="nearest")
