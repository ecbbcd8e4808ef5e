"""Split the person into head, neck and torso, frame by frame.

The head ends where its rigid motion ends: just under the jaw line, which comes from the smooth pose and the person's
mesh and only slowly from the landmarks, so that the boundary does not flicker. Below that line, colours decide: skin in
the mesh's neck is neck, what looks like the hair above and hangs together with it is head, the rest is torso. Above it
all is head but clothes that rise beside the face, as a hood does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from aednerf.core.errors import InputError
from aednerf.core.records import Camera
from aednerf.face.correspondence import Correspondence
from aednerf.face.matte import Bytes, Floats, Steady, touching
from aednerf.face.model import FACE, HEAD_AND_NECK
from aednerf.face.pose import Poses, project
from aednerf.face.topology import OVAL

BACKGROUND, HEAD, NECK, TORSO = range(4)
"""The labels of `parts.mkv`."""

_JAW = OVAL[OVAL.index(397) : OVAL.index(172) + 1]  # from under the left ear over the chin to under the right one
_PERSON_ABOVE = 12  # alpha (of 255) from which a pixel has a part
_UNDER_JAW = 0.03  # of the face's height: how far below the landmarks' jaw line the head ends
_JAW_SIGMA = 1.5  # frames: smoothing of the jaw's own motion
_NECK_Y_M = (-0.155, -0.05)  # the mesh's neck in the head frame
_NECK_X_M = 0.062
_HAIR_REACH = 1.0  # of the face's height: how far hair hangs below the jaw line
_HAIR_ASIDE = 0.2  # likewise: what is below the jaw line and further from the face is hardly hair
_EARS = 0.15  # likewise: so far around the face, down to its lower quarter, there are ears and no clothes
_DANGLING = 0.01  # of the picture's area: smaller pieces that hang on the head alone belong to it
_LEVELS = (8, 32, 32)  # colour histogram: brightness, shares of red and green
_HAIR_LEVELS = 0.8  # levels of brightness that hair's colours are spread over: black hair is no grey cloth
_UNKNOWN = 5e-4  # share of a colour in whatever is neither skin, hair nor known clothes
_MEMORY = 0.97  # of the histograms, from frame to frame


@dataclass(frozen=True)
class PartGuides:
    """What the tracked head says about the parts, for the T frames of one clip."""

    jaw_px: Floats
    """[T, J, 2] the line where the head ends, from the person's left (the picture's right) over the chin."""

    sideways: Floats
    """[T, 2, 2] unit vectors in the picture along which that line goes on behind the left and the right ear."""

    neck_px: Floats
    """[T, K, 2] points whose convex hull holds the neck."""

    face_px: Floats
    """[T, L, 2] points whose convex hull is the face."""

    height_px: Floats
    """[T] the face's height, from the top of the forehead to the chin."""

    def __len__(self) -> int:
        return len(self.jaw_px)


def guide_parts(landmarks_px: Floats, vertices: Floats, poses: Poses, camera: Camera) -> PartGuides:
    """Derive where head and neck end from the tracking of one clip.

    Args:
        landmarks_px: [T, 478, 2] pixels; NaN where a frame is invalid.
        vertices: [V, 3] the person's neutral mesh of the face model, head frame, metres.
        poses: T smooth head poses; NaN where a frame is invalid.
        camera: the clip's camera.

    Returns:
        The guides; an invalid frame has those of the nearest valid one.

    Raises:
        InputError: no frame is valid.
    """
    valid = poses.valid & np.isfinite(landmarks_px).all((1, 2))
    if not valid.any():
        raise InputError("The parts need at least one frame with a face, got none. Choose a clip that shows the face.")
    known = np.flatnonzero(valid)
    frames = np.arange(len(valid))
    after = np.minimum(np.searchsorted(known, frames), len(known) - 1)
    before = np.maximum(after - 1, 0)
    nearer_before = np.abs(frames - known[before]) < np.abs(frames - known[after])
    nearest = known[np.where(nearer_before, before, after)]
    poses, landmarks_px = poses[nearest], landmarks_px[nearest]

    table = Correspondence.load()
    points = np.einsum("pkc,pk->pc", vertices[table.vertices], table.weights)
    jaw_points = points[list(_JAW)]
    # Only the jaw's motion against the rigid head is taken from the landmarks, smoothed; the rest is the smooth pose.
    rigid = project(jaw_points, poses, camera)
    jaw = rigid + gaussian_filter1d(landmarks_px[:, list(_JAW)] - rigid, _JAW_SIGMA, axis=0, mode="nearest")
    top, chin = project(points[[OVAL[0], 152]], poses, camera).transpose(1, 0, 2)
    height = np.linalg.norm(chin - top, axis=-1)
    down = (chin - top) / height[:, None]
    jaw = jaw + _UNDER_JAW * height[:, None, None] * down[:, None]

    ends = jaw_points[[0, -1]]
    behind = ends + np.array([[0.05, 0.0, -0.02], [-0.05, 0.0, -0.02]])
    sideways = project(behind, poses, camera) - project(ends, poses, camera)
    sideways /= np.linalg.norm(sideways, axis=-1, keepdims=True)

    skin = np.concatenate([vertices[FACE], vertices[HEAD_AND_NECK]])
    in_neck = (skin[:, 1] > _NECK_Y_M[0]) & (skin[:, 1] < _NECK_Y_M[1]) & (np.abs(skin[:, 0]) < _NECK_X_M)
    neck_points = skin[in_neck][:: max(1, int(in_neck.sum()) // 150)]
    neck = project(neck_points, poses, camera)
    oval = project(points[list(OVAL)], poses, camera)
    return PartGuides(*(array.astype(np.float32) for array in (jaw, sideways, neck, oval, height)))


def split_parts(frames: Iterable[Bytes], alphas: Iterable[Bytes], guides: PartGuides) -> Iterator[Bytes]:
    """Label each pixel of one clip, frame by frame, holding only the previous frame.

    Args:
        frames: T pictures, uint8 RGB [H, W, 3].
        alphas: T mattes, uint8 [H, W].
        guides: of these frames.

    Yields:
        uint8 [H, W]: 0 background, 1 head with hair, 2 neck, 3 torso; 0 exactly where alpha is at most 12.
    """
    colours, steady_skin, steady_hair = _PartColours(), Steady(), Steady()
    for index, (frame, alpha) in enumerate(zip(frames, alphas, strict=True)):
        if index >= len(guides):
            raise InputError(f"There are more frames than the {len(guides)} tracked ones. Prepare the clip again.")
        height, width = alpha.shape
        # Colours are judged at half size: less noise, a quarter of the work.
        small = (max(width // 2, 1), max(height // 2, 1))
        scale = np.array([small[0] / width, small[1] / height], np.float32)
        person = alpha > _PERSON_ABOVE
        above = _fill(alpha.shape, _head_polygon(guides, index, alpha.shape), convex=False)
        view = _View(
            colour=cv2.resize(frame, small, interpolation=cv2.INTER_AREA),
            person=cv2.resize(alpha, small, interpolation=cv2.INTER_AREA) > 127,
            above=cv2.resize(above.astype(np.uint8), small, interpolation=cv2.INTER_NEAREST) > 0,
            face=_fill(small[::-1], guides.face_px[index] * scale),
            neck=_fill(small[::-1], guides.neck_px[index] * scale),
            face_height=float(guides.height_px[index] * scale[1]),
        )
        bins = _bins(view.colour)
        colours.learn(view, bins)
        skin, hair = colours.judge(bins, 0.012 * view.face_height)
        skin, hair = steady_skin.damp(view.colour, skin), steady_hair.damp(view.colour, hair)
        neck, grown = _below_jaw(view, skin, hair)
        risen = _risen_clothes(view, skin, hair, view.person & ~view.above & ~neck & ~grown)
        labels = np.full(alpha.shape, TORSO, np.uint8)
        labels[_enlarged(neck, alpha.shape)] = NECK
        labels[_enlarged(grown, alpha.shape) | (above & ~_enlarged(risen, alpha.shape))] = HEAD
        labels[~person] = BACKGROUND
        yield labels


@dataclass(frozen=True)
class _View:
    """One frame at half size."""

    colour: Bytes
    """[h, w, 3] RGB."""
    person: NDArray[np.bool_]
    above: NDArray[np.bool_]
    """Above the jaw line."""
    face: NDArray[np.bool_]
    neck: NDArray[np.bool_]
    """Inside the mesh's neck."""
    face_height: float

    def lower(self, share: float) -> NDArray[np.bool_]:
        """Rows [h, 1] lower than a share of the face, from its top."""
        rows = np.flatnonzero(self.face.any(1))
        return np.arange(self.face.shape[0])[:, None] > (np.quantile(rows, share) if len(rows) else np.inf)

    def further(self, share: float) -> NDArray[np.bool_]:
        """Further from the face than a share of its height."""
        return self._from_face > share * self.face_height

    @cached_property
    def _from_face(self) -> Floats:
        return cv2.distanceTransform((~self.face).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


class _PartColours:
    """How usual each colour is in skin, hair and clothes: histograms that follow the clip slowly."""

    def __init__(self) -> None:
        self._histograms = np.zeros((3, *_LEVELS), np.float32)

    def learn(self, view: _View, bins: NDArray[np.int32]) -> None:
        """Add a frame's surest pixels of each kind."""
        around_neck = cv2.dilate(view.neck.astype(np.uint8), _disc(0.15 * view.face_height)) > 0
        solid = cv2.erode(view.person.astype(np.uint8), _disc(0.02 * view.face_height)) > 0
        rows = np.arange(view.face.shape[0])[:, None]
        chin = np.flatnonzero(view.face.any(1)).max(initial=0)
        lower = view.further(_HAIR_ASIDE) | (rows > chin + 0.15 * view.face_height)
        seeds = (
            view.face, view.above & view.further(0.04) & ~view.lower(0.75), lower & ~around_neck & ~view.above
        )  # fmt: skip
        for histogram, seed in zip(self._histograms, seeds, strict=True):
            count = np.bincount(bins[seed & solid], minlength=histogram.size)
            histogram *= _MEMORY
            histogram += count.reshape(_LEVELS)

    def judge(self, bins: NDArray[np.int32], blur: float) -> tuple[Bytes, Bytes]:
        """Return how sure each pixel's colour is skin's and hair's, uint8 [h, w], averaged over `blur` pixels."""
        # Wide in brightness, since the neck is the face's skin in shadow; narrow in colour.
        skin, hair, clothes = (
            gaussian_filter(histogram, (levels, 1.0, 1.0)) / max(float(histogram.sum()), 1.0)
            for histogram, levels in zip(self._histograms, (1.5, _HAIR_LEVELS, 1.5), strict=True)
        )
        # Skin and hair have the benefit of the doubt: bare shoulders and long hair colour the clothes' histogram too.
        # Skin does not compete with hair, since skin in deep shadow looks like it.
        skin_odds = 3 * skin / (3 * skin + clothes + _UNKNOWN)
        hair_odds = 2 * hair / (2 * hair + skin + clothes + _UNKNOWN)
        size = 2 * max(1, round(blur)) + 1
        skin_odds, hair_odds = ((odds.ravel() * 255).astype(np.uint8)[bins] for odds in (skin_odds, hair_odds))
        return cv2.blur(skin_odds, (size, size)), cv2.blur(hair_odds, (size, size))


def _bins(rgb: Bytes) -> NDArray[np.int32]:
    """Number the colours by brightness and, apart from it, by the shares of red and green."""
    red, green, blue = (channel.astype(np.float32) + 4 for channel in cv2.split(rgb))
    total = red + green + blue
    level = (total * (_LEVELS[0] / 780)).astype(np.int32).clip(0, _LEVELS[0] - 1)
    red_share = ((red / total - 0.2) * (_LEVELS[1] / 0.4)).astype(np.int32).clip(0, _LEVELS[1] - 1)
    green_share = ((green / total - 0.2) * (_LEVELS[2] / 0.3)).astype(np.int32).clip(0, _LEVELS[2] - 1)
    return (level * _LEVELS[1] + red_share) * _LEVELS[2] + green_share


def _below_jaw(view: _View, skin: Bytes, hair: Bytes) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Find the neck, and what below the jaw line belongs to the head (hair, earrings), at half size."""
    below = view.person & ~view.above
    touch = cv2.dilate((view.person & view.above).astype(np.uint8), _disc(2)) > 0

    column = cv2.dilate(view.neck.astype(np.uint8), _disc(0.06 * view.face_height)) > 0
    neck = touching(touch & column, below & column & (skin > 127))
    neck = cv2.morphologyEx(neck.astype(np.uint8), cv2.MORPH_CLOSE, _disc(0.1 * view.face_height)) > 0
    neck &= below & column

    rows = np.arange(below.shape[0])[:, None]
    line = np.where(view.above.any(0), below.shape[0] - view.above[::-1].argmax(0), 0)[None]
    near = rows < line + _HAIR_REACH * view.face_height
    hairy_head = touch & ~column & ~(cv2.dilate(view.face.astype(np.uint8), _disc(2)) > 0)
    free = below & ~neck & near
    # Opened first: the seam between clothes and backdrop is often hair-coloured, and thin.
    brush = _disc(0.02 * view.face_height)
    grown = cv2.morphologyEx((free & (hair > 140)).astype(np.uint8), cv2.MORPH_OPEN, brush) > 0
    grown = touching(hairy_head, grown)
    grown = (cv2.dilate(grown.astype(np.uint8), brush) > 0) & free & (hair > 60)

    count, pieces, stats, _ = cv2.connectedComponentsWithStats((below & ~neck & ~grown).astype(np.uint8))
    meets = np.zeros(count, bool)
    hangs_on = (touch & ~column) | (cv2.dilate(grown.astype(np.uint8), _disc(2)) > 0)
    meets[np.unique(pieces[hangs_on])] = True
    small = stats[:, cv2.CC_STAT_AREA] < _DANGLING * below.size
    at_bottom = stats[:, cv2.CC_STAT_TOP] + stats[:, cv2.CC_STAT_HEIGHT] >= below.shape[0]
    dangling = meets & small & ~at_bottom
    dangling[0] = False
    return neck, grown | dangling[pieces]


def _risen_clothes(view: _View, skin: Bytes, hair: Bytes, torso: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find what of the torso rises above the jaw line beside the face: a hood, a collar, shoulders; at half size."""
    beside = (view.lower(0.5) & view.further(_EARS)) | (view.lower(0.75) & view.further(0.04))
    clothed = view.person & view.above & beside & (hair < 128) & (skin < 128)
    return touching(cv2.dilate(torso.astype(np.uint8), _disc(2)) > 0, clothed)


def _head_polygon(guides: PartGuides, index: int, shape: tuple[int, ...]) -> Floats:
    """Close the jaw line over the picture's top: a little sideways behind the ears, then outwards and upwards."""
    jaw, (left, right) = guides.jaw_px[index], guides.sideways[index]
    reach = 0.35 * guides.height_px[index]
    far = 2.0 * max(shape)
    up = np.array([left[1] - right[1], right[0] - left[0]], np.float32)
    up /= np.linalg.norm(up)
    out_left, out_right = jaw[0] + reach * left, jaw[-1] + reach * right
    return np.stack([*jaw, out_right, out_right + far * (right + up), out_left + far * (left + up), out_left])


def _fill(shape: tuple[int, ...], points: Floats, convex: bool = True) -> NDArray[np.bool_]:
    """Rasterise a polygon, or the convex hull of points, given in pixels with centres at +0.5."""
    canvas = np.zeros(shape, np.uint8)
    corners = np.round((points - 0.5) * 16).astype(np.int32)
    if convex:
        cv2.fillConvexPoly(canvas, cv2.convexHull(corners), 1, shift=4)
    else:
        cv2.fillPoly(canvas, [corners], 1, shift=4)
    return canvas > 0


def _enlarged(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    # One pixel wider, so that the soft edge around a part takes its label.
    wide = cv2.dilate(mask.astype(np.uint8), _disc(1)) * np.uint8(255)
    return cv2.resize(wide, shape[::-1], interpolation=cv2.INTER_LINEAR) > 127


def _disc(radius: float) -> Bytes:
    size = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
