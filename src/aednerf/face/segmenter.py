"""Find the person in a picture, coarsely, with MediaPipe's selfie segmentation."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError, MachineError
from aednerf.face.quiet import quiet_stderr

Bytes = NDArray[np.uint8]

SEGMENT_SIZE = 256
"""Edge of the network's picture in pixels."""


class PersonSegmenter:
    """MediaPipe's selfie segmentation; a context manager, since it holds threads that must be closed.

    Args:
        model_path: `selfie_segmentation.tflite` or the publisher's `selfie_segmenter.tflite`.

    Raises:
        InputError: the model's file is missing or is no such model.
        MachineError: MediaPipe is not installed.
    """

    def __init__(self, model_path: str | Path) -> None:
        path = Path(model_path)
        if not path.is_file():
            raise InputError(f"The segmentation model {path} does not exist. `aednerf doctor` says how to get it.")
        try:
            import mediapipe
            from mediapipe.tasks import python as tasks
            from mediapipe.tasks.python import vision
        except ImportError as error:
            raise MachineError(f"The person's matte needs MediaPipe ({error}): pip install mediapipe") from None
        options = vision.ImageSegmenterOptions(
            base_options=tasks.BaseOptions(model_asset_path=str(path)),
            running_mode=vision.RunningMode.IMAGE,
            output_confidence_masks=True,
            output_category_mask=False,
        )
        try:
            with quiet_stderr():
                self._segmenter: Any = vision.ImageSegmenter.create_from_options(options)
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{path} is not an image segmentation model ({reason}). Fetch it again.") from None
        self._image_class, self._format = mediapipe.Image, mediapipe.ImageFormat.SRGB
        self._warm = False
        # Whoever closes waits for a picture in work: MediaPipe would crash.
        self._in_use = threading.Lock()

    def __enter__(self) -> PersonSegmenter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the network; a second call does nothing."""
        with self._in_use:
            if self._segmenter is not None:
                with quiet_stderr():
                    self._segmenter.close()
                self._segmenter = None

    def segment(self, rgb: Bytes) -> Bytes:
        """Return the person's confidence [256, 256] uint8 (255 is sure) in a picture uint8 [H, W, 3]."""
        # At the network's own size, MediaPipe resizes neither the picture nor the result a second time.
        small = cv2.resize(rgb, (SEGMENT_SIZE, SEGMENT_SIZE), interpolation=cv2.INTER_AREA)
        with self._in_use:
            if self._segmenter is None:
                raise ValueError("the segmenter is closed")
            picture = self._image_class(image_format=self._format, data=small)
            # MediaPipe logs a warning with the first picture only.
            with contextlib.nullcontext() if self._warm else quiet_stderr():
                result = self._segmenter.segment(picture)
            self._warm = True
            # Selfie segmentation has one mask, the person; a model with two lists the background first.
            confidence = result.confidence_masks[-1].numpy_view().reshape(SEGMENT_SIZE, SEGMENT_SIZE)
            return (confidence * 255 + 0.5).astype(np.uint8)
