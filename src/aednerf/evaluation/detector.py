"""The one face that MediaPipe finds in a picture, for what measures pictures; it is loaded only here."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import AednerfError

if TYPE_CHECKING:
    from aednerf.face.landmarks import Detection


class OneFace:
    """MediaPipe's Face Landmarker, or on machines without it the reason why not; a context manager."""

    def __init__(self) -> None:
        self.reason = "MediaPipe is not installed"
        """Why it cannot; empty where it can."""
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

    def detect(self, rgb: NDArray[np.uint8]) -> Detection | None:
        """Return the face in a picture [H, W, 3], or None where none is seen."""
        faces = self._detector.detect(rgb) if self._detector is not None else []
        return faces[0] if faces else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._detector is not None:
            self._detector.close()
