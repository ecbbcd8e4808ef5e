"""The landmarks of rendered and real pictures, for the landmark distance."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aednerf.evaluation.detector import OneFace


class LandmarkFinder(Protocol):
    """What finds the face's landmarks in a picture."""

    reason: str
    """Why it cannot; empty where it can."""

    def find(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Return [478, 2] in pixels, or None where no face is seen."""
        ...


class MediaPipeLandmarks(OneFace):
    """MediaPipe's Face Landmarker, or on machines without it the reason why not; a context manager."""

    def find(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Return [478, 2] in pixels, or None where no face is seen."""
        face = self.detect(rgb)
        return None if face is None else face.points_px
