"""The residual code: principal components of pose-stabilised mouth and eye crops, read off the frame's own pixels.

It tells the field what 52 coefficients cannot (teeth, tongue, wrinkles, where a lid really is). Each frame's lips and
chin, and both eyes, are resampled on a patch of the person's surface that moves with the head, as gray pictures of
36x28 and 28x18. The components come from training frames only. There are more of them than a code has numbers: which
of what they tell a code keeps, the field learns (`field/encoder.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.records import Camera
from aednerf.face import topology
from aednerf.face.pose import Poses, project

Array = np.ndarray

MOUTH_SIZE = (36, 28)
"""Width and height of the mouth's crop."""
EYE_SIZE = (28, 18)
"""Width and height of each eye's crop."""
CLIP_RANGE = 1.1
"""Codes are clipped to this much more than the range of the training frames."""
_OVERSAMPLE = 4


@dataclass(frozen=True)
class CropPatches:
    """Where the crops lie on the person's neutral face: grids of points in the head frame, metres."""

    mouth: Array
    """[28 * 4, 36 * 4, 3], rows from the top."""

    eyes: Array
    """[2, 18 * 4, 28 * 4, 3], left then right."""

    @staticmethod
    def on(landmarks: Array) -> CropPatches:
        """Lay the patches.

        Args:
            landmarks: [478, 3] the person's neutral landmarks, metres, head frame.
        """
        lips = landmarks[list(topology.LIPS_OUTER_RING)]
        width = 1.6 * np.ptp(lips[:, 0])
        centre = lips.mean(0)[:2] - (0.0, 0.15 * width)
        eyes = []
        for ring in (topology.LEFT_EYE, topology.RIGHT_EYE):
            lids = landmarks[list(ring)]
            eyes.append(_patch(landmarks, lids.mean(0)[:2], 1.5 * np.ptp(lids[:, 0]), EYE_SIZE))
        return CropPatches(_patch(landmarks, centre, width, MOUTH_SIZE), np.stack(eyes))

    def crops(self, gray: NDArray[np.uint8], poses: Poses, camera: Camera) -> tuple[Array, Array]:
        """Resample one frame: its mouth [1008] and its eyes [1008], float32 in [0, 1]."""
        mouth = _sample(gray, self.mouth, poses, camera, MOUTH_SIZE)
        eyes = [_sample(gray, patch, poses, camera, EYE_SIZE) for patch in self.eyes]
        return mouth, np.concatenate(eyes)


@dataclass(frozen=True)
class CropBasis:
    """Principal components of one kind of crop, scaled: code = (crop - mean) @ components, clipped."""

    mean: Array
    """[N] the training frames' mean crop."""

    components: Array
    """[N, K] unit principal vectors, each divided by sqrt(sd_k sd_0): the first code has standard deviation 1, and
    code k sqrt(sd_k / sd_0). Columns beyond what the training frames span are zero."""

    low: Array
    """[K] least allowed code."""

    high: Array
    """[K] largest allowed code."""

    @staticmethod
    def learn(crops: Array, n_components: int) -> CropBasis:
        """Learn the components of training crops [T, N]; fewer frames than components leave zero columns."""
        mean = crops.mean(0)
        centred = (crops - mean).astype(np.float64)
        _, singular, vectors = np.linalg.svd(centred, full_matrices=False)
        sd = singular / np.sqrt(max(len(crops), 1))
        n_real = min(n_components, int((sd > 1e-4 * max(sd[0], 1e-4)).sum()))
        components = np.zeros((crops.shape[1], n_components))
        components[:, :n_real] = vectors[:n_real].T / np.sqrt(sd[:n_real] * sd[0])
        code = centred @ components
        middle, half = 0.5 * (code.max(0) + code.min(0)), 0.5 * CLIP_RANGE * np.ptp(code, axis=0)
        arrays = (mean, components, middle - half, middle + half)
        return CropBasis(*(array.astype(np.float32) for array in arrays))

    def encode(self, crops: Array) -> Array:
        """Return the codes [..., K] of crops [..., N]."""
        return np.clip((crops - self.mean) @ self.components, self.low, self.high)


@dataclass(frozen=True)
class ResidualBasis:
    """All that turns a frame and its pose into its residual code."""

    patches: CropPatches
    mouth: CropBasis
    eyes: CropBasis

    def encode(self, gray: NDArray[np.uint8], poses: Poses, camera: Camera) -> Array:
        """Return the code [K] of one frame: a gray picture, one pose, the clip's camera."""
        mouth, eyes = self.patches.crops(gray, poses, camera)
        return np.concatenate([self.mouth.encode(mouth), self.eyes.encode(eyes)])

    def to_arrays(self) -> dict[str, Array]:
        """Return named arrays that hold the basis (for an .npz file)."""
        arrays = {"patch_mouth": self.patches.mouth, "patch_eyes": self.patches.eyes}
        for name, basis in (("mouth", self.mouth), ("eyes", self.eyes)):
            arrays |= {f"{name}_{field}": getattr(basis, field) for field in ("mean", "components", "low", "high")}
        return arrays

    @staticmethod
    def from_arrays(arrays: dict[str, Array]) -> ResidualBasis:
        """Rebuild what `to_arrays` returned."""
        bases = [
            CropBasis(*(np.asarray(arrays[f"{name}_{field}"]) for field in ("mean", "components", "low", "high")))
            for name in ("mouth", "eyes")
        ]
        return ResidualBasis(CropPatches(arrays["patch_mouth"], arrays["patch_eyes"]), *bases)


def leading(read: Array, n: int) -> Array:
    """Return the first numbers of both halves [T, n] of [T, N]: those that tell pictures apart best."""
    mouth, eyes = np.split(read, 2, axis=1)
    return np.concatenate([mouth[:, : n // 2], eyes[:, : n // 2]], axis=1)


def residual_code(
    frames: Callable[[], Iterable[NDArray[np.uint8]]],
    poses: Poses,
    cameras: list[Camera],
    clip_of: Array,
    landmarks: Array,
    train_frames: Array,
    n_mouth: int = 64,
    n_eyes: int = 64,
) -> tuple[Array, ResidualBasis]:
    """Learn the bases from training frames and return the code of every frame.

    Args:
        frames: returns an iterator over the T frames, uint8 RGB [H, W, 3] or gray [H, W].
        poses: T head-to-camera poses; NaN rows where there is none.
        cameras: one camera per clip.
        clip_of: [T] clip of each frame.
        landmarks: [478, 3] the person's neutral landmarks in the poses' head frame, metres.
        train_frames: indices of the frames that the bases may see.
        n_mouth: components of the mouth.
        n_eyes: components of both eyes together.

    Returns:
        code: [T, n_mouth + n_eyes] float32, NaN where there is no pose; and the bases.

    Raises:
        InputError: no training frame has a pose, or there are fewer frames than poses.

    Source: eigenfaces (Turk and Pentland, 1991) on stabilised crops; the scaling is ours.
    """
    patches = CropPatches.on(landmarks)
    valid = poses.valid
    n_mouth_px, n_eye_px = MOUTH_SIZE[0] * MOUTH_SIZE[1], 2 * EYE_SIZE[0] * EYE_SIZE[1]
    mouths = np.full((len(poses), n_mouth_px), np.nan, np.float32)
    eyes = np.full((len(poses), n_eye_px), np.nan, np.float32)
    n_seen = 0
    for t, gray in zip(range(len(poses)), _gray(frames()), strict=False):
        if valid[t]:
            mouths[t], eyes[t] = patches.crops(gray, poses[t : t + 1], cameras[clip_of[t]])
        n_seen = t + 1
    if n_seen < len(poses):
        raise InputError(f"Expected {len(poses)} frames, one per pose, got {n_seen}. Prepare the recording again.")
    train = np.asarray(train_frames)[valid[train_frames]]
    if not len(train):
        raise InputError("No training frame has a head pose. Use a recording in which the face is seen from the front.")
    basis = ResidualBasis(patches, CropBasis.learn(mouths[train], n_mouth), CropBasis.learn(eyes[train], n_eyes))
    code = np.concatenate([basis.mouth.encode(mouths), basis.eyes.encode(eyes)], axis=1)
    return code.astype(np.float32), basis


def _gray(frames: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    import cv2

    for frame in frames:
        yield frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)  # pyright: ignore[reportReturnType]


def _patch(landmarks: Array, centre: Array, width: float, size: tuple[int, int]) -> Array:
    """Return a grid [height, width, 3] over a box of the face, on the quadric that best fits the landmarks in it."""
    height = width * size[1] / size[0]
    near = (np.abs(landmarks[:, :2] - centre) < (0.6 * width, 0.6 * height)).all(1)
    x, y, z = landmarks[near].T

    def terms(x: Array, y: Array) -> Array:
        x, y = (x - centre[0]) / width, (y - centre[1]) / width
        return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)

    surface = np.linalg.lstsq(terms(x, y), z, rcond=None)[0]
    columns, rows = (_OVERSAMPLE * n for n in size)
    u, v = np.meshgrid((np.arange(columns) + 0.5) / columns - 0.5, 0.5 - (np.arange(rows) + 0.5) / rows)
    gx, gy = centre[0] + u * width, centre[1] + v * height
    return np.stack([gx, gy, terms(gx, gy) @ surface], axis=-1).astype(np.float32)


def _sample(gray: NDArray[np.uint8], patch: Array, poses: Poses, camera: Camera, size: tuple[int, int]) -> Array:
    import cv2

    pixels = project(patch.reshape(-1, 3), poses, camera)[0].reshape(*patch.shape[:2], 2).astype(np.float32)
    # OpenCV counts a pixel's centre as a whole number; ours lies at +0.5.
    columns, rows = pixels[..., 0] - np.float32(0.5), pixels[..., 1] - np.float32(0.5)
    fine = cv2.remap(gray, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(fine, size, interpolation=cv2.INTER_AREA).ravel().astype(np.float32) / 255
