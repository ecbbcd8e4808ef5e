"""truth/truth.npz of a synthetic capture: what was rendered, exactly, beyond what a capture holds anyway."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aednerf.capture.tracking import read_arrays
from aednerf.core.files import atomic_path
from aednerf.core.records import Camera
from aednerf.face.model import IBUG68_VERTICES, PersonPoints
from aednerf.synthetic.performance import Performance
from aednerf.synthetic.voice import Phoneme

TRUTH_FOLDER, TRUTH_NAME = "truth", "truth.npz"
_ARRAYS = (
    "rotation", "translation", "expression", "breath", "ibug68_px", "camera", "mean_rotation", "mean_translation",
    "phoneme", "phoneme_start_s", "phoneme_end_s", "phoneme_stressed",
)  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """What the synthetic person did over T frames; frame t is seen at (t + 0.5) / 25 s."""

    rotation: NDArray[np.float32]
    """[T, 3, 3] head to camera."""

    translation: NDArray[np.float32]
    """[T, 3] head to camera, metres."""

    expression: NDArray[np.float32]
    """[T, 52]."""

    breath: NDArray[np.float32]
    """[T] in [0, 1]."""

    ibug68_px: NDArray[np.float32]
    """[T, 68, 2] the mesh's iBUG vertices in pixels of the frame."""

    camera: NDArray[np.float32]
    """[3] focal length, cx, cy in pixels."""

    mean_rotation: NDArray[np.float32]
    """[3, 3] the pose about which unseen cameras orbit and under which the torso stands."""

    mean_translation: NDArray[np.float32]
    """[3]."""

    phonemes: tuple[Phoneme, ...]
    """In seconds of the whole recording, all clips in sequence."""

    @staticmethod
    def of(performance: Performance, face: PersonPoints, camera: Camera) -> Truth:
        """Collect what a performance shows to a camera."""
        motion, (mean_rotation, mean_translation) = performance.motion, performance.mean_pose
        return Truth(
            motion.rotation, motion.translation, motion.expression, performance.breath,
            project_face(face.pick(np.array(IBUG68_VERTICES)), performance, camera),
            np.array([camera.focal_px, camera.cx, camera.cy], np.float32), mean_rotation, mean_translation,
            performance.phonemes,
        )  # fmt: skip

    def save(self, folder: str | Path) -> None:
        """Write truth.npz into `folder`, atomically."""
        sounds = self.phonemes
        arrays = {name: getattr(self, name) for name in _ARRAYS if not name.startswith("phoneme")}
        with atomic_path(Path(folder) / TRUTH_NAME) as temporary:
            np.savez_compressed(
                temporary, **arrays, phoneme=np.array([p.name for p in sounds]),
                phoneme_start_s=np.array([p.start_s for p in sounds]),
                phoneme_end_s=np.array([p.end_s for p in sounds]),
                phoneme_stressed=np.array([p.is_stressed for p in sounds]),
            )  # fmt: skip

    @staticmethod
    def load(capture: str | Path) -> Truth:
        """Read the truth of a synthetic capture.

        Raises:
            InputError: the capture has none, or it is damaged.
        """
        found = read_arrays(Path(capture) / TRUTH_FOLDER / TRUTH_NAME, _ARRAYS)
        columns = [found.pop(name).tolist() for name in _ARRAYS[-4:]]
        return Truth(**found, phonemes=tuple(Phoneme(*row) for row in zip(*columns, strict=True)))


def project_face(points: PersonPoints, performance: Performance, camera: Camera) -> NDArray[np.float32]:
    """Return [T, P, 2] in pixels: points of the face as they follow a performance."""
    pixels = []
    for first in range(0, len(performance), 100):  # a hundred frames at a time: memory stays small
        part = performance.motion[first : first + 100]
        placed = points.at(part.expression) @ np.swapaxes(part.rotation, 1, 2) + part.translation[:, None]
        pixels.append(camera.project(placed).astype(np.float32))
    return np.concatenate(pixels)
