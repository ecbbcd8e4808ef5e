"""The skin, painted: colour, oil and fine relief in texture space, from positions on the model's mean face."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from aednerf.face.model import IBUG68_VERTICES
from aednerf.synthetic.noise import Noise, smoothstep
from aednerf.synthetic.person import SyntheticPerson

Array = NDArray[np.floating]


class SkinTextures(NamedTuple):
    """Two textures (face; head and neck) of each kind."""

    colour: NDArray[np.uint8]
    """[2, S, S, 4]: the square root of the linear reflectance, and how oily (0.5 is average)."""

    detail: NDArray[np.uint8]
    """[2, S, S, 4]: tangent-space normal x, y (0.5 is flat), cavity (1 is open), and how much is scalp."""


def paint_skin(person: SyntheticPerson, positions: Array, mean: Array, lids: Array) -> SkinTextures:
    """Paint one person's skin.

    Args:
        person: whose colours and seed to use.
        positions: [2, S, S, 3] where each texel lies on the mean face, in metres; NaN where no texel is used.
        mean: [V, 3] the mean face's vertices.
        lids: [N, 3] points along the lids' edges of the mean face, where the lashes root.
    """
    used = np.isfinite(positions[..., 0])
    points = positions[used]
    noise = Noise(person.seed)
    marks = mean[np.array(IBUG68_VERTICES)]
    lips, scalp = lip_mask(points, marks), scalp_mask(points, noise)
    colour = _colour(person, points, marks, noise, lips, scalp)
    oil = _oil(points, lips, noise)
    edge = np.exp(-0.5 * (KDTree(lids).query(points)[0] / 0.0008) ** 2).astype(np.float32)
    colour *= 1 - edge[:, None] * np.array([0.66, 0.72, 0.74]) * min(1.0, 0.75 * person.lash_length)
    height, cavity = _relief(points, noise, lips)
    maps = [_filled(values, used) for values in (*np.sqrt(np.clip(colour.T, 0, 1)), oil, cavity, scalp)]
    normal = [_slope(plane, layer) for layer, plane in enumerate(_filled(height, used))]
    quantised = [np.rint(np.clip(plane, 0, 1) * 255).astype(np.uint8) for plane in maps]
    slopes = np.rint(np.clip(np.stack(normal) * 0.5 + 0.5, 0, 1) * 255).astype(np.uint8)
    return SkinTextures(
        np.stack(quantised[:4], axis=-1),
        np.concatenate([slopes, np.stack(quantised[4:], axis=-1)], axis=-1),
    )


def lip_mask(points: Array, marks: Array) -> Array:
    """Return [N]: 1 on the lips' red, softly 0 outside; `marks` are the 68 landmarks of the mean face."""
    t = np.linspace(0, 1, 80)
    upper = _curve(marks[48:55], t)
    lower = _curve(marks[[48, 59, 58, 57, 56, 55, 54]], t)
    contour = np.concatenate([upper, lower])
    distance = KDTree(contour[:, :2]).query(points[:, :2])[0].astype(np.float32)
    x, y = points[:, 0], points[:, 1]
    inside = (y < np.interp(x, upper[:, 0], upper[:, 1])) & (y > np.interp(x, lower[:, 0], lower[:, 1]))
    inside &= (np.abs(x) < marks[54, 0]) & (points[:, 2] > 0.075)
    return smoothstep(-0.0006, 0.0009, np.where(inside, distance, -distance)) * (points[:, 2] > 0.075)


def hairline(azimuth: Array) -> Array:
    """Return the height in metres above which hair grows, by the azimuth in degrees (0 in front, 180 behind)."""
    angles = [0, 18, 34, 46, 56, 64, 72, 80, 88, 100, 112, 130, 150, 180]
    heights = [
        0.1030,
        0.1035,
        0.1000,
        0.0880,
        0.0680,
        0.0440,
        0.0240,
        0.0180,
        0.050,
        0.045,
        0.002,
        -0.026,
        -0.038,
        -0.042,
    ]
    return np.interp(azimuth, angles, heights).astype(np.float32)


def scalp_mask(points: Array, noise: Noise) -> Array:
    """Return [N]: 1 where hair grows densely on the mean head, falling to 0 over the hairline."""
    azimuth = np.degrees(np.arctan2(np.abs(points[:, 0]), points[:, 2] - 0.012))
    ragged = 0.0012 * noise.at(points, 0.006, 40) + 0.0010 * noise.at(points, 0.0025, 41)
    ear = np.abs(points[:, 0]) > 0.079 + 0.2 * np.maximum(points[:, 1] - 0.05, 0)
    return smoothstep(-0.003, 0.009, points[:, 1] - hairline(azimuth) + ragged) * ~(ear & (points[:, 1] < 0.06))


def _curve(knots: Array, t: Array) -> Array:
    from scipy.interpolate import PchipInterpolator

    return PchipInterpolator(np.linspace(0, 1, len(knots)), knots)(t).astype(np.float32)


def _blob(points: Array, centre: tuple[float, float, float], radius: float) -> Array:
    """Return [N]: a Gaussian about a point and its mirror image."""
    mirrored = np.abs(points[:, 0]) - abs(centre[0])
    squared = mirrored**2 + (points[:, 1] - centre[1]) ** 2 + (points[:, 2] - centre[2]) ** 2
    return np.exp(-0.5 * squared / radius**2).astype(np.float32)


def _colour(person: SyntheticPerson, points: Array, marks: Array, noise: Noise, lips: Array, scalp: Array) -> Array:
    """Return [N, 3] linear reflectance."""
    base = np.asarray(person.skin, np.float32)
    blood = np.array([1.04, 0.74, 0.70], np.float32)  # what redness multiplies the skin by
    brown = np.array([0.72, 0.58, 0.46], np.float32)
    blue = np.array([0.80, 0.78, 0.84], np.float32)
    mottle = noise.fractal(points, 0.018, 4)
    colour = base * (1 + 0.045 * mottle[:, None] * np.array([0.7, 1.0, 1.2], np.float32))
    colour *= 1 + 0.035 * noise.fractal(points, 0.0022, 3, 3)[:, None]
    red = 0.85 * _blob(points, (0.043, -0.002, 0.092), 0.017) + 0.9 * _blob(points, (0, 0.004, 0.128), 0.011)
    red += 0.7 * _blob(points, (0.016, -0.002, 0.112), 0.007) + 0.35 * _blob(points, (0, -0.066, 0.108), 0.014)
    red += 0.8 * smoothstep(0.076, 0.086, np.abs(points[:, 0])) * (points[:, 1] < 0.06) * (points[:, 1] > -0.04)
    red += 0.3 * _blob(points, (0.030, 0.047, 0.093), 0.008) + 0.25 * np.clip(noise.fractal(points, 0.009, 3, 9), 0, 2)
    colour = _tint(colour, blood, np.clip(red * (0.35 + person.redness), 0, 1.2))
    shade = 0.55 * _blob(points, (0.026, 0.0225, 0.095), 0.0065) + 0.45 * _blob(points, (0.018, 0.027, 0.094), 0.005)
    colour = _tint(colour, np.array([0.80, 0.69, 0.72], np.float32), np.clip(shade, 0, 1))
    colour = _tint(
        colour, brown, 0.22 * _near(points, _curve(marks[[48, 59, 58, 57, 56, 55, 54]], np.linspace(0, 1, 60)), 0.004)
    )
    for knots in (marks[17:22], marks[22:27]):
        line = _curve(knots, np.linspace(0, 1, 60)) - np.array([0, 0.0016, 0], np.float32)
        colour = _tint(
            colour, np.asarray(person.brow) / base, 0.5 * _near(points, line, 0.0024 * person.brow_weight**0.5)
        )
    colour = _spots(person, colour, points, brown)
    if person.stubble:
        colour = _tint(
            colour,
            blue * 0.62,
            person.stubble * beard_mask(points, marks) * (0.62 + 0.25 * noise.at(points, 0.0011, 50)),
        )
    lip = np.asarray(person.lips) * (
        1 + 0.10 * noise.fractal(points * np.array([1, 0.28, 0.28], np.float32), 0.0012, 2, 60)[:, None]
    )
    lip = lip * (
        1 - 0.18 * smoothstep(0.0075, 0.0, np.abs(points[:, 1] - 0.5 * (marks[62, 1] + marks[66, 1])))[:, None]
    )
    colour = colour * (1 - 0.93 * lips[:, None]) + lip * 0.93 * lips[:, None]
    hair = np.asarray(person.hair) * 1.15 + 0.025 * base
    cover = 0.92 * scalp[:, None] ** 1.3
    return colour * (1 - cover) + hair * cover


def _tint(colour: Array, factor: Array, amount: Array) -> Array:
    return colour * (1 + amount[:, None] * (factor - 1))


def _near(points: Array, curve: Array, radius: float) -> Array:
    return np.exp(-0.5 * (KDTree(curve).query(points)[0] / radius) ** 2).astype(np.float32)


def beard_mask(points: Array, marks: Array) -> Array:
    """Return [N]: where a beard would grow."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    moustache = smoothstep(-0.0135, -0.018, y) * smoothstep(0.034, 0.026, x) * smoothstep(-0.04, -0.03, y)
    jaw = smoothstep(-0.018, -0.036, y + 0.30 * np.maximum(x - 0.045, 0) - 0.012 * smoothstep(0.045, 0.06, x))
    cheeks = smoothstep(0.03, 0.0, y) * smoothstep(0.060, 0.068, x) * smoothstep(0.028, 0.036, z)
    beside_mouth = 1 - 0.6 * np.exp(-0.5 * (((x - 0.036) / 0.007) ** 2 + ((y + 0.036) / 0.012) ** 2))
    under = smoothstep(-0.125, -0.09, y) * smoothstep(0.0, 0.025, z)
    return np.clip(np.maximum(np.maximum(moustache, jaw * beside_mouth), 0.7 * cheeks), 0, 1) * under


def _spots(person: SyntheticPerson, colour: Array, points: Array, brown: Array) -> Array:
    """Add freckles over nose and cheeks, and a few moles."""
    rng = np.random.default_rng(person.seed + 1)
    tree = KDTree(points)
    where = _blob(points, (0.034, 0.008, 0.1), 0.020) + 0.8 * _blob(points, (0.0, 0.016, 0.122), 0.014) + 0.02
    count = int(900 * person.freckles)
    spots = points[rng.choice(len(points), count, p=where / where.sum())]
    amount = np.zeros(len(points), np.float32)
    radii, strengths = rng.uniform(0.0003, 0.00085, count), rng.uniform(0.12, 0.62, count)
    moles = points[
        rng.choice(np.flatnonzero((points[:, 2] > 0.03) & (points[:, 1] < 0.09) & (points[:, 1] > -0.14)), 7)
    ]
    for spot, radius, strength in (
        *zip(spots, radii, strengths, strict=True), *((mole, 0.0007, 0.9) for mole in moles),
    ):  # fmt: skip
        members = tree.query_ball_point(spot, 2.2 * radius)
        falloff = np.exp(-0.5 * ((points[members] - spot) ** 2).sum(1) / (0.7 * radius) ** 2)
        amount[members] = np.maximum(amount[members], strength * falloff)
    return _tint(colour, brown, amount)


def _oil(points: Array, lips: Array, noise: Noise) -> Array:
    zone = 0.32 * _blob(points, (0, 0.012, 0.125), 0.016) + 0.22 * _blob(points, (0, 0.078, 0.105), 0.028)
    zone += 0.12 * _blob(points, (0.038, 0.012, 0.095), 0.014) + 0.12 * _blob(points, (0, -0.066, 0.11), 0.010)
    return 0.42 + zone + 0.06 * noise.fractal(points, 0.004, 3, 70) + 0.36 * lips


def _relief(points: Array, noise: Noise, lips: Array) -> tuple[Array, Array]:
    """Return the height [N] in metres of pores and fine lines, and the cavity [N]."""
    nose = _blob(points, (0, 0.006, 0.122), 0.017) + 0.7 * _blob(points, (0.03, -0.0, 0.1), 0.018) + 0.35
    pits = np.clip(noise.at(points, 0.0009, 80), 0.35, None) - 0.35
    fine = noise.fractal(points, 0.0017, 3, 81)
    creases = noise.at(points * np.array([3.2, 0.35, 0.35], np.float32), 0.0032, 82)
    height = -44e-6 * pits * np.clip(nose, 0, 1.2) + 22e-6 * fine
    height = height * (1 - lips) + lips * (36e-6 * creases + 10e-6 * fine)
    height += 60e-6 * noise.fractal(points, 0.007, 2, 83)
    cavity = 1 - 0.5 * np.clip(pits * np.clip(nose, 0, 1), 0, 1) - 0.12 * lips * np.clip(-creases, 0, 1)
    return height.astype(np.float32), cavity.astype(np.float32)


def _filled(values: Array, used: NDArray[np.bool_]) -> Array:
    """Lay [N] values out as [2, S, S] and let each unused texel take its nearest used one's."""
    out = np.zeros(used.shape, np.float32)
    out[used] = values
    for layer in range(len(used)):
        empty = (~used[layer]).astype(np.uint8)
        _, labels = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
        of_label = np.zeros(labels.max() + 1, np.float32)
        of_label[labels[used[layer]]] = out[layer][used[layer]]
        out[layer] = of_label[labels]
    return out


def _slope(height: Array, layer: int) -> Array:
    """Return [S, S, 2] the tangent-space normal's x and y, scaled by 1 / 0.6 slopes, of a height map in metres."""
    texel = (0.25, 0.36)[layer] / height.shape[1]  # metres, about: the textures span that much of the head
    plane = height.astype(np.float32)
    slopes = [cv2.Sobel(plane, cv2.CV_32F, i, 1 - i, scale=0.125) for i in (1, 0)]
    return -np.stack(slopes, axis=-1) / texel / 0.6
