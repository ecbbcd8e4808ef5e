"""The backdrop: an out-of-focus studio, painted."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from aednerf.synthetic.person import SyntheticPerson


def paint_plate(person: SyntheticPerson, size: int) -> NDArray[np.uint8]:
    """Paint [size, size, 3] in code values: a lit wall, soft panels and a few lights out of focus."""
    rng = np.random.default_rng(person.seed + 9)
    work = 512
    y, x = np.mgrid[0:work, 0:work].astype(np.float32) / work
    wall = np.asarray(person.plate, np.float32)
    glow = np.exp(-(((x - 0.60) / 0.48) ** 2 + ((y - 0.40) / 0.52) ** 2))
    picture = wall * (0.38 + 0.95 * glow[..., None])
    for _ in range(5):  # panels and shelves far behind
        layer = np.zeros((work, work), np.float32)
        left, width = rng.uniform(-0.1, 0.95), rng.uniform(0.05, 0.22)
        top, bottom = (-0.1, 1.1) if rng.random() < 0.6 else np.sort(rng.uniform(0.05, 1.0, 2))
        layer[(x > left) & (x < left + width) & (y > top) & (y < bottom)] = 1
        tint = rng.uniform(-0.30, 0.28) * np.array([1.0, 0.96, 0.9], np.float32)
        picture = picture * (1 + cv2.GaussianBlur(layer, (0, 0), 11)[..., None] * tint)
    for _ in range(7):  # lights
        layer = np.zeros((work, work), np.float32)
        centre = (
            int(rng.choice([rng.uniform(0.0, 0.22), rng.uniform(0.78, 1.0)]) * work),
            int(rng.uniform(0.05, 0.7) * work),
        )
        cv2.circle(layer, centre, int(rng.uniform(9, 22)), 1.0, -1, cv2.LINE_AA)
        warm = np.array([1.0, rng.uniform(0.62, 0.9), rng.uniform(0.35, 0.7)], np.float32)
        picture = picture + cv2.GaussianBlur(layer, (0, 0), 3.5)[..., None] * warm * rng.uniform(0.02, 0.09)
    picture = cv2.GaussianBlur(picture, (0, 0), 3)
    coded = np.clip(picture, 0, 1) ** (1 / 2.2) + rng.normal(0, 0.004, (work, work, 1))
    coded = cv2.resize(
        coded.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA if size < work else cv2.INTER_CUBIC
    )
    return np.rint(np.clip(coded, 0, 1) * 255).astype(np.uint8)
