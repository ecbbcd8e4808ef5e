"""The landmarks of rendered and real pictures, for the landmark distance; MediaPipe is loaded only here."""

from __future__ import annotations

import importlib.util
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import AednerfError


class LandmarkFinder(Protocol):
    """What finds the face's landmarks in a picture."""

    reason: str
    """Why it cannot; empty where it can."""

    def find(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Return [478, 2] in pixels, or None where no face is seen."""
        ...


class MediaPipeLandmarks:
    """MediaPipe's Face Landmarker, or on machines without it the reason why not; a context manager."""

    def __init__(self) -> None:
        self.reason = "MediaPipe is not installed"
        self._detector = None
        if importlib.util.find_spec("mediapipe") is None:
            return
        try:
            from aednerf import assets
            from aednerf.face.landmarks import FaceDetector

            self._detector = FaceDetector(assets.find("face_landmarker"), max_faces=1)
            self.reason = ""
        except AednerfError as error:
            self.reason = str(error)

    def find(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Return [478, 2] in pixels, or None where no face is seen."""
        faces = self._detector.detect(rgb) if self._detector is not None else []
        return faces[0].points_px if faces else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._detector is not None:
            self._detector.close()
