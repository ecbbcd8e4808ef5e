"""face.npz: the person's own surface and how each expression moves it, so that training needs no face model."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aednerf.capture.tracking import read_arrays
from aednerf.core.errors import InputError
from aednerf.core.files import atomic_path
from aednerf.core.records import ARKIT_NAMES

FACE_TABLE_NAME = "face.npz"


class FacePart(IntEnum):
    """What a point of the face table belongs to."""

    SKIN = 0
    UPPER_TEETH = 1
    LOWER_TEETH = 2
    LEFT_EYEBALL = 3
    RIGHT_EYEBALL = 4


@dataclass(frozen=True)
class FaceTable:
    """P points of the person's neutral face, head, neck, teeth and eyeballs, in the head frame."""

    points: NDArray[np.float32]
    """[P, 3] in metres."""

    deltas: NDArray[np.float16]
    """[52, P, 3] in metres: how far each ARKit coefficient at 1 moves each point."""

    part: NDArray[np.uint8]
    """[P] values of `FacePart`."""

    def __post_init__(self) -> None:
        n = len(self.points)
        shapes = {"points": (n, 3), "deltas": (len(ARKIT_NAMES), n, 3), "part": (n,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must be {list(shape)}, got {list(getattr(self, name).shape)}")
        if n == 0 or not (np.isfinite(self.points).all() and np.isfinite(self.deltas).all()):
            raise ValueError("its points are empty or not finite")
        if self.part.max() > max(FacePart):
            raise ValueError(f"part must be at most {int(max(FacePart))}, got {int(self.part.max())}")

    def deformed(self, expression: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the points [..., P, 3] under the expressions [..., 52]."""
        return self.points + np.tensordot(expression, self.deltas.astype(np.float32), axes=1)

    def save(self, folder: str | Path) -> None:
        """Write face.npz into `folder`, atomically."""
        with atomic_path(Path(folder) / FACE_TABLE_NAME) as temporary:
            np.savez(temporary, points=self.points, deltas=self.deltas, part=self.part)

    @staticmethod
    def load(folder: str | Path) -> FaceTable:
        """Read and check face.npz of `folder`.

        Raises:
            InputError: it is missing, damaged, or its arrays do not belong together.
        """
        path = Path(folder) / FACE_TABLE_NAME
        arrays = read_arrays(path, ("points", "deltas", "part"))
        try:
            return FaceTable(
                points=arrays["points"].astype(np.float32),
                deltas=arrays["deltas"].astype(np.float16),
                part=arrays["part"].astype(np.uint8),
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"{path} is damaged ({error}). Prepare the capture again.") from None
