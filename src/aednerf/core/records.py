"""The records that travel between the parts: Camera, Emotion, Motion, Frame, and the names of their columns.

Axes, units and signs are on one page, `docs/conventions.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.units import FPS

Array = NDArray[np.float32]

ARKIT_NAMES: tuple[str, ...] = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft",
    "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
"""The 52 ARKit coefficients in MediaPipe's order without `_neutral`, `tongueOut` last."""

EMOTIONS: tuple[str, ...] = ("neutral", "angry", "contempt", "disgusted", "fear", "happy", "sad", "surprised")
"""MEAD's eight emotion labels, in alphabetical order after `neutral`."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera of square pixels, as u = cx - f X/Z, v = cy + f Y/Z with Z < 0 in front."""

    focal_px: float
    cx: float
    cy: float
    width: int
    height: int
    recorded: tuple[float, float, float, float] | None = None
    """Left, top, width and height, in pixels, of the recording's picture within this one's; None: they are the same."""

    def resized(self, width: int, height: int) -> Camera:
        """Return the camera whose picture is the same one at another size."""
        across, down = width / self.width, height / self.height
        recorded = None
        if self.recorded is not None:
            x, y, w, h = self.recorded
            recorded = (x * across, y * down, w * across, h * down)
        return Camera(self.focal_px * across, self.cx * across, self.cy * down, width, height, recorded)

    def cropped(self, left: int, top: int, width: int, height: int) -> Camera:
        """Return the camera whose picture is a rectangle of this one's, pixel for pixel."""
        x, y, w, h = self.recorded or (0.0, 0.0, self.width, self.height)
        recorded = (x - left, y - top, w, h)
        return Camera(self.focal_px, self.cx - left, self.cy - top, width, height, recorded)

    def zoomed(self, zoom: float) -> Camera:
        """Return the camera whose picture is this one's, enlarged about its middle and cut to the same size."""
        if zoom == 1.0:
            return self
        u, v = self.width / 2, self.height / 2
        x, y, w, h = self.recorded or (0.0, 0.0, self.width, self.height)
        recorded = (u + (x - u) * zoom, v + (y - v) * zoom, w * zoom, h * zoom)
        cx, cy = u + (self.cx - u) * zoom, v + (self.cy - v) * zoom
        return Camera(self.focal_px * zoom, cx, cy, self.width, self.height, recorded)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project camera-space points [..., 3] in metres to pixels [..., 2], pixel centres at +0.5."""
        u = self.cx - self.focal_px * points[..., 0] / points[..., 2]
        v = self.cy + self.focal_px * points[..., 1] / points[..., 2]
        return np.stack([u, v], axis=-1)


@dataclass(frozen=True)
class Emotion:
    """A mixture of the eight labels and how strongly it shows."""

    weights: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    """One weight per label of `EMOTIONS`, not negative, summing to 1."""

    intensity: float = 1.0
    """In [0, 1]; MEAD's levels 1, 2, 3 are 1/3, 2/3, 1. `neutral` ignores it."""

    @staticmethod
    def of(label: str, intensity: float = 1.0) -> Emotion:
        """Return the pure emotion of one label.

        Raises:
            InputError: the label is none of the eight, or the intensity is outside [0, 1].
        """
        if label not in EMOTIONS:
            raise InputError(f"Unknown emotion {label!r}. The labels are: {', '.join(EMOTIONS)}.")
        if not 0.0 <= intensity <= 1.0:
            raise InputError(f"Emotion intensity must lie in [0, 1], got {intensity}.")
        return Emotion(tuple(float(name == label) for name in EMOTIONS), float(intensity))

    @property
    def label(self) -> str:
        """The label with the largest weight."""
        return EMOTIONS[int(np.argmax(self.weights))]

    def vector(self) -> Array:
        """Return [8]: each label's weight times the intensity; the rest of the sum is given to `neutral`."""
        vector = np.asarray(self.weights, np.float32) * np.float32(self.intensity)
        vector[0] = 1.0 - vector[1:].sum()
        return vector


@dataclass(frozen=True)
class Motion:
    """What a face does over T frames at 25 fps: expression, residual and head pose, one row a frame."""

    expression: Array
    """[T, 52] ARKit coefficients in [0, 1], in the order of `ARKIT_NAMES`."""

    residual: Array
    """[T, K] the person's own residual code (K at most 32; zero is the default)."""

    rotation: Array
    """[T, 3, 3] head-to-camera rotation R of X_cam = R X_head + t."""

    translation: Array
    """[T, 3] head-to-camera translation t in metres."""

    fps: float = field(default=FPS)

    posture: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """[T, P] how the torso lies (P at most 16; `face.posture`); P is 0 where it is to follow the head's pose."""

    def __post_init__(self) -> None:
        n = len(self.expression)
        if self.posture.shape == (0, 0):
            object.__setattr__(self, "posture", np.zeros((n, 0), np.float32))
        shapes = {"expression": (n, len(ARKIT_NAMES)), "rotation": (n, 3, 3), "translation": (n, 3)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"Motion.{name} must be {shape}, got {getattr(self, name).shape}")
        if self.residual.ndim != 2 or len(self.residual) != n:
            raise ValueError(f"Motion.residual must be [{n}, K], got {self.residual.shape}")
        if self.posture.ndim != 2 or len(self.posture) != n:
            raise ValueError(f"Motion.posture must be [{n}, P], got {self.posture.shape}")

    def __len__(self) -> int:
        return len(self.expression)

    def __getitem__(self, frames: slice | np.ndarray) -> Motion:
        return replace(
            self, expression=self.expression[frames], residual=self.residual[frames],
            rotation=self.rotation[frames], translation=self.translation[frames], posture=self.posture[frames],
        )  # fmt: skip

    @staticmethod
    def concatenate(parts: list[Motion]) -> Motion:
        """Join motions end to end."""
        names = ("expression", "residual", "rotation", "translation", "posture")
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return Motion(**joined, fps=parts[0].fps)


@dataclass(frozen=True)
class Frame:
    """One rendered picture: premultiplied RGBA and its time."""

    rgba: NDArray[np.uint8]
    """[H, W, 4] uint8, premultiplied, code values."""

    time_s: float
    """When it is shown, from the start of the speech."""

    layers: Mapping[str, Array] = field(default_factory=dict)
    """What was asked for beside the picture: `depth` [H, W] in metres, `normal` [H, W, 3] in the camera's space."""
