"""The eyes: blinks that close the lids of the person's own mesh, gaze that rests on the camera and wanders off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aednerf.core.records import ARKIT_NAMES
from aednerf.core.units import FPS
from aednerf.face.model import LOOK_SIDE_RAD, LOOK_UP_RAD, PersonPoints
from aednerf.face.topology import LEFT_EYE, RIGHT_EYE
from aednerf.synthetic.viseme import columns_of

Array = NDArray[np.float64]

BLINK_PROFILES: tuple[tuple[float, ...], ...] = (
    (0.45, 1.0, 0.75, 0.35, 0.10),
    (0.40, 0.95, 1.0, 0.65, 0.30, 0.10),
    (0.35, 0.90, 1.0, 0.60, 0.25, 0.08),
    (0.55, 1.0, 0.62, 0.22),
)
"""How far the lids are closed, frame by frame at 25 a second: 160 to 240 ms."""

BLINKS_PER_MINUTE: dict[str, float] = {"angry": 12.0, "fear": 26.0, "surprised": 12.0, "sad": 16.0, "happy": 20.0}
"""Spontaneous rates by emotion; `_USUAL_RATE` otherwise. Talking people blink 15 to 25 times a minute."""

_USUAL_RATE = 19.0
_LEAST_PAUSE_S = 0.9
_SHUT_M = 0.0001
_LID_PAIRS = (3, 4, 5)  # the middle of the upper rim in a ring of sixteen; the lower point opposite is 16 - i
_MOST_LOOK_RAD = np.deg2rad(26.0)


@dataclass(frozen=True)
class Lids:
    """The opening of both eyes, linear in the 52 coefficients (but for the eyeballs' turning); metres."""

    neutral: Array
    """[2] left and right."""

    by: Array
    """[2, 52]."""

    @staticmethod
    def of(landmarks: PersonPoints) -> Lids:
        """Measure a person's 478 landmarks."""
        heights, slopes = landmarks.neutral[:, 1].astype(float), landmarks.expressions[..., 1].astype(float)
        neutral, by = [], []
        for ring in (LEFT_EYE, RIGHT_EYE):
            upper, lower = [ring[i] for i in _LID_PAIRS], [ring[16 - i] for i in _LID_PAIRS]
            neutral.append((heights[upper] - heights[lower]).mean())
            by.append((slopes[:, upper] - slopes[:, lower]).mean(1))
        return Lids(np.array(neutral), np.array(by))

    def opening(self, expression: Array) -> Array:
        """Return [..., 2] the height of the opening in metres, for expressions [..., 52]."""
        return self.neutral + expression @ self.by.T

    def shut(self, expression: Array, closing: Array) -> Array:
        """Close the lids by the share `closing` [T] of what they are open, and never further than shut.

        What widens the eyes lets go in a blink; where the lids' own coefficient is not enough, the squint helps.
        """
        e = expression.copy()
        wanted = np.maximum(self.opening(e), _SHUT_M) * (1 - closing)[:, None] + _SHUT_M * closing[:, None]
        for side, name in enumerate(("Left", "Right")):
            e[:, columns_of("eyeWide" + name)] *= (1 - closing)[:, None]
            for shape in ("eyeBlink", "eyeSquint"):
                (column,) = columns_of(shape + name)
                change = (wanted[:, side] - self.opening(e)[:, side]) / self.by[side, column]
                # Overlapping lids (a low gaze under closed lids) open again by the blink's own coefficient alone.
                e[:, column] += change if shape == "eyeBlink" else np.clip(change, 0, 0.6) * closing
                e[:, column] = np.clip(e[:, column], 0, 1)
        return e


def blinks(labels: list[str], edges: list[int], rng: np.random.Generator) -> tuple[Array, list[int]]:
    """Draw blinks: a renewal process at the emotion's rate, with a pause after each, and one at many of the edges.

    Args:
        labels: [T] the emotion of each frame.
        edges: frames at which the emotion changes or a line begins; people blink at such moments.
        rng: of it all.

    Returns:
        [T] how far the lids are closed, in [0, 1], and the first frame of each blink.
    """
    n_frames = len(labels)
    closing, starts, frame = np.zeros(n_frames), [], int(rng.uniform(0.5, 2.0) * FPS)
    likely = {edge for edge in edges if rng.random() < 0.5}
    wait = 0.0
    while frame < n_frames - 8:
        rate = BLINKS_PER_MINUTE.get(labels[frame], _USUAL_RATE)
        if wait <= 0 or frame in likely:
            profile = BLINK_PROFILES[rng.integers(len(BLINK_PROFILES))]
            closing[frame : frame + len(profile)] = profile
            starts.append(frame)
            frame += len(profile) + int(_LEAST_PAUSE_S * FPS)
            mean_s = max(60 / BLINKS_PER_MINUTE.get(labels[min(frame, n_frames - 1)], _USUAL_RATE) - 1.1, 0.3)
            wait = float(rng.gamma(2.0, mean_s / 2)) * FPS  # less bursty than Poisson, as human blinks are
            continue
        wait -= rate / BLINKS_PER_MINUTE.get(labels[min(frame + 1, n_frames - 1)], _USUAL_RATE)
        frame += 1
    return closing, starts


def gaze_targets(n_frames: int, aversion: Array, rng: np.random.Generator) -> Array:
    """Draw where the person looks, relative to the camera: fixations joined by saccades of two or three frames.

    Args:
        n_frames: T.
        aversion: [T] in [0, 1]: how much the person looks away (sad, in thought).
        rng: of it all.

    Returns:
        [T, 2] angles in radians: to the person's left, and up.
    """
    target, frame = np.zeros((n_frames, 2)), 0
    here = np.zeros(2)
    while frame < n_frames:
        away = rng.random() < 0.22 + 0.35 * aversion[frame]
        lasts = int(FPS * (rng.uniform(0.5, 1.3) if away else rng.uniform(0.9, 3.0)))
        there = rng.normal(size=2) * np.deg2rad([0.5, 0.35])
        if away:
            side = rng.choice((-1, 1))
            there = np.deg2rad([side * rng.uniform(4, 12), rng.uniform(-7, 4) - 4 * aversion[frame]])
        n_moving = 2 if np.linalg.norm(there - here) < np.deg2rad(6) else 3
        share = np.minimum(np.arange(1, lasts + 1) / n_moving, 1)[:, None]
        part = slice(frame, min(frame + lasts, n_frames))
        target[part] = (here + (there - here) * share * share * (3 - 2 * share))[: part.stop - part.start]
        here, frame = there, frame + lasts
    return target


def look(rotation: Array, translation: Array, target: Array, centres: Array) -> Array:
    """Return [T, 52] the eyeLook coefficients by which each eye looks at the camera plus an offset.

    Args:
        rotation, translation: [T, 3, 3] and [T, 3] head to camera.
        target: [T, 2] from `gaze_targets`.
        centres: [2, 3] of the left and right eyeball in the head frame.
    """
    coefficients = np.zeros((len(target), len(ARKIT_NAMES)))
    side, up = target.T
    for eye, name in enumerate(("Left", "Right")):
        position = rotation @ centres[eye] + translation
        forward = -position / np.linalg.norm(position, axis=1, keepdims=True)
        yaw, pitch = np.arctan2(forward[:, 0], forward[:, 2]) + side, np.arcsin(forward[:, 1]) + up
        direction = np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], axis=1)
        in_head = np.einsum("tji,tj->ti", rotation, direction)
        yaw = np.clip(np.arctan2(in_head[:, 0], in_head[:, 2]), -_MOST_LOOK_RAD, _MOST_LOOK_RAD)
        pitch = np.clip(np.arcsin(np.clip(in_head[:, 1], -1, 1)), -LOOK_UP_RAD * 0.8, LOOK_UP_RAD * 0.8)
        outward = yaw if name == "Left" else -yaw
        for way, angle, full in (("Out", outward, LOOK_SIDE_RAD), ("In", -outward, LOOK_SIDE_RAD),
                                 ("Up", pitch, LOOK_UP_RAD), ("Down", -pitch, LOOK_UP_RAD)):  # fmt: skip
            coefficients[:, columns_of(f"eyeLook{way}{name}")] = np.maximum(angle / full, 0)[:, None]
    return coefficients
