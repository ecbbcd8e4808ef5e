"""What a face does without speech: the head sways, the gaze wanders, the lids blink.

Head, gaze and brows are stretches of the person's own recording, joined where they fit and cross-faded, so they keep
the person's rhythm, the eyes' counter-rotation against the head, and the recorded range (a blend of two recorded rows
lies between them). Blinks are drawn anew at the person's rate.
"""

from __future__ import annotations

import numpy as np

from aednerf.core.records import Array
from aednerf.core.units import FPS
from aednerf.motion.channels import BLINK_COLUMNS, IDLE_COLUMNS
from aednerf.motion.statistics import N_POSE, MotionStats

BLINK_PROFILE = np.array([0.35, 0.85, 1.0, 0.8, 0.5, 0.25, 0.1, 0.03], np.float32)
"""How far the lids are closed in the frames of a blink: three closing, five opening (0.12 and 0.2 s)."""

BLINKS_PER_MINUTE = (8.0, 30.0)
"""The person's own rate is kept within what people do."""

_REFRACTORY_S = 1.0


class IdleMotion:
    """An endless stream of pose, brows, lids and gaze; the same seed gives the same frames."""

    def __init__(self, stats: MotionStats, seed: int, blink: bool = True) -> None:
        self._walk = _Walk(stats, np.random.default_rng([seed, 1]))
        self._blinks = _Blinks(stats, np.random.default_rng([seed, 2])) if blink else None

    def frame(self) -> tuple[Array, Array]:
        """Return the next frame: pose [6] as in the idle pool, and the idle columns [19] of the expression."""
        row = self._walk.step()
        pose, face = row[:N_POSE], row[N_POSE:]
        if self._blinks is not None:
            lids = np.searchsorted(IDLE_COLUMNS, BLINK_COLUMNS)
            face[lids] = np.maximum(face[lids], self._blinks.step())
        return pose, face


class _Walk:
    """Play a stretch of the pool, and before it ends (or when it has lasted) fade to another that moves alike."""

    FADE_FRAMES = 20
    LASTS_FRAMES = (60, 200)
    N_NEAREST = 6
    STALE = 6.0

    def __init__(self, stats: MotionStats, rng: np.random.Generator) -> None:
        self._pool, self._rng = stats.idle, rng
        bounds = np.append(stats.idle_starts, len(stats.idle))
        self._left = np.repeat(bounds[1:], np.diff(bounds)) - np.arange(len(stats.idle))
        # A fade needs two stretches running side by side; a third of the longest leaves time to play in between.
        self._fade = min(self.FADE_FRAMES, int(self._left.max()) // 3)
        self._likeness = _likeness(stats)
        self._played = np.zeros(len(stats.idle))
        self._open = np.flatnonzero(self._left >= min(3 * self.FADE_FRAMES, int(self._left.max()) - self._fade))
        # Neighbouring rows are one place: a coarse grid of places keeps the nearest ones apart.
        self._open = self._open[:: max(1, min(8, len(self._open) // 16))]
        self._at = int(rng.choice(self._open))
        self._to: int | None = None
        self._faded = 0
        self._lasts = int(rng.integers(*self.LASTS_FRAMES))

    def step(self) -> Array:
        """Return the next row [6 + 19]."""
        if self._fade < 2:
            return self._pool.mean(0)
        self._lasts -= 1
        if self._to is None and (self._lasts <= 0 or self._left[self._at] <= self._fade + 1):
            self._to, self._faded = self._choose(), 0
        row = self._pool[self._at].copy()
        self._played[self._at] += 1
        if self._to is not None:
            self._faded += 1
            share = np.float32(self._faded / self._fade)
            share = share * share * (3 - 2 * share)
            row = (1 - share) * row + share * self._pool[self._to]
            self._to += 1
            if self._faded == self._fade:
                self._at, self._to = self._to - 1, None
                self._lasts = int(self._rng.integers(*self.LASTS_FRAMES))
        self._at = min(self._at + 1, len(self._pool) - 1)
        return row

    def _choose(self) -> int:
        """Return the row to fade to: one of those that lie and move most like the present one, elsewhere."""
        distance = np.square(self._likeness[self._open] - self._likeness[self._at]).sum(1)
        # What was played less comes first, or two places that fit each other would play in turn for ever.
        distance += self.STALE * (self._played[self._open] - self._played.mean())
        distance[np.abs(self._open - self._at) < 2 * self._fade] += 1e6
        nearest = np.argsort(distance, kind="stable")[: self.N_NEAREST]
        return int(self._open[self._rng.choice(nearest)])


def _likeness(stats: MotionStats) -> np.ndarray:
    """Return [N, 12] pose and velocity of each row of the pool, each in its own standard deviations."""
    pose = stats.idle[:, :N_POSE].astype(np.float64)
    velocity = np.gradient(pose, axis=0) if len(pose) > 1 else np.zeros_like(pose)
    both = np.concatenate([pose, velocity], axis=1)
    return both / (both.std(0) + 1e-9)


class _Blinks:
    """Closed lids now and then: a Poisson process with a pause after each blink."""

    def __init__(self, stats: MotionStats, rng: np.random.Generator) -> None:
        rate = float(np.clip(stats.blink[0], *BLINKS_PER_MINUTE))
        self._mean_s = 60.0 / rate - _REFRACTORY_S
        self._depth, self._rng = stats.blink[1:], rng
        self._age = len(BLINK_PROFILE)
        self._wait = self._draw()

    def step(self) -> Array:
        """Return how far the left and the right lid are closed [2] in the next frame."""
        if self._age < len(BLINK_PROFILE):
            closed = BLINK_PROFILE[self._age]
            self._age += 1
            return closed * self._depth
        self._wait -= 1
        if self._wait <= 0:
            self._age, self._wait = 0, self._draw()
        return np.zeros(2, np.float32)

    def _draw(self) -> int:
        return int(FPS * (_REFRACTORY_S + self._rng.exponential(self._mean_s)))
