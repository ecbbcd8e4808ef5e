"""Where pictures are compared: regions of a real frame, from its tracked landmarks and its parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from aednerf.face.topology import LEFT_EYE, LIPS_INNER, LIPS_OUTER, LIPS_OUTER_RING, OVAL, RIGHT_EYE

Mask = NDArray[np.bool_]

REGIONS = ("full", "head", "face", "mouth", "eyes", "neck")
HEAD_LABEL, NECK_LABEL = 1, 2
ENLARGEMENT = 1.25
"""How much larger than its landmarks' box the mouth's and each eye's box is: a quarter."""


@dataclass(frozen=True)
class Box:
    """The pixels [left, right) x [top, bottom)."""

    left: int
    top: int
    right: int
    bottom: int

    @staticmethod
    def around(points_px: NDArray[np.float32], enlargement: float = 1.0) -> Box:
        """Return the box of the pixels that points [N, 2] span (centres at +0.5), enlarged about its middle."""
        low, high = points_px.min(0), points_px.max(0)
        middle, half = (low + high) / 2, (high - low) / 2 * enlargement
        left, top = np.floor(middle - half).astype(int)
        right, bottom = np.ceil(middle + half).astype(int)
        return Box(int(left), int(top), int(right), int(bottom))

    def inside(self, width: int, height: int) -> Box:
        """Return the part inside a picture; where nothing is inside, an empty box."""
        left, top = min(max(self.left, 0), width), min(max(self.top, 0), height)
        return Box(left, top, min(max(self.right, left), width), min(max(self.bottom, top), height))

    def cut(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Return the box's part of a picture [H, W, ...], a view."""
        return picture[self.top : self.bottom, self.left : self.right]


def regions_of(landmarks_px: NDArray[np.float32], parts: NDArray[np.uint8]) -> dict[str, Mask]:
    """Return the masks [H, W] of the `REGIONS` of one real frame.

    Args:
        landmarks_px: [478, 2] the frame's tracked landmarks, pixel centres at +0.5.
        parts: [H, W] the frame's labels.
    """
    height, width = parts.shape
    oval = np.zeros((height, width), np.uint8)
    # OpenCV's pixel centres lie at 0; its coordinates are whole numbers with 4 bits of fraction.
    polygon = np.round((landmarks_px[list(OVAL)] - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(oval, [polygon], 1, shift=4)
    return {
        "full": np.ones((height, width), bool), "head": parts == HEAD_LABEL, "face": oval.astype(bool),
        "mouth": _filled((mouth_box(landmarks_px),), width, height),
        "eyes": _filled(eye_boxes(landmarks_px), width, height), "neck": parts == NECK_LABEL,
    }  # fmt: skip


def mouth_box(landmarks_px: NDArray[np.float32]) -> Box:
    """Return the box of the lips' landmarks [478, 2], enlarged by a quarter."""
    lips = sorted({*LIPS_OUTER, *LIPS_INNER, *LIPS_OUTER_RING})
    return Box.around(landmarks_px[lips], ENLARGEMENT)


def eye_boxes(landmarks_px: NDArray[np.float32]) -> tuple[Box, Box]:
    """Return the boxes of the landmarks of the person's left and right eye, each enlarged by a quarter."""
    left, right = (Box.around(landmarks_px[list(ring)], ENLARGEMENT) for ring in (LEFT_EYE, RIGHT_EYE))
    return left, right


def _filled(boxes: tuple[Box, ...], width: int, height: int) -> Mask:
    mask = np.zeros((height, width), bool)
    for box in boxes:
        box.inside(width, height).cut(mask)[:] = True
    return mask
