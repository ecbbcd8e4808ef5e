"""What is known of a person besides the mouth model's weights: rest pose, ranges, emotions, and how they idle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES, EMOTIONS, Array
from aednerf.motion.channels import IDLE_COLUMNS

N_POSE = 6
"""Numbers of a pose in the idle pool: rotation vector (radians, against the mean), then translation (metres)."""


@dataclass(frozen=True)
class MotionStats:
    """The person's own statistics, from the training frames only."""

    rest: Array
    """[52 + K] expression, then residual, of the silent face."""

    low: Array
    """[52 + K] the least of each that the recording shows."""

    high: Array
    """[52 + K] the most of each that the recording shows."""

    emotion_offset: Array
    """[8, 52] added to the expression, weighted by the emotion vector; row 0 (neutral) is zero."""

    mean_rotation: Array
    """[3, 3] head to camera."""

    mean_translation: Array
    """[3] metres."""

    idle: Array
    """[N, 6 + 19] stretches of recorded pose and of brows, lids and gaze with the blinks taken out."""

    idle_starts: np.ndarray
    """[S] int32: the first row of each stretch, ascending from 0."""

    blink: Array
    """[3] blinks a minute, and how far the left and the right lid close in one."""

    def __post_init__(self) -> None:
        n_columns, n_idle = len(ARKIT_NAMES) + self.n_residual, len(IDLE_COLUMNS)
        shapes = {
            "low": (n_columns,), "high": (n_columns,), "emotion_offset": (len(EMOTIONS), len(ARKIT_NAMES)),
            "mean_rotation": (3, 3), "mean_translation": (3,),
            "idle": (len(self.idle), N_POSE + n_idle), "blink": (3,),
        }  # fmt: skip
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise InputError(
                    f"Motion statistics: {name} must be {list(shape)}, got {list(getattr(self, name).shape)}."
                )
        if self.n_residual < 0:
            raise InputError(f"Motion statistics: rest must have at least {len(ARKIT_NAMES)} numbers.")
        starts = self.idle_starts
        if not len(self.idle) or starts.ndim != 1 or not len(starts) or starts[0] != 0 or starts[-1] >= len(self.idle):
            raise InputError(f"Motion statistics: the idle pool of {len(self.idle)} rows has no valid starts.")
        if (np.diff(starts) <= 0).any() or not all(np.isfinite(array).all() for array in self.to_arrays().values()):
            raise InputError("Motion statistics: a value is not finite, or the idle pool's starts do not ascend.")

    @property
    def n_residual(self) -> int:
        """K, the length of the residual code."""
        return self.rest.shape[-1] - len(ARKIT_NAMES)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the statistics as arrays by name, for a tensor file."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    @staticmethod
    def from_arrays(arrays: Mapping[str, np.ndarray]) -> MotionStats:
        """Build the statistics from what `to_arrays` returned.

        Raises:
            InputError: an array is missing, has another shape, or is not finite.
        """
        names = [entry.name for entry in fields(MotionStats)]
        missing = [name for name in names if name not in arrays]
        if missing:
            raise InputError(
                f"Motion statistics lack {', '.join(missing)}: the file was made by another version or is damaged."
            )
        parts: dict[str, Any] = {name: np.asarray(arrays[name]).astype(np.float32) for name in names}
        parts["idle_starts"] = np.asarray(arrays["idle_starts"]).astype(np.int32)
        return MotionStats(**parts)
