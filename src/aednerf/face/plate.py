"""The clean plate: what the backdrop of one clip (a static camera) looks like without the person.

Each pixel keeps a small reservoir of colours that it showed while it was background, those farthest from the person
first, and takes their median; what was never seen is filled smoothly from around it (push-pull, Gortler et al., "The
Lumigraph", SIGGRAPH 1996, section 3.4).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError

RESERVOIR = 24
"""Colours kept for each pixel."""

PERSON_ABOVE = 25
"""Coarse confidence (of 255) from which a pixel may show the person: low, because hair is often unsure."""

_MARGIN = 0.012  # of the picture's size: nearer to the coarse contour, hair and soft edges may colour the sample
_CLEAR = 0.08  # from here on, being farther from the person is worth nothing more
_SAME_COLOUR = 14.0  # code values: background and "person" that look alike were one thing, labelled two ways
_BLOCK_ROWS = 64


@dataclass(frozen=True)
class Plate:
    """The backdrop of one clip."""

    rgb: NDArray[np.uint8]
    """[H, W, 3] the backdrop."""

    samples: NDArray[np.uint8]
    """[H, W] how many clean samples stand behind each pixel; 0 where it was never seen and is filled in."""

    noise: NDArray[np.float32]
    """[H, W] median distance of the samples from the plate, in code values: camera noise, or a moving backdrop."""

    motion: float
    """RMS distance of the background samples from the plate in code values: about 2 to 4 is a still backdrop,
    above about 10 the backdrop moves or the camera does."""

    @property
    def seen(self) -> float:
        """The share of the picture, in [0, 1], where the backdrop was really seen."""
        return float(np.mean(self.samples > 0))


def estimate_plate(frames: Iterable[NDArray[np.uint8]], coarse: Iterable[NDArray[np.uint8]], seed: int = 0) -> Plate:
    """Estimate the clean plate in one pass over some frames of a clip; memory does not grow with their number.

    About a hundred frames spread over the whole clip are plenty.

    Args:
        frames: uint8 RGB [H, W, 3], all of one size.
        coarse: for each frame the person's confidence, uint8 of any size (see `matte.PersonSegmenter`).
        seed: of the choice among equally good samples.

    Returns:
        The plate.

    Raises:
        InputError: there are no frames.
    """
    random = np.random.default_rng(seed)
    reservoir: _Reservoir | None = None
    for frame, confidence in zip(frames, coarse, strict=True):
        if reservoir is None:
            reservoir = _Reservoir(*frame.shape[:2])
        reservoir.add(frame, confidence, random)
    if reservoir is None:
        raise InputError("The clean plate needs at least one frame, got none. Check that the video is not empty.")
    return reservoir.plate()


class _Reservoir:
    """The best background colours seen so far at each pixel, and the mean colour of what passed for the person."""

    def __init__(self, height: int, width: int) -> None:
        self.colours = np.zeros((height, width, RESERVOIR, 3), np.uint8)
        self.keys = np.full((height, width, RESERVOIR), -1.0, np.float32)
        self.least_key = np.full((height, width), -1.0, np.float32)
        self.person_sum = np.zeros((height, width, 3), np.float32)
        self.person_count = np.zeros((height, width), np.float32)

    def add(self, frame: NDArray[np.uint8], confidence: NDArray[np.uint8], random: np.random.Generator) -> None:
        """Let one frame's background compete for places by its distance from the person."""
        height, width = frame.shape[:2]
        background = (confidence < PERSON_ABOVE).astype(np.uint8)
        if background.all():
            distance = np.full(confidence.shape, float(max(confidence.shape)), np.float32)
        else:
            distance = cv2.distanceTransform(background, cv2.DIST_L2, 3)
        # Key: distance in units of the picture's size, and beyond the clear distance a fair lottery. The coarse matte's
        # contour is no better than one of its pixels.
        key = np.maximum(distance - 1, 0) / max(confidence.shape)
        key = cv2.resize(key, (width, height), interpolation=cv2.INTER_LINEAR)
        person = key <= 0
        key = np.minimum(key, _CLEAR) + random.random((height, width), np.float32) * np.float32(0.01)
        rows, columns = np.nonzero(~person & (key > self.least_key))
        keys = self.keys[rows, columns]
        slots = keys.argmin(1)
        keys[np.arange(len(rows)), slots] = key[rows, columns]
        self.keys[rows, columns] = keys
        self.least_key[rows, columns] = keys.min(1)
        self.colours[rows, columns, slots] = frame[rows, columns]
        self.person_sum += cv2.copyTo(frame, person.astype(np.uint8))
        self.person_count += person

    def plate(self) -> Plate:
        """Take the medians, distrust what looks like the person, fill the rest."""
        height, width = self.least_key.shape
        rgb = np.empty((height, width, 3), np.uint8)
        noise = np.empty((height, width), np.float32)
        samples = np.empty((height, width), np.uint8)
        squares, count = 0.0, 0
        for top in range(0, height, _BLOCK_ROWS):
            block = slice(top, top + _BLOCK_ROWS)
            colours, keys = np.moveaxis(self.colours[block], 2, 0), np.moveaxis(self.keys[block], 2, 0)
            clean = keys >= np.maximum(0.5 * keys.max(0), _MARGIN)
            median = _masked_median(colours, clean[..., None])
            distance = np.abs(colours.astype(np.int16) - median).max(-1)
            rgb[block], samples[block] = median, clean.sum(0)
            noise[block] = _masked_median(distance.astype(np.uint8), clean)
            squares += float(np.square(distance[clean], dtype=np.float64).sum())
            count += int(clean.sum())
        person = self.person_sum / np.maximum(self.person_count, 1)[..., None]
        alike = np.abs(person - rgb).max(-1) < _SAME_COLOUR
        samples[alike & (self.person_count > 0)] = 0
        # Slivers of "background" amid the unseen are the coarse matte's cracks.
        size = 2 * round(_MARGIN * max(height, width)) + 1
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        samples[cv2.morphologyEx((samples > 0).astype(np.uint8), cv2.MORPH_OPEN, disc) == 0] = 0
        if samples.any():
            rgb = fill(rgb, samples.astype(np.float32))
            noise = fill(noise, samples.astype(np.float32))
        return Plate(rgb, samples, noise, float(np.sqrt(squares / max(count, 1))))


def _masked_median(values: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Median along the first axis of the values inside the mask (0 where there are none)."""
    # Values outside the mask sort to the end, so that the median stands at half the count.
    ordered = np.sort(np.where(mask, values.astype(np.uint16), 256), axis=0)
    middle = np.broadcast_to((np.maximum(mask.sum(0, keepdims=True), 1) - 1) // 2, (1, *values.shape[1:]))
    median = np.take_along_axis(ordered, middle, 0)[0]
    return np.where(median > 255, 0, median).astype(np.uint8)


def fill(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Fill a picture smoothly where its weight is 0, by push-pull over a pyramid.

    Args:
        values: [H, W] or [H, W, 3], uint8 or float32.
        weight: [H, W] how far each pixel is known, 0 is unknown; weights count up to 1.

    Returns:
        The same type and shape; pixels of weight 1 or more are unchanged.
    """
    weight = np.minimum(weight, 1).astype(np.float32)
    filled = _push_pull(values.astype(np.float32), weight)
    return (filled + 0.5).clip(0, 255).astype(np.uint8) if values.dtype == np.uint8 else filled


def _push_pull(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    height, width = weight.shape
    spread = weight if values.ndim == 2 else weight[..., None]
    if min(height, width) <= 2 or weight.min() >= 1:
        known = float(weight.sum())
        mean = (values * spread).sum((0, 1)) / max(known, 1e-6)
        return values * spread + mean * (1 - spread)
    half_weight = cv2.pyrDown(weight)
    half_values = cv2.pyrDown(values * spread)
    divisor = np.maximum(half_weight, 1e-6)
    half_values /= divisor if values.ndim == 2 else divisor[..., None]
    # A coarse pixel counts as known as soon as a fair part of what it covers is.
    half = _push_pull(half_values, np.minimum(half_weight * 4, 1))
    below = cv2.pyrUp(half, dstsize=(width, height))
    return values * spread + below * (1 - spread)
