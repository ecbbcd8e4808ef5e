"""The pictures of the RAD-NeRF layout that say what belongs to what: parsing colours, torso, face, teeth.

Colours are those that OpenCV sees, in blue, green, red; a viewer that shows RGB swaps red and blue. Arrays here are RGB
as everywhere in the project, so that the head is pure blue.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.face.parts import BACKGROUND, HEAD, NECK, TORSO
from aednerf.face.topology import LIPS_INNER_RING, OVAL

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

COLOURS: dict[int, tuple[int, int, int]] = {
    BACKGROUND: (255, 255, 255), HEAD: (0, 0, 255), NECK: (0, 255, 0), TORSO: (255, 0, 0),
}  # fmt: skip
"""RGB of each part label."""

MOUTH_COLOUR, HAIR_COLOUR = (100, 100, 100), (0, 0, 0)
"""TalkingGaussian's own colours inside the head: between the lips, and hair."""

_LABEL_OF = np.full(8, 255, np.uint8)
for _label, (_r, _g, _b) in COLOURS.items():
    _LABEL_OF[(_r > 127) * 4 + (_g > 127) * 2 + (_b > 127)] = _label
_LABEL_OF[0] = HEAD  # TalkingGaussian's gray mouth and black hair
_UNKNOWN_SHARE = 1e-3
_DARKER = 0.98  # for each pixel upward
_REACH = {NECK: 48, TORSO: 8}  # pixels of 512: how far the torso's picture goes up behind the head
_UNDER_CHIN = 0.04  # of the oval's height: the head's label goes on below the landmarks' jaw line
_TEETH_LIGHT, _TEETH_COLOUR = 0.6, 0.45  # least luma over the face's, most saturation
_BELOW_EDGE = 4  # pixels of 512: the neck's own edge is in the chin's shadow, its colour is taken from below


@dataclass(frozen=True)
class FaceOutlines:
    """What a frame's landmarks say about the face, as masks [H, W]."""

    face: Mask
    """Inside the face's oval, the rim under the chin included."""

    mouth: Mask
    """Between the lips."""

    @staticmethod
    def of(landmarks_px: NDArray[np.float32], shape: tuple[int, int]) -> FaceOutlines:
        """Fill the outlines of MediaPipe's landmarks [478, 2] in a picture of `shape` (height, width)."""
        oval = landmarks_px[list(OVAL)]
        under = oval + np.array([0, _UNDER_CHIN * np.ptp(oval[:, 1])])
        face = filled(oval, shape) | filled(under, shape)
        return FaceOutlines(face, filled(landmarks_px[list(LIPS_INNER_RING)], shape))


def filled(points_px: NDArray[Any], shape: tuple[int, int]) -> Mask:
    """Return the inside of a polygon [n, 2] (pixels, centres at +0.5) as a mask of `shape` (height, width)."""
    mask = np.zeros(shape, np.uint8)
    corners = np.rint((np.asarray(points_px, np.float64) - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(mask, [corners], 1, shift=4)
    return mask > 0


def parsing_picture(labels: Bytes) -> Bytes:
    """Colour part labels [H, W] as the layout does, RGB [H, W, 3]."""
    table = np.zeros((256, 3), np.uint8)
    for label, colour in COLOURS.items():
        table[label] = colour
    return table[labels]


def gaussian_parsing_picture(labels: Bytes, outlines: FaceOutlines, teeth: Mask) -> Bytes:
    """Colour part labels [H, W] as TalkingGaussian does: hair black, the mouth's inside without the teeth gray.

    The teeth keep the head's colour because its loader takes `head XOR teeth_mask` for the face and adds the teeth to
    the mouth. Hair is what the head has outside the face's oval.
    """
    picture, head = parsing_picture(labels), labels == HEAD
    picture[head & ~outlines.face] = HAIR_COLOUR
    picture[head & outlines.mouth & ~teeth] = MOUTH_COLOUR
    return picture


def labels_of(parsing: Bytes, path: Path) -> Bytes:
    """Return the part labels [H, W] of a parsing picture RGB [H, W, 3], of either colouring.

    Args:
        parsing: the picture.
        path: its file, for the message.

    Raises:
        InputError: more than one pixel in a thousand has a colour that no part has.
    """
    red, green, blue = (channel > 127 for channel in cv2.split(parsing[..., :3]))
    labels = _LABEL_OF[red * 4 + green * 2 + blue * np.uint8(1)]
    unknown = labels == 255
    if unknown.mean() > _UNKNOWN_SHARE:
        row, column = np.argwhere(unknown)[0]
        raise InputError(
            f"{path} has the colour {parsing[row, column, ::-1].tolist()} (blue, green, red), which no part has. "
            "Expected head 255 0 0, neck 0 255 0, torso 0 0 255, background 255 255 255. "
            "Restore the folder's parsing, or import with --masks own."
        )
    labels[unknown] = BACKGROUND
    return labels


def over_plate(image: Bytes, labels: Bytes, plate: Bytes) -> Bytes:
    """Return the picture [H, W, 3] with everything that is not the person replaced by the plate."""
    return np.where((labels == BACKGROUND)[..., None], plate, image)


def torso_picture(image: Bytes, labels: Bytes) -> Bytes:
    """Return neck and torso as RGBA [H, W, 4], hard alpha, continued upward where the head covers them.

    Under each column's uppermost pixel that touches the head, the colour goes on upward, a little darker with each
    pixel and softened, so that no gap opens when a learned head moves.
    """
    scale = image.shape[0] / 512
    head, own = labels == HEAD, (labels == NECK) | (labels == TORSO)
    rgb = np.where(own[..., None], image, 0).astype(np.uint8)
    added = np.zeros_like(own)
    for label in (TORSO, NECK):
        region = labels == label
        below = round(_BELOW_EDGE * scale) if label == NECK else 0
        rows, columns, colours = _upward(image, region, head, max(1, round(_REACH[label] * scale)), below)
        free = ~own[rows, columns]
        rgb[rows[free], columns[free]] = colours[free]
        added[rows[free], columns[free]] = True
    soft = cv2.GaussianBlur(rgb, (5, 5), 0)
    weight = cv2.GaussianBlur((own | added).astype(np.float32), (5, 5), 0)
    rgb[added] = np.clip(soft[added] / np.maximum(weight[added], 1e-3)[:, None], 0, 255).astype(np.uint8)
    return np.dstack([rgb, (own | added) * np.uint8(255)])


def _upward(
    image: Bytes, region: Mask, head: Mask, reach: int, below: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return rows, columns and colours [n, 3] of what continues a region upward where the head stands on it."""
    top = region.argmax(0)
    columns = np.flatnonzero(region.any(0) & (top > 0) & head[np.maximum(top - 1, 0), np.arange(len(top))])
    top = top[columns]
    thickness = region[:, columns].sum(0)
    source = top + np.minimum(below, thickness - 1)
    source = np.where(region[source, columns], source, top)
    colour = image[source, columns].astype(np.float64)
    up = np.arange(1, reach + 1)
    rows, places = top[None] - up[:, None], np.broadcast_to(np.arange(len(columns)), (reach, len(columns)))
    inside = rows >= 0
    shade = np.broadcast_to(_DARKER ** up[:, None], rows.shape)[inside]
    return rows[inside], columns[places[inside]], colour[places[inside]] * shade[:, None]


def head_mask_picture(labels: Bytes) -> Bytes:
    """Return SyncTalk's `face_mask` [H, W]: the head white on black."""
    return (labels == HEAD) * np.uint8(255)


def portrait_mask_picture(labels: Bytes, outlines: FaceOutlines) -> Bytes:
    """Return SyncTalk's `parsing/<i>_face.png`, RGB [H, W, 3]: the face in the head's colour on white, softened.

    Its `--portrait` reads 255 minus the green channel as the weight of the learned face over the recorded picture.
    """
    picture = np.full((*labels.shape, 3), 255, np.uint8)
    picture[(labels == HEAD) & outlines.face] = COLOURS[HEAD]
    return cv2.GaussianBlur(picture, (9, 9), 0).astype(np.uint8)


def teeth_mask(
    image: Bytes, upper_px: NDArray[np.floating], lower_px: NDArray[np.floating], outlines: FaceOutlines
) -> Mask:
    """Return where teeth can be seen, bool [H, W]: between the lips, inside the outline of a row, light and pale.

    Args:
        image: RGB [H, W, 3].
        upper_px, lower_px: [n, 2] the projected points of the two rows of teeth.
        outlines: of the frame.
    """
    region = np.zeros_like(outlines.mouth)
    for row in (upper_px, lower_px):
        if len(row) >= 3:
            region |= filled(cv2.convexHull(np.asarray(row, np.float32))[:, 0], region.shape)
    region &= outlines.mouth
    if not region.any():
        return region
    skin = np.median(image[outlines.face].max(-1)) if outlines.face.any() else 255.0
    colours = image[region].astype(np.float32)
    most, least = colours.max(-1), colours.min(-1)
    region[region] = (most > _TEETH_LIGHT * skin) & (most - least < _TEETH_COLOUR * most)
    return region
