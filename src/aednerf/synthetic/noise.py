"""Smooth random fields in space: what skin, hair and cloth vary by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

Array = NDArray[np.floating]

_LATTICE = 48


class Noise:
    """Value noise of a seed; every call with the same arguments gives the same field."""

    def __init__(self, seed: int) -> None:
        """Draw the lattice."""
        self._lattice = np.random.default_rng(seed).standard_normal((_LATTICE,) * 3).astype(np.float32)

    def at(self, points: Array, wavelength: float, channel: int = 0) -> Array:
        """Evaluate one octave.

        Args:
            points: [N, 3] in metres.
            wavelength: the lattice's spacing in metres.
            channel: another channel is another field.

        Returns:
            [N] about standard normal.
        """
        shifted = (
            points / np.float32(wavelength) + np.float32(17.31 * channel) + np.array([3.7, 11.1, 23.9], np.float32)
        )
        return 1.6 * map_coordinates(self._lattice, shifted.T, order=1, mode="grid-wrap")

    def fractal(self, points: Array, wavelength: float, octaves: int, channel: int = 0) -> Array:
        """Sum octaves [N] of halving wavelength and height."""
        total = np.zeros(len(points), np.float32)
        for octave in range(octaves):
            total += self.at(points, wavelength / 2**octave, channel + 7 * octave) / 2**octave
        return total / np.float32(1.3)


def smoothstep(low: float, high: float, value: Array) -> Array:
    """Go smoothly from 0 at `low` to 1 at `high` (which may be the smaller one)."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)
