"""Look through a clip before anything is written: what it is, who is in it, where it is cut, and how to crop it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf.capture.clip import Clip
from aednerf.capture.framing import FaceTrack, choose_face, link_faces, square_crop
from aednerf.capture.manifest import Crop
from aednerf.capture.shots import Shots, group_shots, thumbnail
from aednerf.core.errors import InputError
from aednerf.core.ordered import ordered_map
from aednerf.core.units import FPS
from aednerf.face.cuts import CutFinder
from aednerf.face.landmarks import FaceDetector
from aednerf.media.video import VideoInfo, probe, read_video

LEAST_SECONDS = 2.0
"""A clip shorter than this is refused."""

_SAMPLE_EVERY = 5  # frames
_MOST_SAMPLES = 600

Boxes = list[NDArray[np.float64]]


@dataclass(frozen=True)
class ClipSurvey:
    """What a look through one clip found."""

    n_frames: int
    """At 25 fps."""

    info: VideoInfo
    crop: Crop
    face: FaceTrack
    """Where the person to learn is expected, in source pixels."""

    n_others: int
    """How many other people are seen for a tenth of the time or more."""

    shots: Shots

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        return {
            "n_frames": self.n_frames, "info": asdict(self.info), "crop": asdict(self.crop), "n_others": self.n_others,
            "face": {"frames": self.face.frames.tolist(), "boxes": np.round(self.face.boxes, 2).tolist()},
            "shots": asdict(self.shots),
        }  # fmt: skip

    @staticmethod
    def from_json(value: dict[str, Any]) -> ClipSurvey:
        """Read what `to_json` wrote."""
        face = FaceTrack(np.array(value["face"]["frames"]), np.array(value["face"]["boxes"], np.float64))
        shots = Shots(tuple(value["shots"]["starts"]), tuple(value["shots"]["is_kept"]))
        info, crop = VideoInfo(**value["info"]), Crop(**value["crop"])
        return ClipSurvey(value["n_frames"], info, crop, face, value["n_others"], shots)


def survey_clip(
    clip: Clip, detectors: Sequence[FaceDetector], max_seconds: float | None, face: str,
    progress: Callable[[int, int], None],
) -> ClipSurvey:  # fmt: skip
    """Look through a clip: its format, its cuts, the people in it, and the square to keep.

    Args:
        clip: the recording.
        detectors: one for each thread.
        max_seconds: how much of it counts, or None for all.
        face: `largest`, or a number from 1 that counts the people from left to right.
        progress: called with frames done and frames expected.

    Raises:
        InputError: it is no readable video, too short, shows no face, or not the face asked for.
    """
    info = probe(clip.path)
    images = read_video(clip.path, max_s=max_seconds)
    return survey_pictures(images, clip.path, info, detectors, max_seconds, face, progress)


def survey_pictures(
    images: Iterable[NDArray[np.uint8]], path: Path, info: VideoInfo, detectors: Sequence[FaceDetector],
    max_seconds: float | None, face: str, progress: Callable[[int, int], None],
) -> ClipSurvey:  # fmt: skip
    """Do what `survey_clip` does for pictures that are already being read.

    Args:
        images: RGB [H, W, 3] each, at 25 a second.
        path: what to name in messages.
        info: what the pictures come from.
        detectors, max_seconds, face, progress: as for `survey_clip`.
    """
    seconds = info.duration_s if max_seconds is None else min(info.duration_s, max_seconds)
    expected = max(1, round(seconds * FPS))
    every = max(_SAMPLE_EVERY, expected // _MOST_SAMPLES)
    finder, thumbnails = CutFinder(), []

    def sampled() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        for number, image in enumerate(images):
            finder.push(image)
            thumbnails.append(thumbnail(image))
            if number % every == 0:
                progress(min(number, expected), expected)
                yield number, image

    workers = [_finder_of_faces(detector) for detector in detectors]
    samples = list(ordered_map(workers, sampled()))
    n_frames = len(thumbnails)
    _require_person(path, n_frames, len(samples), any(boxes for _, boxes in samples))
    shots = group_shots(thumbnails, finder.cuts())
    kept = shots.kept(n_frames)
    of_kept = [(number, boxes) for number, boxes in samples if kept[number]]
    if not any(boxes for _, boxes in of_kept):
        raise InputError(
            f"{path} changes its scene, and its longest scene shows no face. Cut out the part with the person."
        )
    person, n_others = choose_face(link_faces(of_kept), len(of_kept), face)
    crop = square_crop(person, info.width, info.height)
    progress(expected, expected)
    return ClipSurvey(n_frames, info, crop, person, n_others, shots)


def _require_person(path: Path, n_frames: int, n_samples: int, has_face: bool) -> None:
    if n_frames < LEAST_SECONDS * FPS:
        raise InputError(
            f"{path} is {n_frames / FPS:.1f} s long; expected at least {LEAST_SECONDS:.0f} s, and 30 s or more for"
            " a good avatar. Record a longer clip."
        )
    if not has_face:
        raise InputError(
            f"{path} shows no face in any of {n_samples} frames looked at; expected a person facing the camera."
            " Use a clip in which the face is larger, lighter or more frontal."
        )


def _finder_of_faces(
    detector: FaceDetector,
) -> Callable[[tuple[int, NDArray[np.uint8]]], tuple[int, Boxes]]:
    def find(sample: tuple[int, NDArray[np.uint8]]) -> tuple[int, Boxes]:
        number, image = sample
        return number, find_boxes(detector, image)

    return find


def find_boxes(detector: FaceDetector, image: NDArray[np.uint8]) -> Boxes:
    """Return the boxes [4] of the faces in a picture [H, W, 3], the largest first.

    The detector shrinks a picture to 128 pixels, so that a face in a wide picture may get lost: where it finds none in
    the whole, it looks at overlapping squares along the longer side.
    """
    found = [np.array(detection.box_px, np.float64) for detection in detector.detect(image)]
    height, width = image.shape[:2]
    edge = min(height, width)
    if found or max(height, width) < 1.3 * edge:
        return found
    for start in np.linspace(0, max(height, width) - edge, 3).astype(int):
        x, y = (start, 0) if width > height else (0, start)
        for detection in detector.detect(image[y : y + edge, x : x + edge]):
            box = np.array(detection.box_px, np.float64) + (x, y, x, y)
            if all(_overlap(box, other) < 0.3 for other in found):
                found.append(box)
    return sorted(found, key=lambda box: -(box[2] - box[0]) * (box[3] - box[1]))


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the intersection of two boxes over their union."""
    sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    area_a, area_b = np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2])
    return float(sides.prod() / (area_a + area_b - sides.prod()))
