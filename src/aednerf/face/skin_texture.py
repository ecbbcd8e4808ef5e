"""The texture of a person's skin, and where each frame shows it: landmarks that stay on the same spot of the skin.

A landmark detector slides along the skin with the expression (its chin lags behind the jaw by pixels, its brows by
more), and no fit to its landmarks can know. Here every frame is unfolded onto one flat picture of the face by the
fitted landmarks. The mean of the unfolded frames is the person's texture, and Lucas-Kanade finds by how much a frame's
skin lies beside it. What changes within the flat picture (lids, irises, the inside of the mouth) is left to the
detector.

Source: Bouguet, Pyramidal implementation of the Lucas Kanade feature tracker, 2000; pictures that are aligned to their
own mean are the congealing of Learned-Miller, Data driven image models through continuous joint alignment, 2006.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import Delaunay

from aednerf.core.ordered import ordered_map, thread_count
from aednerf.face import topology
from aednerf.face.pose import Array

SIZE = 288
"""Edge of the flat picture in pixels: about that of a face in a picture of 512."""

FOLLOWED = np.setdiff1d(
    np.arange(topology.N_LANDMARKS),
    (
        *topology.OVAL, *topology.LEFT_EYE, *topology.RIGHT_EYE, *topology.LEFT_IRIS, *topology.RIGHT_IRIS,
        *topology.UPPER_LIDS, *topology.LIPS_INNER_RING,
    ),
)  # fmt: skip
"""The landmarks on skin that is always seen."""

_FORWARD_BACKWARD_PX = 0.35
_FARTHEST_PX = 6.0
_FRONTAL_RAD = float(np.deg2rad(15.0))
_MOST_IN_MEAN = 400
_SHADING_PX = 7.0
_EYES = (*topology.LEFT_IRIS, *topology.RIGHT_IRIS)

Frames = Callable[[], Iterator[Array]]


@dataclass(frozen=True)
class Unfolding:
    """How a face is laid flat: each pixel of the flat picture is a weighted mean of the three landmarks about it."""

    places: Array
    """[478, 2] where the landmarks lie in the flat picture, pixels, centres at +0.5."""

    weights: csr_array
    """[SIZE * SIZE, 478] float32; rows beside the face are empty."""

    inside: Array
    """[SIZE, SIZE] float32, 1 on the face, 0 beside it."""

    nearby: Array
    """[SIZE, SIZE] float32, the share of the face in each pixel's surroundings."""

    @staticmethod
    def of(neutral: Array) -> Unfolding:
        """Lay a neutral face [478, 3] (head frame, metres) flat, as it is seen from the front."""
        flat = neutral[:, :2] * (1.0, -1.0)
        low, high = flat.min(0), flat.max(0)
        places = (flat - 0.5 * (low + high)) * (0.94 * SIZE / (high - low).max()) + 0.5 * SIZE
        skin = np.setdiff1d(np.arange(topology.N_LANDMARKS), _EYES)
        mesh = Delaunay(places[skin])
        grid = np.stack(np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5), axis=-1).reshape(-1, 2)
        triangle = mesh.find_simplex(grid)
        rows = np.flatnonzero(triangle >= 0)
        transform = mesh.transform[triangle[rows]]
        two = np.einsum("pij,pj->pi", transform[:, :2], grid[rows] - transform[:, 2])
        weights = np.concatenate([two, 1.0 - two.sum(-1, keepdims=True)], axis=-1).astype(np.float32)
        places_of = np.repeat(rows, 3), skin[mesh.simplices[triangle[rows]]].ravel()
        matrix = csr_array((weights.ravel(), places_of), shape=(SIZE * SIZE, topology.N_LANDMARKS))
        inside = (triangle >= 0).astype(np.float32).reshape(SIZE, SIZE)
        return Unfolding(places, matrix, inside, _blurred(inside) + np.float32(1e-3))

    def where(self, landmarks_px: Array) -> Array:
        """Return [SIZE, SIZE, 2] float32: the pixel in which a frame shows each of the flat picture's."""
        return (self.weights @ landmarks_px.astype(np.float32)).reshape(SIZE, SIZE, 2)

    def unfold(self, gray: Array, where: Array) -> Array:
        """Lay a frame flat, its slow shading and contrast taken away: [SIZE, SIZE] uint8."""
        flat = cv2.remap(gray, where - np.float32(0.5), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # pyright: ignore[reportCallIssue, reportArgumentType]
        detail = (flat - _blurred(flat * self.inside) / self.nearby) * self.inside
        contrast = np.sqrt(_blurred(detail * detail) / self.nearby) + 2.0
        return np.clip(128.0 + 40.0 * detail / contrast, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class SkinTexture:
    """A person's skin as the mean of the unfolded frames."""

    unfolding: Unfolding
    mean: Array
    """[SIZE, SIZE] uint8."""

    @staticmethod
    def learn(frames: Frames, fitted_px: Array, neutral: Array, turn: Array) -> SkinTexture:
        """Average some frames that face the camera.

        Args:
            frames: gives the T frames in order from the start, uint8 RGB [H, W, 3].
            fitted_px: [T, 478, 2] pixels, the fitted landmarks; NaN rows where there is no face.
            neutral: [478, 3] metres, the person's neutral landmarks.
            turn: [T] radians, how far the face is turned from the camera.
        """
        unfolding = Unfolding.of(neutral)
        valid = np.isfinite(fitted_px).all((1, 2))
        rows = np.flatnonzero(valid & (turn <= max(_FRONTAL_RAD, float(np.median(turn[valid])))))
        chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(_MOST_IN_MEAN, len(rows))).round().astype(int))]
        is_chosen = np.isin(np.arange(len(fitted_px)), chosen)

        def flat(item: tuple[int, Array]) -> Array | None:
            number, rgb = item
            return unfolding.unfold(_gray(rgb), unfolding.where(fitted_px[number])) if is_chosen[number] else None

        total = np.zeros((SIZE, SIZE), np.float32)
        for picture in ordered_map([flat] * thread_count(), _numbered(frames, len(fitted_px))):
            total += 0 if picture is None else picture
        return SkinTexture(unfolding, np.round(total / len(chosen)).astype(np.uint8))

    def follow(self, frames: Frames, fitted_px: Array, window_px: int) -> Array:
        """Find the landmarks of the skin in every frame.

        Args:
            frames: gives the T frames in order from the start, uint8 RGB [H, W, 3].
            fitted_px: [T, 478, 2] pixels, where they are looked for; NaN rows where there is no face.
            window_px: edge of the piece of skin that is compared, in pixels of the flat picture; odd.

        Returns:
            [T, 478, 2] pixels; NaN where a landmark is not `FOLLOWED`, or was not found.
        """

        def found(item: tuple[int, Array]) -> Array:
            number, rgb = item
            row = np.full(fitted_px.shape[1:], np.nan, np.float32)
            if np.isfinite(fitted_px[number]).all():
                row[FOLLOWED] = self._found(_gray(rgb), fitted_px[number], window_px)
            return row

        return np.stack(list(ordered_map([found] * thread_count(), _numbered(frames, len(fitted_px)))))

    def _found(self, gray: Array, fitted_px: Array, window_px: int) -> Array:
        where = self.unfolding.where(fitted_px)
        flat = self.unfolding.unfold(gray, where)
        # OpenCV counts a pixel's centre as a whole number; ours lies at +0.5.
        places = (self.unfolding.places[FOLLOWED] - 0.5).astype(np.float32)
        moved, is_found = _lucas_kanade(self.mean, flat, places, window_px)
        back, is_back = _lucas_kanade(flat, self.mean, moved, window_px)
        keep = is_found & is_back & (np.linalg.norm(back - places, axis=-1) < _FORWARD_BACKWARD_PX)
        keep &= np.linalg.norm(moved - places, axis=-1) < _FARTHEST_PX
        keep &= _sampled(self.unfolding.inside, moved)[:, 0] > 0.99
        return np.where(keep[:, None], _sampled(where, moved), np.nan)


def _lucas_kanade(source: Array, target: Array, points: Array, window_px: int) -> tuple[Array, Array]:
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        source, target, points[:, None], points[:, None].copy(), winSize=(window_px, window_px), maxLevel=1,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.01), minEigThreshold=1e-3,
    )  # fmt: skip
    return found[:, 0], status[:, 0] == 1


def _sampled(picture: Array, points: Array) -> Array:
    """Sample a picture [H, W, C] at points [P, 2]: [P, C]."""
    samples = cv2.remap(picture, points[:, None], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return samples.reshape(len(points), -1)


def _blurred(picture: Array) -> Array:
    return cv2.GaussianBlur(picture.astype(np.float32), (0, 0), _SHADING_PX)


def _gray(rgb: Array) -> Array:
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


def _numbered(frames: Frames, count: int) -> Iterator[tuple[int, Array]]:
    return zip(range(count), frames(), strict=False)
