"""How far the lips part, from a motion and the person's face table: no picture and no detector is needed.

The face table names no vertices, so the lips are found by how they move; `synthetic.lips`, which has the whole mesh, is
what a test holds this against, and is not used here: what is judged should not bring its own measure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aednerf.capture.face_table import FacePart, FaceTable
from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES

Array = NDArray[np.float64]

_HALF_WIDTH_M = 0.008
"""The middle of the lips, where they part most."""
_STILL, _MOVED = 0.2, 0.6
"""Skin that an open jaw moves by less than the first share of its most is of the upper lip, by more than the second of
the lower one."""
_RIM_M = 0.002
"""Points of the two lips that are nearest to each other, and those farther apart by so much, are the rims."""


@dataclass(frozen=True)
class LipGap:
    """The height of the mouth's opening, linear in the 52 coefficients as the mesh itself; metres in the head frame."""

    neutral: float
    by: Array
    """[52] how much each coefficient at 1 opens the lips."""

    @staticmethod
    def of(table: FaceTable) -> LipGap:
        """Find the inner rims of the lips in a person's face table.

        The lips touch or nearly do, and an open jaw moves only the lower one: the points of the upper lip that are
        nearest to the lower one are the rim.

        Raises:
            InputError: the table has no mouth that a jaw opens.
        """
        chosen = (table.part == FacePart.SKIN) & (np.abs(table.points[:, 0]) < _HALF_WIDTH_M)
        points, deltas = table.points[chosen].astype(np.float64), table.deltas[:, chosen].astype(np.float64)
        drop = -deltas[ARKIT_NAMES.index("jawOpen"), :, 1]
        most = drop.max(initial=0.0)
        upper, lower = np.flatnonzero(drop < _STILL * most), np.flatnonzero(drop > _MOVED * most)
        if not len(upper) or not len(lower):
            raise InputError("The capture's face table has no lips that an open jaw parts. Prepare the capture again.")
        distance = np.linalg.norm(points[upper][:, None] - points[lower], axis=-1)
        nearest = distance.min() + _RIM_M
        above, below = upper[distance.min(1) < nearest], lower[distance.min(0) < nearest]
        gap = points[above, 1].min() - points[below, 1].max()
        by = deltas[:, above, 1].mean(1) - deltas[:, below, 1].mean(1)
        return LipGap(float(gap), by)

    def __call__(self, expression: NDArray[np.floating]) -> Array:
        """Return [...] the opening in metres, not below 0, for expressions [..., 52]; NaN where they are."""
        return np.maximum(self.neutral + expression.astype(np.float64) @ self.by, 0.0)
