"""truth/truth.npz of a synthetic capture: what was rendered, exactly, beyond what a capture holds anyway."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aednerf.capture.tracking import read_arrays
from aednerf.core.errors import InputError
from aednerf.core.files import atomic_path
from aednerf.speech.phoneme import Phoneme

TRUTH_FOLDER, TRUTH_NAME, FOREGROUND_NAME = "truth", "truth.npz", "foreground.mp4"
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

        Args:
            capture: the capture's folder.

        Raises:
            InputError: the capture has none, or it is damaged.
        """
        path = Path(capture) / TRUTH_FOLDER / TRUTH_NAME
        if not path.is_file():
            raise InputError(f"{capture} has no truth ({path.name}). Expected a capture of `aednerf synthesize`.")
        found = read_arrays(path, _ARRAYS)
        columns = [found.pop(name).tolist() for name in _ARRAYS[-4:]]
        return Truth(**found, phonemes=tuple(Phoneme(*row) for row in zip(*columns, strict=True)))
