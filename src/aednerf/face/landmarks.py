"""Find faces and their 478 landmarks with MediaPipe's Face Landmarker."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError, MachineError
from aednerf.core.records import ARKIT_NAMES
from aednerf.face.quiet import quiet_stderr
from aednerf.face.topology import N_LANDMARKS


@dataclass(frozen=True)
class Detection:
    """One face found in one picture."""

    points_px: NDArray[np.float32]
    """[478, 2] u, v in pixels, pixel centres at +0.5."""

    depth: NDArray[np.float32]
    """[478] MediaPipe's relative depth in pixels; smaller is nearer. Only its order of size means anything."""

    scores: NDArray[np.float32]
    """[52] MediaPipe's blendshape scores in [0, 1], in the order of `ARKIT_NAMES` (`tongueOut` is 0)."""

    transform: NDArray[np.float32]
    """[4, 4] MediaPipe's own pose: canonical face (centimetres) to its camera (y up, looking along -z)."""

    @property
    def box_px(self) -> tuple[float, float, float, float]:
        """The points' bounding box: left, top, right, bottom."""
        (left, top), (right, bottom) = self.points_px.min(0), self.points_px.max(0)
        return float(left), float(top), float(right), float(bottom)

    @property
    def area_px(self) -> float:
        """The area of the bounding box."""
        left, top, right, bottom = self.box_px
        return (right - left) * (bottom - top)


class FaceDetector:
    """Find faces in single pictures; a context manager, since the detector holds threads that must be closed.

    It runs in the IMAGE mode: the VIDEO mode lags by half a frame and smooths the lips.

    Args:
        model_path: `face_landmarker.task`.
        max_faces: how many faces a picture may hold at most.
        min_confidence: the least confidence in [0, 1] of the detection and of the landmarks.

    Raises:
        InputError: the model's file is missing or is no such model.
        MachineError: MediaPipe is not installed.
    """

    def __init__(self, model_path: str | Path, max_faces: int = 4, min_confidence: float = 0.5) -> None:
        path = Path(model_path)
        if not path.is_file():
            raise InputError(f"The face landmark model {path} does not exist. `aednerf doctor` says how to get it.")
        with quiet_stderr():
            try:
                import mediapipe
                from mediapipe.tasks import python as tasks
                from mediapipe.tasks.python import vision
            except ImportError as error:
                raise MachineError(f"Finding faces needs MediaPipe ({error}): pip install mediapipe") from None
            options = vision.FaceLandmarkerOptions(
                base_options=tasks.BaseOptions(model_asset_path=str(path)),
                running_mode=vision.RunningMode.IMAGE,
                num_faces=max_faces,
                min_face_detection_confidence=min_confidence,
                min_face_presence_confidence=min_confidence,
                output_face_blendshapes=True,
                output_facial_transformation_matrixes=True,
            )
            try:
                self._landmarker: Any = vision.FaceLandmarker.create_from_options(options)
            except (RuntimeError, ValueError) as error:
                reason = str(error).splitlines()[0]
                raise InputError(f"{path} is not a Face Landmarker model ({reason}). Fetch it again.") from None
        self._image_class, self._format = mediapipe.Image, mediapipe.ImageFormat.SRGB
        self._warm = False
        # Whoever closes waits for a picture in work: MediaPipe would crash.
        self._in_use = threading.Lock()

    def __enter__(self) -> FaceDetector:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the detector; a second call does nothing."""
        with self._in_use:
            if self._landmarker is not None:
                with quiet_stderr():
                    self._landmarker.close()
                self._landmarker = None

    def detect(self, rgb: NDArray[np.uint8]) -> list[Detection]:
        """Find the faces of one picture, the largest first.

        Args:
            rgb: [H, W, 3] uint8.

        Returns:
            At most `max_faces` detections; an empty list where there is no face.
        """
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
            raise InputError(f"A picture must be uint8 [H, W, 3], got {rgb.dtype} {list(rgb.shape)}.")
        with self._in_use:
            if self._landmarker is None:
                raise ValueError("the detector is closed")
            image = self._image_class(image_format=self._format, data=np.ascontiguousarray(rgb))
            # MediaPipe logs its delegate and a warning about normalised rectangles with the first picture only.
            with contextlib.nullcontext() if self._warm else quiet_stderr():
                result = self._landmarker.detect(image)
            self._warm = True
        height, width = rgb.shape[:2]
        found = [
            _detection(points, shapes, matrix, width, height)
            for points, shapes, matrix in zip(
                result.face_landmarks, result.face_blendshapes, result.facial_transformation_matrixes, strict=True
            )
        ]
        return sorted(found, key=lambda detection: -detection.area_px)


def _detection(points: Any, shapes: Any, matrix: Any, width: int, height: int) -> Detection:
    # Depth is normalised by the picture's width, as x is.
    xyz = np.array([(p.x * width, p.y * height, p.z * width) for p in points], np.float32)
    assert len(xyz) == N_LANDMARKS
    score = {category.category_name: category.score for category in shapes}
    scores = np.array([score.get(name, 0.0) for name in ARKIT_NAMES], np.float32)
    return Detection(xyz[:, :2].copy(), xyz[:, 2].copy(), scores, np.asarray(matrix, np.float32))
