"""Choose one person in a clip and the fixed square around the head and shoulders that the capture keeps.

Clips whose squares nearly agree in pictures of one size were filmed by one camera at rest: they get the same square,
and so the same camera, and the head is tracked through all of them as through one recording with cuts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aednerf.capture.manifest import Crop
from aednerf.core.errors import InputError

HEAD_AND_SHOULDERS = 2.3
"""Edge of the square over the height of the face (forehead to chin)."""

_FACE_CENTRE = 0.47
"""Where the middle of the face stands in the square, from its top: room for the hair above, the shoulders below."""

ALIKE = 0.12
"""Squares whose edges differ by at most this share of their size become one."""

_BIG_ENOUGH = 0.26
"""A square picture is kept whole when the face is at least this share of its height."""


@dataclass(frozen=True)
class FaceTrack:
    """One person's face in the sampled frames of a clip."""

    frames: NDArray[np.int64]
    """[n] the sampled frames that show it, ascending."""

    boxes: NDArray[np.float64]
    """[n, 4] left, top, right, bottom of the landmarks, in pixels of the source."""

    @property
    def total_area(self) -> float:
        """The sum of the boxes' areas: large for a large face that is there all the time."""
        return float(((self.boxes[:, 2] - self.boxes[:, 0]) * (self.boxes[:, 3] - self.boxes[:, 1])).sum())

    @property
    def middle_x(self) -> float:
        """Median of the boxes' centres, from the left."""
        return float(np.median(self.boxes[:, 0] + self.boxes[:, 2]) / 2)

    def expected(self, frame: int) -> NDArray[np.float64]:
        """Return the box [4] where the face is expected in a frame, linear between the samples."""
        return np.array([np.interp(frame, self.frames, self.boxes[:, side]) for side in range(4)])


def link_faces(samples: list[tuple[int, list[NDArray[np.float64]]]]) -> list[FaceTrack]:
    """Join the face boxes of sampled frames into one track for each person, the nearest to where each was last.

    Args:
        samples: (frame, boxes [4] of the faces found in it), frames ascending.
    """
    tracks: list[tuple[list[int], list[NDArray[np.float64]]]] = []
    for frame, boxes in samples:
        pairs = sorted(
            (box_distance(track[1][-1], box), t, b) for t, track in enumerate(tracks) for b, box in enumerate(boxes)
        )
        taken_tracks, taken_boxes = set(), set()
        for distance, t, b in pairs:
            if distance < 1.0 and t not in taken_tracks and b not in taken_boxes:
                tracks[t][0].append(frame)
                tracks[t][1].append(boxes[b])
                taken_tracks.add(t)
                taken_boxes.add(b)
        tracks.extend(([frame], [box]) for b, box in enumerate(boxes) if b not in taken_boxes)
    return [FaceTrack(np.array(frames), np.stack(boxes)) for frames, boxes in tracks]


def box_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return how far two boxes are apart, over their size: below 1 it may be the same face a moment later."""
    size_a, size_b = (np.hypot(box[2] - box[0], box[3] - box[1]) / np.sqrt(2) for box in (a, b))
    shift = np.hypot(*((a[:2] + a[2:]) - (b[:2] + b[2:]))) / 2
    return float(shift / np.sqrt(size_a * size_b) + 1.5 * abs(np.log(size_a / size_b)))


def choose_face(tracks: list[FaceTrack], n_samples: int, face: str) -> tuple[FaceTrack, int]:
    """Choose the person to learn.

    Args:
        tracks: the people found.
        n_samples: how many frames were looked at.
        face: `largest`, or a number from 1 that counts the people from left to right.

    Returns:
        The person's track, and how many other people are there for at least a tenth of the time.

    Raises:
        InputError: `face` asks for a person who is not there.
    """
    # A person counts when seen for a tenth of the time; somebody always does, however short the glimpses.
    people = [track for track in tracks if len(track.frames) >= 0.1 * n_samples]
    people = sorted(people or [max(tracks, key=lambda track: track.total_area)], key=lambda track: track.middle_x)
    if face == "largest":
        return max(people, key=lambda track: track.total_area), len(people) - 1
    if not face.isdecimal() or int(face) < 1:
        raise InputError(f"--face must be 'largest' or a number from 1 (people from left to right), got {face!r}.")
    if int(face) > len(people):
        raise InputError(f"--face {face} asks for person {face} from the left, but the video shows {len(people)}.")
    return people[int(face) - 1], len(people) - 1


def square_crop(track: FaceTrack, width: int, height: int) -> Crop:
    """Return the fixed square of a clip around the head and shoulders, inside the picture, in whole pixels.

    A picture that is already square with a face that is big enough stays whole.

    Args:
        track: the person's face over the clip.
        width: of the source pictures, in pixels.
        height: of the source pictures, in pixels.
    """
    boxes = track.boxes
    face_height = float(np.median(boxes[:, 3] - boxes[:, 1]))
    shorter = min(width, height)
    if abs(width - height) <= 0.02 * shorter and face_height >= _BIG_ENOUGH * shorter:
        return Crop((width - shorter) // 2, (height - shorter) // 2, shorter)
    low, high = np.percentile(boxes, 3, axis=0), np.percentile(boxes, 97, axis=0)
    left, top, right, bottom = low[0], low[1], high[2], high[3]
    motion = max((right - left) - float(np.median(boxes[:, 2] - boxes[:, 0])), (bottom - top) - face_height, 0.0)
    size = int(min(shorter, round(HEAD_AND_SHOULDERS * face_height + motion)))
    x = int(np.clip(round((left + right) / 2 - size / 2), 0, width - size))
    y = int(np.clip(round((top + bottom) / 2 - _FACE_CENTRE * size), 0, height - size))
    return Crop(x, y, size)


def shared_crops(crops: Sequence[Crop], sizes: Sequence[tuple[int, int]]) -> list[Crop]:
    """Return the clips' squares, with those that nearly agree replaced by one square around them all.

    Args:
        crops: each clip's own square.
        sizes: width and height of each clip's pictures, in pixels; only clips of one size can share a square.
    """
    groups: list[list[int]] = []
    for index, crop in enumerate(crops):
        alike = (
            group for group in groups
            if sizes[group[0]] == sizes[index] and all(_are_alike(crops[other], crop) for other in group)
        )  # fmt: skip
        group = next(alike, None)
        if group is None:
            groups.append([index])
        else:
            group.append(index)
    shared = list(crops)
    for group in groups:
        around = _around([crops[index] for index in group], *sizes[group[0]])
        for index in group:
            shared[index] = around
    return shared


def _are_alike(a: Crop, b: Crop) -> bool:
    edges = np.abs(_edges(a) - _edges(b))
    return bool(edges.max() <= ALIKE * min(a.size, b.size))


def _edges(crop: Crop) -> NDArray[np.float64]:
    return np.array([crop.x, crop.y, crop.x + crop.size, crop.y + crop.size], np.float64)


def _around(crops: Sequence[Crop], width: int, height: int) -> Crop:
    """Return the smallest square, in whole pixels and inside the picture, around the given ones."""
    edges = np.stack([_edges(crop) for crop in crops])
    left, top = edges[:, :2].min(0)
    right, bottom = edges[:, 2:].max(0)
    size = min(int(np.ceil(max(right - left, bottom - top))), width, height)
    x = np.clip(np.floor((left + right - size) / 2), 0, width - size)
    y = np.clip(np.floor((top + bottom - size) / 2), 0, height - size)
    return Crop(int(x), int(y), size)
