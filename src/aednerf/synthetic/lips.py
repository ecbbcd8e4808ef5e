"""The lips of one person's mesh: close them where speech needs it, whatever the emotion asks for.

The vertices of the mesh are linear in the coefficients, so the gap between the inner lips is too, and the coefficient
that closes it is found by division, not by trust in a table. This measure knows which vertices the lips are; others
have no mesh: `evaluation.lip_gap` looks for the lips in a capture's table, without knowing how they were made, and
`motion.closing` has the mean person's `gap_by` as numbers, because an avatar brings no face model. Tests hold both
against this one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aednerf.core.records import ARKIT_NAMES
from aednerf.face.model import IBUG68_VERTICES, UPPER_TEETH, PersonPoints
from aednerf.synthetic.viseme import columns_of

Array = NDArray[np.float64]

INNER_UPPER, INNER_LOWER = (61, 62, 63), (67, 66, 65)
"""Opposite points of the inner lips, in iBUG's 68."""

SEALED_M = 0.0002
"""The gap of lips that touch."""

_JAW, _CLOSE = ARKIT_NAMES.index("jawOpen"), ARKIT_NAMES.index("mouthClose")
_OPENERS = [i for n in ("mouthUpperUp", "mouthLowerDown", "mouthFunnel", "mouthShrugUpper") for i in columns_of(n)]
_SNEER, _PRESS, _SHRUG = columns_of("noseSneer"), columns_of("mouthPress"), columns_of("mouthShrugLower")
_SPREADERS = [i for name in ("mouthSmile", "mouthStretch", "mouthDimple", "mouthFrown") for i in columns_of(name)]
_ROLL, _LOWER, _UPPER = (columns_of(name) for name in ("mouthRollLower", "mouthLowerDown", "mouthUpperUp"))
_FORWARD = columns_of("jawForward")
_CLOSED_JAW, _BITING_JAW, _BITING_ROLL = 0.09, 0.09, 0.34
_MOST_PRESS, _MOST_SHRUG, _MOST_ROLL, _MOST_BITING_SHRUG = 0.5, 0.45, 0.4, 0.45


def _action(columns: list[int], weight: float = 1.0) -> Array:
    row = np.zeros(len(ARKIT_NAMES))
    row[columns] = weight
    return row


@dataclass(frozen=True)
class Lips:
    """What the inner lips of a person do, linear in the 52 coefficients; metres in the head frame."""

    neutral_gap: float
    gap_by: Array
    """[52] how much each coefficient opens the middle of the lips."""

    neutral_shear: float
    shear_by: Array
    """[52] how much each coefficient pushes the upper lip out in front of the lower one."""

    neutral_height: float
    height_by: Array
    """[52] how each coefficient raises the middle of the lower lip."""

    teeth_edge: float
    """Height of the lower edge of the upper incisors."""

    @staticmethod
    def of(person: PersonPoints) -> Lips:
        """Measure a whole mesh."""
        vertices = np.array(IBUG68_VERTICES)
        upper, lower = vertices[list(INNER_UPPER)], vertices[list(INNER_LOWER)]
        _, y, z = person.neutral.T.astype(float)
        _, by_y, by_z = np.moveaxis(person.expressions.astype(float), -1, 0)
        teeth = person.neutral[UPPER_TEETH]
        front = teeth[(np.abs(teeth[:, 0]) < 0.006) & (teeth[:, 2] > teeth[:, 2].max() - 0.006)]
        return Lips(
            float((y[upper] - y[lower]).mean()), (by_y[:, upper] - by_y[:, lower]).mean(1),
            float((z[upper] - z[lower]).mean()), (by_z[:, upper] - by_z[:, lower]).mean(1),
            float(y[lower[1]]), by_y[:, lower[1]], float(front[:, 1].min()),
        )  # fmt: skip

    def gap(self, expression: Array) -> Array:
        """Return [...] the signed height of the opening in metres, for expressions [..., 52]."""
        return self.neutral_gap + expression @ self.gap_by

    def height(self, expression: Array) -> Array:
        """Return [...] the height of the lower lip in metres."""
        return self.neutral_height + expression @ self.height_by

    def speak(self, expression: Array, closure: Array, bite: Array) -> Array:
        """Close the lips and let them bite where speech needs it, and keep them from passing through each other.

        Args:
            expression: [T, 52] speech and emotion together.
            closure: [T] in [0, 1], from `viseme.shape_mouth`.
            bite: [T] in [0, 1], likewise.

        Returns:
            [T, 52] in [0, 1], with mouthClose at most jawOpen.
        """
        expression = np.clip(expression, 0, 1)
        expression = self._bitten(expression, bite * (1 - closure))
        return self._closed(expression, closure)

    def _bitten(self, expression: Array, bite: Array) -> Array:
        """Bring the lower lip to the edge of the upper teeth."""
        e = expression.copy()
        e[:, _LOWER] *= (1 - bite)[:, None]
        e[:, _SPREADERS] *= (1 - 0.4 * bite)[:, None]
        e[:, _PRESS] *= (1 - bite)[:, None]
        e[:, _ROLL] += (bite * (_BITING_ROLL - e[:, _ROLL[0]]))[:, None]
        e[:, _UPPER] += bite[:, None] * np.maximum(0.22 - e[:, _UPPER], 0)
        e[:, _JAW] += bite * (np.minimum(e[:, _JAW], _BITING_JAW) - e[:, _JAW])
        e[:, _CLOSE] *= 1 - bite
        missing = bite * (self.teeth_edge + 0.0004 - self.height(e))
        e[:, _SHRUG] += np.clip(missing / self.height_by[_SHRUG].sum(), -e[:, _SHRUG[0]], _MOST_BITING_SHRUG)[:, None]
        missing = bite * (self.teeth_edge + 0.0004 - self.height(e))
        e[:, _JAW] = np.clip(e[:, _JAW] + missing / self.height_by[_JAW], 0, 1)
        return np.clip(e, 0, 1)

    def _closed(self, expression: Array, closure: Array) -> Array:
        """Bring the gap to `SEALED_M` as far as `closure` says, by what gives way most naturally first."""
        e = expression.copy()
        wanted = np.maximum(self.gap(e), SEALED_M) * (1 - closure) + SEALED_M * closure
        for columns, share in ((_OPENERS, 0.9), (_SPREADERS, 0.25), (_FORWARD, 0.8), (_SHRUG, 0.5)):
            e[:, columns] *= (1 - share * closure)[:, None]
        e[:, _JAW] += closure * (np.minimum(e[:, _JAW], _CLOSED_JAW) - e[:, _JAW])
        none = np.zeros(len(e))
        self._act(e, _action([_CLOSE]), wanted, -e[:, _CLOSE], e[:, _JAW] - e[:, _CLOSE])
        for _ in range(2):  # what brings the lips above each other changes the gap a little
            for columns, most in ((_PRESS, _MOST_PRESS), (_SHRUG, _MOST_SHRUG)):
                room = np.maximum(most * closure - e[:, columns].max(1), 0)
                self._act(e, _action(columns), wanted, none, room)
            self._act(e, _action(_SNEER), wanted, -e[:, _SNEER].min(1), none)
            shear = self.neutral_shear + e @ self.shear_by
            roll = np.clip(-shear / self.shear_by[_ROLL].sum(), 0, np.maximum(_MOST_ROLL - e[:, _ROLL[0]], 0))
            e[:, _ROLL] += (closure * roll)[:, None]
            e = self._parted(e)
        return e

    def _act(self, e: Array, action: Array, wanted: Array, least: Array, most: Array) -> None:
        """Add an action [52], as much of it as brings the gap to `wanted` and lies within limits [T], in place."""
        amount = np.clip((wanted - self.gap(e)) / (action @ self.gap_by), least, most)
        e += amount[:, None] * action
        np.clip(e, 0, 1, out=e)

    def _parted(self, expression: Array) -> Array:
        """Undo what presses the lips through each other."""
        e = expression
        for columns in (_SHRUG, _PRESS, [_CLOSE]):
            self._act(e, _action(columns), np.maximum(self.gap(e), SEALED_M), -e[:, columns[0]], np.zeros(len(e)))
        return e
