"""Expressions read from pictures, the same way from rendered and real ones; MediaPipe is loaded only here."""

from __future__ import annotations

import importlib.util
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import AednerfError

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


class MediaPipeReader:
    """MediaPipe's blendshape scores, or on machines without it the reason why not; a context manager.

    The scores saturate and have habits of their own (`cheekPuff` never moves): compare scores only with scores.
    """

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

    def read(self, rgb: NDArray[np.uint8]) -> Reading | None:
        """Return what a picture [H, W, 3] shows, or None where no face is seen."""
        faces = self._detector.detect(rgb) if self._detector is not None else []
        if not faces:
            return None
        points = faces[0].points_px.astype(np.float64)
        eyes = float(np.linalg.norm(points[_LEFT_EYE] - points[_RIGHT_EYE]))
        gap = float(np.linalg.norm(points[_LOWER_LIP] - points[_UPPER_LIP]))
        return Reading(faces[0].scores, gap / max(eyes, 1e-6))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._detector is not None:
            self._detector.close()
