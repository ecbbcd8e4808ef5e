"""Expressions read from pictures, the same way from rendered and real ones."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from aednerf.evaluation.detector import OneFace

_UPPER_LIP, _LOWER_LIP, _RIGHT_EYE, _LEFT_EYE = 13, 14, 33, 263


class Reading(NamedTuple):
    """What a picture shows of a face."""

    scores: NDArray[np.float32]
    """[52] how strongly each coefficient seems to show, in [0, 1]."""

    lip_gap: float
    """Distance of the inner lips, over that of the outer corners of the eyes."""


class FaceReader(Protocol):
    """What reads expressions from pictures."""

    reason: str
    """Why it cannot; empty where it can."""

    def read(self, rgb: NDArray[np.uint8]) -> Reading | None:
        """Return what a picture [H, W, 3] shows, or None where no face is seen."""
        ...


class MediaPipeReader(OneFace):
    """MediaPipe's blendshape scores, or on machines without it the reason why not; a context manager.

    The scores saturate and have habits of their own (`cheekPuff` never moves): compare scores only with scores.
    """

    def read(self, rgb: NDArray[np.uint8]) -> Reading | None:
        """Return what a picture [H, W, 3] shows, or None where no face is seen."""
        face = self.detect(rgb)
        if face is None:
            return None
        points = face.points_px.astype(np.float64)
        eyes = float(np.linalg.norm(points[_LEFT_EYE] - points[_RIGHT_EYE]))
        gap = float(np.linalg.norm(points[_LOWER_LIP] - points[_UPPER_LIP]))
        return Reading(face.scores, gap / max(eyes, 1e-6))
