"""The eye, painted: iris fibres and the white's veins in polar coordinates, and where the eye sits in the mesh."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from aednerf.face.model import LEFT_EYEBALL, RIGHT_EYEBALL, PersonPoints
from aednerf.synthetic.noise import smoothstep
from aednerf.synthetic.person import SyntheticPerson

Array = NDArray[np.floating]

_SCLERA_VERTICES = 770


@dataclass(frozen=True)
class Eyeball:
    """Where one eye's centre, axis and iris are, in the head frame, looking ahead."""

    centre: Array
    """[3] the ball's centre."""

    pivot: Array
    """[3] the point about which it turns."""

    frame: Array
    """[3, 3] columns: the eye's side, up and axis."""

    radius: float
    """Of the ball, in metres."""

    @staticmethod
    def of(face: PersonPoints, left: bool) -> Eyeball:
        """Measure an eye of a person's neutral mesh."""
        ball = LEFT_EYEBALL if left else RIGHT_EYEBALL
        pivot = face.eye_centres[0 if left else 1]
        shell = face.neutral[ball][:_SCLERA_VERTICES].astype(np.float64)
        relative = shell - pivot
        back = relative[relative[:, 2] < 0.006]
        solved = np.linalg.lstsq(np.c_[2 * back, np.ones(len(back))], (back**2).sum(1), rcond=None)[0]
        centre = solved[:3]
        radius = float(np.sqrt(solved[3] + (centre**2).sum()))
        away = np.linalg.norm(relative - centre, axis=1)
        bulge = np.where(relative[:, 2] > 0, np.clip(away - radius - 0.0008, 0, None), 0)
        axis = bulge @ (relative - centre)
        axis /= np.linalg.norm(axis)
        side = np.cross([0, 1, 0], axis)
        side /= np.linalg.norm(side)
        frame = np.stack([side, np.cross(axis, side), axis], axis=1)
        return Eyeball((pivot + centre).astype(np.float32), pivot.astype(np.float32), frame.astype(np.float32), radius)


def paint_eye(person: SyntheticPerson, size: int = 1024) -> NDArray[np.uint8]:
    """Paint the eye in polar coordinates.

    Returns:
        [size // 2, size, 3] the square root of the linear reflectance; columns are the angle, rows the distance from
        the axis over three iris radii (for the iris: from the pupil's edge to the limbus over three).
    """
    rng = np.random.default_rng(person.seed + 2)
    rows, columns = size // 2, size
    iris_rows = rows // 3
    picture = np.zeros((rows, columns, 3), np.float32)
    picture[:iris_rows] = _iris(person, rng, iris_rows, columns)
    picture[iris_rows:] = _white(rng, rows - iris_rows, columns)
    return np.rint(np.sqrt(np.clip(picture, 0, 1)) * 255).astype(np.uint8)


def _iris(person: SyntheticPerson, rng: np.random.Generator, rows: int, columns: int) -> Array:
    rho = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    fibres = np.zeros((rows, columns), np.float32)
    for blur_x, blur_y, weight in ((1.2, 40, 1.0), (3.0, 60, 1.0), (9.0, 70, 0.8), (2.0, 9, 0.5)):
        layer = rng.standard_normal((rows, columns)).astype(np.float32)
        layer = cv2.GaussianBlur(np.tile(layer, 3), (0, 0), sigmaX=blur_x, sigmaY=blur_y)[:, columns : 2 * columns]
        fibres += weight * layer / layer.std()
    fibres /= fibres.std()
    ragged = cv2.GaussianBlur(np.tile(rng.standard_normal((1, columns)).astype(np.float32), 3), (0, 0), 14)
    ragged = ragged[:, columns : 2 * columns] / ragged.std() * 0.05
    collarette = np.exp(-(((rho - 0.32 - ragged) / 0.07) ** 2))
    inner = smoothstep(0.62, 0.18, rho + ragged + 0.05 * fibres)
    outer_colour, inner_colour = np.asarray(person.iris), np.asarray(person.iris_inner)
    colour = outer_colour * (1 - inner[..., None]) + inner_colour * inner[..., None]
    light = np.exp(0.38 * fibres + 0.35 * collarette - 0.1) * (1 - 0.25 * smoothstep(0.16, 0.0, rho))
    return (colour * light[..., None]).astype(np.float32)


def _white(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """Paint the sclera with fine veins that run in from the corners."""
    t = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    angle = (np.arange(columns, dtype=np.float32) / columns - 0.5) * 2 * np.pi
    corner = np.abs(np.cos(angle)) ** 2
    colour = np.ones((rows, columns, 3), np.float32) * np.array([0.60, 0.555, 0.52], np.float32)
    flush = (corner * smoothstep(0.05, 0.55, t))[..., None]
    colour *= 1 - flush * np.array([0.04, 0.22, 0.24], np.float32)
    veins = np.zeros((rows, columns), np.float32)
    for _ in range(70):
        side = 0 if rng.random() < 0.5 else np.pi
        at, row = side + rng.normal(0, 0.55), float(rows - 1)
        heading, strength = rng.normal(0, 0.004), rng.uniform(0.25, 0.9)
        path = []
        while row > rows * rng.uniform(0.02, 0.25) and len(path) < 400:
            path.append(((at / (2 * np.pi) + 0.5) % 1 * columns, row))
            heading = 0.9 * heading + rng.normal(0, 0.0055)
            at, row = at + heading, row - 2.0
        for a, b in zip(path, path[1:], strict=False):
            if abs(a[0] - b[0]) < columns / 2:
                cv2.line(
                    veins,
                    (int(a[0]), int(a[1])),
                    (int(b[0]), int(b[1])),
                    strength * (a[1] / rows) ** 0.7,
                    1,
                    cv2.LINE_AA,
                )
    veins = cv2.GaussianBlur(veins, (0, 0), 1.1)[..., None] * 0.75
    return colour * (1 - veins * np.array([0.22, 0.62, 0.62], np.float32))
