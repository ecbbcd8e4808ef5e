"""The figures that tell how good a capture is, clip by clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from aednerf.capture.capture import Capture
from aednerf.capture.sync import MouthSound, mouth_and_sound
from aednerf.core.records import ARKIT_NAMES
from aednerf.face.pose import angles_from_rotation
from aednerf.face.topology import LEFT_EYE, LIPS_LOWER_INNER, LIPS_UPPER_INNER, RIGHT_EYE

_SHARPNESS_SAMPLES = 12  # a clip
_SHARPNESS_WIDTH = 128  # pixels that the face is brought to


@dataclass(frozen=True)
class ClipFigures:
    """The figures of one clip; distances of the mouth are in units of the distance between the eyes."""

    name: str
    n_frames: int
    n_valid: int
    eyes_px: float
    """Median distance between the eyes in the stored frames."""

    source_eyes_px: float
    """The same in the source's pixels."""

    yaw_deg: tuple[float, float, float]
    """5th, 50th, 95th percentile; above 0 towards the person's left."""

    pitch_deg: tuple[float, float, float]
    """The same of the pitch; above 0 up."""

    error_px: tuple[float, float]
    """Median and 95th percentile of the fitted landmarks' distance, at a width of 512."""

    sharpness: float
    """Median variance of the Laplacian over the face, brought to a width of 128 pixels."""

    jaw_open: float
    """95th percentile of `jawOpen`."""

    lip_gap: tuple[float, float]
    """2nd and 95th percentile of the distance between the inner lips."""

    peak: float | None
    """Largest sample of the sound; None for a silent clip."""

    loudness_db: float | None
    """Level of the loudest tenth of the sound, in decibels of full scale."""

    clipped: float | None
    """Share of the samples at full scale."""

    sync: MouthSound | None
    """How mouth and sound go together; None for a silent clip."""


def measure(capture: Capture, index: int) -> ClipFigures:
    """Measure one clip of a capture."""
    record, tracking = capture.clips[index], capture.tracking
    frames = record.first + np.flatnonzero(tracking.valid[record.first : record.end])
    landmarks = tracking.landmarks_px[frames]
    yaw, pitch = head_angles_deg(tracking.rotation[frames])
    eyes, gaps = float(np.median(eye_distances(landmarks))), lip_gaps(landmarks)
    sound = capture.audio(index)
    sync = None
    if sound is not None:
        whole = np.full(record.n_frames, np.nan)
        whole[frames - record.first] = gaps
        sync = mouth_and_sound(whole, sound)
    return ClipFigures(
        name=record.name,
        n_frames=record.n_frames,
        n_valid=len(frames),
        eyes_px=eyes,
        source_eyes_px=eyes * record.crop.size / capture.size,
        yaw_deg=_percentiles(yaw, 5, 50, 95),
        pitch_deg=_percentiles(pitch, 5, 50, 95),
        error_px=_percentiles(tracking.error_px[frames] * (512 / capture.size), 50, 95),
        sharpness=_sharpness(capture, frames),
        jaw_open=float(np.percentile(tracking.expression[frames, ARKIT_NAMES.index("jawOpen")], 95)),
        lip_gap=_percentiles(gaps, 2, 95),
        peak=None if sound is None else float(np.abs(sound).max()),
        loudness_db=None if sound is None else _loudness_db(sound),
        clipped=None if sound is None else float((np.abs(sound) > 0.999).mean()),
        sync=sync,
    )


def head_angles_deg(rotation: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return yaw (above 0 towards the person's left) and pitch (above 0 up), [T] each in degrees, of rotations."""
    yaw, down, _ = np.rad2deg(angles_from_rotation(rotation)).T
    return yaw, -down


def eye_distances(landmarks_px: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return [T] the distance between the centres of the eyes' rims, from landmarks [T, 478, 2]."""
    left, right = (landmarks_px[:, list(eye)].mean(1) for eye in (LEFT_EYE, RIGHT_EYE))
    return np.linalg.norm(left - right, axis=-1)


def lip_gaps(landmarks_px: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return [T] the mean distance between the inner lips over that between the eyes, from landmarks [T, 478, 2]."""
    upper, lower = (landmarks_px[:, list(lip)] for lip in (LIPS_UPPER_INNER[3:6], LIPS_LOWER_INNER[3:6]))
    return np.linalg.norm(upper - lower, axis=-1).mean(1) / eye_distances(landmarks_px)


def _percentiles(values: NDArray[Any], *which: float) -> Any:
    return tuple(round(float(value), 4) for value in np.percentile(values, which))


def _sharpness(capture: Capture, frames: NDArray[np.int64]) -> float:
    chosen = frames[np.unique(np.linspace(0, len(frames) - 1, _SHARPNESS_SAMPLES).round().astype(int))]
    values = []
    for frame in chosen:
        image = next(capture.images(int(frame), int(frame) + 1))
        points = capture.tracking.landmarks_px[frame]
        (left, top), (right, bottom) = points.min(0), points.max(0)
        face = image[max(0, int(top)) : int(bottom) + 1, max(0, int(left)) : int(right) + 1]
        height = max(2, round(_SHARPNESS_WIDTH * face.shape[0] / face.shape[1]))
        small = cv2.resize(face, (_SHARPNESS_WIDTH, height), interpolation=cv2.INTER_AREA)
        gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        values.append(cv2.Laplacian(gray, cv2.CV_32F).var())
    return float(np.median(values))


def _loudness_db(sound: NDArray[np.float32]) -> float:
    """Return the level of the loudest tenth of the tenths of a second, in decibels of full scale."""
    n = len(sound) // 1600
    power = np.square(sound[: n * 1600].reshape(n, 1600)).mean(1) if n else np.square(sound).mean(keepdims=True)
    loud = np.sort(power)[-max(1, len(power) // 10) :].mean()
    return float(10 * np.log10(loud + 1e-12))
