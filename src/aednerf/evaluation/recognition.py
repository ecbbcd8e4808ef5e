"""A simple judge of emotions, who knows other people's faces only: the nearest mean shift from neutral."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.records import EMOTIONS
from aednerf.evaluation.shifts import FELT_COLUMNS

Array = NDArray[np.float64]

_LEAST_SPREAD = 0.02


@dataclass(frozen=True)
class Judge:
    """Means of people's shifts from their own neutral face, and how much each coefficient varies about them."""

    labels: tuple[str, ...]
    means: Array
    """[L, 52]; the row of neutral is zero."""

    spread: Array
    """[52] standard deviation within the labels."""

    @staticmethod
    def of(people: Sequence[Mapping[str, Array]]) -> Judge:
        """Learn from people.

        Args:
            people: for each, by label, [N, 52] shifts of single moments.

        Raises:
            InputError: they show fewer than two emotions besides neutral.
        """
        labels = tuple(label for label in EMOTIONS if label == "neutral" or any(label in each for each in people))
        if len(labels) < 3:
            raise InputError(
                "The captures of other people show fewer than two emotions beside neutral: nothing to tell apart. "
                "Give captures whose clips have emotions, neutral among them."
            )
        means = np.zeros((len(labels), len(people[0]["neutral"][0])))
        for row, label in enumerate(labels[1:], start=1):  # each person counts alike
            means[row] = np.mean([each[label].mean(0) for each in people if label in each], axis=0)
        within = [each[label] - each[label].mean(0) for each in people for label in each]
        return Judge(labels, means, np.maximum(np.concatenate(within).std(0), _LEAST_SPREAD))

    def judge(self, shifts: Array) -> list[str]:
        """Return the label of each shift [N, 52]."""
        scaled = ((shifts[:, None] - self.means) / self.spread)[..., FELT_COLUMNS]
        return [self.labels[row] for row in np.square(scaled).sum(-1).argmin(1)]

    def confusion(self, shown: Mapping[str, Array]) -> Confusion:
        """Judge moments [N, 52] by label, and count."""
        rows = tuple(label for label in EMOTIONS if label in shown and len(shown[label]))
        counts = np.zeros((len(rows), len(self.labels)), int)
        for row, label in enumerate(rows):
            for found in self.judge(shown[label]):
                counts[row, self.labels.index(found)] += 1
        return Confusion(rows, self.labels, counts)


@dataclass(frozen=True)
class Confusion:
    """How often what was shown was taken for what."""

    shown: tuple[str, ...]
    taken_for: tuple[str, ...]
    counts: NDArray[np.int64]
    """[shown, taken for]"""

    @property
    def accuracy(self) -> float:
        """The share that was recognised, labels alike, of the labels that the judge knows; NaN where there is none."""
        rows = [(row, self.taken_for.index(label)) for row, label in enumerate(self.shown) if label in self.taken_for]
        shares = [self.counts[row, column] / self.counts[row].sum() for row, column in rows]
        return float(np.mean(shares)) if shares else float("nan")

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {
            "shown": self.shown, "taken_for": self.taken_for, "counts": self.counts.tolist(), "accuracy": self.accuracy,
            "chance": 1 / len(self.taken_for),
        }  # fmt: skip
