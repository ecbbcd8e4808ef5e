"""The person's matte: MediaPipe's coarse segmentation, refined at full resolution against the clean plate.

Inside the coarse contour a pixel is the person and far outside it is backdrop. In the band between, the backdrop's
colour B is known (the clean plate, corrected for slow changes of light) and the person's colour F is estimated from
nearby pixels that are surely the person; alpha is then the place of the pixel's colour on the line from B to F
(I = alpha F + (1 - alpha) B, Porter and Duff 1984; sampling as in Wang and Cohen, "Optimized Color Sampling for
Robust Matting", CVPR 2007, section 3.1). Where the line is too short to tell, or the plate was never really seen, the
coarse contour decides together with how usual the colour is in the person and in the backdrop (colour histograms, as
in Rother, Kolmogorov and Blake, "GrabCut", SIGGRAPH 2004).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from aednerf.core.errors import InputError
from aednerf.face.plate import PERSON_ABOVE, Plate, fill

Bytes = np.ndarray
"""A picture or a mask, uint8."""
Floats = np.ndarray
"""float32."""

_SURE = 225  # coarse confidence (of 255) of the person's inside
_INSIDE = 0.009  # of the picture's size: how far the band reaches into the coarse contour
_OUTSIDE = 0.02  # how far it reaches out everywhere
_STRANDS = 0.11  # how far it reaches out along what differs from the plate and hangs together with the person
_HOLE = 0.02  # of the picture's area: smaller holes where the coarse matte is sure are mistakes
_PINHOLE = 0.0002  # of the picture's area: smaller holes are mistakes anywhere
_CLEAR = 0.04  # distance from the coarse contour of what surely is backdrop
_CRACK = 0.01  # half the width of the cracks that are closed
_BINS = 32  # colour histogram, in each channel
_MEMORY = 0.9  # of the histograms, from frame to frame
_DECISION = 1.6  # how firmly coarse contour and colour decide; above 1, since the network's doubts are too mild
_STILL = 5.0  # code values: an image change below this is noise, and alpha should not change either
_DAMPING = 0.75  # share of the previous alpha kept where nothing moved


def refine_mattes(frames: Iterable[Bytes], coarse: Iterable[Bytes], plate: Plate) -> Iterator[Bytes]:
    """Refine the coarse mattes of one clip at full resolution, frame by frame, holding only the previous frame.

    Args:
        frames: uint8 RGB [H, W, 3], in order.
        coarse: for each frame the person's confidence, uint8 of any one size.
        plate: the clip's clean plate, of the frames' size.

    Yields:
        Alpha uint8 [H, W], straight; one connected person without islands, and without holes in its inside.

    Raises:
        InputError: a frame has another size than the plate.
    """
    steady, steady_coarse, colours = Steady(), Steady(), _Colours()
    reliable = np.square(plate.samples / (plate.samples + np.float32(3)), dtype=np.float32)
    for frame, confidence in zip(frames, coarse, strict=True):
        if frame.shape != plate.rgb.shape:
            raise InputError(
                f"Frames and clean plate differ in size: {frame.shape[:2]} and {plate.rgb.shape[:2]}. "
                "Prepare the clip again."
            )
        small = cv2.resize(frame, confidence.shape[::-1], interpolation=cv2.INTER_AREA)
        seen = cv2.resize(reliable, confidence.shape[::-1], interpolation=cv2.INTER_AREA) > 0.5
        person = steady_coarse.damp(small, _one_person(confidence))
        colours.learn(small, person, seen)
        alpha = steady.damp(frame, _refine(frame, person, plate, reliable, colours))
        yield _tidy(alpha, person, reliable)


class _Colours:
    """How usual each colour is in the person and in the backdrop: histograms that follow the clip slowly."""

    def __init__(self) -> None:
        self._person = np.zeros((_BINS,) * 3, np.float32)
        self._backdrop = np.zeros((_BINS,) * 3, np.float32)
        self._ratio = np.zeros(_BINS**3, np.float32)

    def learn(self, frame: Bytes, person: Bytes, seen: NDArray[np.bool_]) -> None:
        """Add a frame's sure pixels, given at the coarse matte's size; only backdrop that the plate has seen counts."""
        bins = _bins(frame)
        inside = cv2.erode((person >= _SURE).astype(np.uint8), _disc(_INSIDE * max(person.shape))) > 0
        outside = cv2.dilate((person >= PERSON_ABOVE).astype(np.uint8), _disc(_CLEAR * max(person.shape))) == 0
        outside &= seen
        for histogram, mask in ((self._person, inside), (self._backdrop, outside)):
            histogram *= _MEMORY
            histogram += np.bincount(bins[mask], minlength=_BINS**3).reshape(histogram.shape)
        person_share, backdrop_share = (
            gaussian_filter(histogram, 1.0) / max(float(histogram.sum()), 1.0)
            for histogram in (self._person, self._backdrop)
        )
        # The constant is the share of a colour that says nothing: a few pixels in a hundred thousand.
        self._ratio = np.log((person_share + 3e-5) / (backdrop_share + 3e-5)).ravel()

    def favour(self, colours: Bytes) -> Floats:
        """Return the log of how much more usual each colour [..., 3] is in the person, in [-4, 4]."""
        return self._ratio[_bins(colours)].clip(-4, 4)


def _bins(colours: Bytes) -> NDArray[np.int32]:
    level = (colours >> 3).astype(np.int32)
    return (level[..., 0] * _BINS + level[..., 1]) * _BINS + level[..., 2]


class Steady:
    """Damps the flicker of a mask where the picture itself stands still."""

    def __init__(self) -> None:
        self._frame: Bytes | None = None
        self._mask: Bytes | None = None

    def damp(self, frame: Bytes, mask: Bytes) -> Bytes:
        """Blend the mask with the previous one by how little the frame changed there."""
        if self._frame is not None and self._mask is not None:
            unequal = mask != self._mask
            if unequal.any():
                change = _largest(cv2.blur(cv2.absdiff(frame, self._frame), (5, 5)))
                keep = _DAMPING * np.exp(-np.square(change[unequal] / np.float32(_STILL)))
                new, old = mask[unequal].astype(np.float32), self._mask[unequal].astype(np.float32)
                mask = mask.copy()
                # Rounded towards the new value, so that a constant input is reached in the end.
                step = (new - old) * (1 - keep)
                mask[unequal] = old + np.sign(step) * np.ceil(np.abs(step))
        self._frame, self._mask = frame, mask
        return mask


def _one_person(confidence: Bytes) -> Bytes:
    """Keep the largest connected person of a coarse matte and close its small holes."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((confidence >= PERSON_ABOVE).astype(np.uint8))
    if len(stats) < 2:
        return np.zeros_like(confidence)
    person = labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
    clean = np.where(person, confidence, 0).astype(np.uint8)
    _, holes, stats, _ = cv2.connectedComponentsWithStats((clean < 128).astype(np.uint8), connectivity=4)
    height, width = confidence.shape
    for label, (left, top, wide, high, area) in enumerate(stats[1:], start=1):
        at_border = left == 0 or top == 0 or left + wide == width or top + high == height
        if not at_border and area < _HOLE * height * width:
            clean[holes == label] = 255
    return clean


def _disc(radius: float) -> Bytes:
    size = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))


def touching(seeds: NDArray[np.bool_], region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the connected components of a region that meet the seeds."""
    labels = np.asarray(cv2.connectedComponents(region.astype(np.uint8))[1], np.int32)
    keep = np.zeros(labels.max() + 1, bool)
    keep[np.unique(labels[seeds & region])] = True
    keep[0] = False
    return keep[labels]


def _largest(channels: Bytes) -> Bytes:
    """Return the largest of three channels (NumPy's reduction along so short an axis is slow)."""
    first, second, third = cv2.split(channels)
    return cv2.max(cv2.max(first, second), third)


def _grown(mask: Bytes, full: tuple[int, int]) -> NDArray[np.bool_]:
    """Enlarge a 0/1 mask to (width, height) with smooth contours."""
    return cv2.resize(mask * np.uint8(255), full, interpolation=cv2.INTER_LINEAR) > 127


def _refine(frame: Bytes, person: Bytes, plate: Plate, reliable: Floats, colours: _Colours) -> Bytes:
    """Compute one frame's alpha from its cleaned coarse matte."""
    height, width = frame.shape[:2]
    full, coarse_size = (width, height), max(person.shape)
    possible = (person >= PERSON_ABOVE).astype(np.uint8)
    inside = _grown(cv2.erode((person >= _SURE).astype(np.uint8), _disc(_INSIDE * coarse_size)), full)
    near = _grown(cv2.dilate(possible, _disc(_OUTSIDE * coarse_size)), full)
    far = _grown(cv2.dilate(possible, _disc(_STRANDS * coarse_size)), full)

    backdrop = _backdrop(frame, ~near, plate)
    band = near & ~inside
    band |= _strands(frame, backdrop, plate, band, far & ~inside, reliable)

    alpha = inside.astype(np.uint8) * np.uint8(255)
    places = np.flatnonzero(band)
    if len(places):
        own = cv2.GaussianBlur(frame, (3, 3), 0).reshape(-1, 3)[places]
        behind = backdrop.reshape(-1, 3)[places].astype(np.float32)
        noise, seen = plate.noise.ravel()[places], reliable.ravel()[places]
        prior = cv2.resize(person, full, interpolation=cv2.INTER_CUBIC).ravel()[places]
        fronts = _foregrounds(frame, inside, places)
        value = _alpha_on_lines(own.astype(np.float32), behind, fronts, noise, seen, prior, colours.favour(own))
        alpha.ravel()[places] = value
    return alpha


def _strands(
    frame: Bytes, backdrop: Bytes, plate: Plate, band: NDArray[np.bool_], region: NDArray[np.bool_], reliable: Floats
) -> NDArray[np.bool_]:
    """Find what differs from a well-seen backdrop outside the coarse contour and hangs together with the person."""
    difference = _largest(cv2.blur(cv2.absdiff(frame, backdrop), (3, 3)))
    other = region & (difference > 22 + 4 * plate.noise) & (reliable > 0.5)
    if not (other & ~band).any():
        return np.zeros_like(band)
    strands = touching(band, other).astype(np.uint8)
    return cv2.dilate(strands, _disc(0.006 * max(band.shape))).astype(bool) & region


def _backdrop(frame: Bytes, background: NDArray[np.bool_], plate: Plate) -> Bytes:
    """Correct the plate for what changed since (light, a slowly moving backdrop), from the frame's sure background."""
    height, width = frame.shape[:2]
    small = (max(width // 4, 2), max(height // 4, 2))
    weight = cv2.resize(background.astype(np.float32), small, interpolation=cv2.INTER_AREA)
    weight = np.where(weight > 0.99, 1, 0).astype(np.float32)
    if not weight.any():
        return plate.rgb
    change = cv2.resize(cv2.subtract(frame, plate.rgb, dtype=cv2.CV_32F), small, interpolation=cv2.INTER_AREA)
    change = cv2.blur(fill(change, weight), (5, 5))
    change = cv2.resize(change, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.add(plate.rgb, change, dtype=cv2.CV_8U)


def _foregrounds(frame: Bytes, inside: NDArray[np.bool_], places: NDArray[np.intp]) -> list[Floats]:
    """Guess the person's colour at some pixels (flat indices): averages of the sure person at three scales."""
    rows, columns = np.divmod(places, frame.shape[1])
    mask = inside.astype(np.uint8) * np.uint8(255)
    half = (max(frame.shape[1] // 2, 2), max(frame.shape[0] // 2, 2))
    colour = cv2.resize(cv2.copyTo(frame, mask), half, interpolation=cv2.INTER_AREA).astype(np.float32)
    weight = cv2.resize(mask, half, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    guesses, divisor = [], 2
    for step in (1, 3, 3):
        divisor *= step
        small = (max(colour.shape[1] // step, 2), max(colour.shape[0] // step, 2))
        colour = cv2.resize(colour, small, interpolation=cv2.INTER_AREA)
        weight = cv2.resize(weight, small, interpolation=cv2.INTER_AREA)
        filled = fill(colour / np.maximum(weight, 1e-3)[..., None], weight)
        cells = np.minimum(rows // divisor, small[1] - 1) * small[0] + np.minimum(columns // divisor, small[0] - 1)
        guesses.append(filled.reshape(-1, 3)[cells])
    return guesses


def _alpha_on_lines(
    own: Floats, behind: Floats, fronts: list[Floats], noise: Floats, reliable: Floats, prior: Bytes, favour: Floats
) -> Bytes:
    """Place colours on the lines from the backdrop to each guess of the person, and trust the best line.

    Args:
        own, behind: [N, 3] the pixels' colours and the backdrop's.
        fronts: guesses [N, 3] of the person's colour.
        noise, reliable: [N] the backdrop's noise in code values, and in [0, 1] how well it was seen.
        prior: [N] coarse alpha.
        favour: [N] log ratio of the colour in the person and in the backdrop.

    Returns:
        Alpha uint8 [N].
    """
    offset = own - behind
    best_error = np.full(len(own), np.inf, np.float32)
    alpha = np.zeros(len(own), np.float32)
    trust = np.zeros(len(own), np.float32)
    for front in fronts:
        line = front - behind
        square = np.einsum("ni,ni->n", line, line)
        place = (np.einsum("ni,ni->n", offset, line) / (square + 1)).clip(0, 1)
        residual = offset - place[:, None] * line
        error = np.sqrt(np.einsum("ni,ni->n", residual, residual))
        better = error < best_error
        best_error = np.where(better, error, best_error)
        alpha = np.where(better, place, alpha)
        trust = np.where(better, square / (square + np.square(18 + 2 * noise)), trust)
    # A colour on no line and unlike the backdrop is something else of the person's: an earring, a clip, a highlight.
    strange = ((best_error - 12 - 2 * noise) / 25).clip(0, 1)
    alpha = np.maximum(alpha, strange)
    trust = np.maximum(trust, strange) * reliable
    probability = prior.astype(np.float32).clip(2, 253) / 255
    logit = _DECISION * (np.log(probability / (1 - probability)) + favour)
    mixed = trust * alpha + (1 - trust) / (1 + np.exp(-logit))
    return (((mixed - 0.05) / 0.88).clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _tidy(alpha: Bytes, person: Bytes, reliable: Floats) -> Bytes:
    """Remove islands, fill holes where the coarse matte is sure, close cracks where the backdrop was never seen."""
    height, width = alpha.shape
    closed = cv2.morphologyEx(alpha, cv2.MORPH_CLOSE, _disc(_CRACK * max(height, width)))
    alpha = np.where(reliable < 0.3, cv2.blur(closed, (3, 3)), alpha)
    solid = alpha >= 40
    _, labels, stats, _ = cv2.connectedComponentsWithStats(solid.astype(np.uint8))
    if len(stats) < 2:
        return np.zeros_like(alpha)
    main = labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
    # Faint pixels stay where they touch the person: they are its soft edge.
    edge = cv2.dilate(main.astype(np.uint8), _disc(0.004 * max(height, width))).astype(bool)
    alpha = np.where(main | (edge & ~solid), alpha, 0).astype(np.uint8)
    sure = cv2.resize(person, (width, height), interpolation=cv2.INTER_LINEAR) >= _SURE
    _, labels, stats, _ = cv2.connectedComponentsWithStats((alpha < 200).astype(np.uint8), connectivity=4)
    for label, (left, top, wide, high, area) in enumerate(stats[1:], start=1):
        at_border = left == 0 or top == 0 or left + wide == width or top + high == height
        if not at_border and area < _HOLE * height * width:
            box = np.s_[top : top + high, left : left + wide]
            hole = labels[box] == label
            if area < _PINHOLE * height * width or sure[box][hole].mean() > 0.5:
                alpha[box][hole] = 255
    return alpha
