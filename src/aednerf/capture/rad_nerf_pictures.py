"""The pictures of a RAD-NeRF folder, frame by frame: what is seen, what is learned, and what belongs to what."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from aednerf.capture import rad_nerf_layout as layout
from aednerf.capture import rad_nerf_masks as masks
from aednerf.capture.face_table import FacePart
from aednerf.capture.rad_nerf_task import JPEG_QUALITY, ExportTask, save_array
from aednerf.face.topology import IBUG68
from aednerf.media.image import read_image, write_image

Bytes = NDArray[np.uint8]


def write_pictures(task: ExportTask) -> None:
    """Write the pictures of all frames that are not there yet.

    Args:
        task: its folder holds the background already.
    """
    folder, frames, parsing = task.folder, task.frames, task.parsing
    for name in (
        layout.IMAGES, layout.PARSING, layout.GT_IMAGES, layout.TORSO_IMAGES, layout.TEETH, layout.FACE_MASK,
        layout.ALPHA,
    ):  # fmt: skip
        (folder / name).mkdir(exist_ok=True)
    truth, tracking = task.truth, task.capture.tracking
    plate, teeth = read_image(folder / layout.PLATE_NAME), _Teeth(task)
    n_done = next(i for i in range(len(frames) + 1) if not (folder / layout.IMAGES / f"{i}.lms").is_file())
    task.progress(f"pictures of {task.name}", n_done, len(frames))
    for number, image, alpha, labels in _stored(task, n_done):
        frame = int(frames[number])
        outlines = masks.FaceOutlines.of(tracking.landmarks_px[frame], labels.shape)
        seen_teeth = teeth.mask(frame, image, outlines)
        if parsing == "rad-nerf":
            parsed = masks.parsing_picture(labels)
        else:
            parsed = masks.gaussian_parsing_picture(labels, outlines, seen_teeth)
        target = masks.over_plate(image, labels, plate)
        write_image(folder / layout.IMAGES / f"{number}.jpg", image, JPEG_QUALITY)
        write_image(folder / layout.GT_IMAGES / f"{number}.jpg", target, JPEG_QUALITY)
        write_image(folder / layout.PARSING / f"{number}.png", parsed)
        write_image(folder / layout.PARSING / f"{number}_face.png", masks.portrait_mask_picture(labels, outlines))
        write_image(folder / layout.TORSO_IMAGES / f"{number}.png", masks.torso_picture(target, labels))
        write_image(folder / layout.FACE_MASK / f"{number}.png", masks.head_mask_picture(labels))
        write_image(folder / layout.ALPHA / f"{number}.png", alpha)
        save_array(folder / layout.TEETH / f"{number}.npy", seen_teeth)
        points = tracking.landmarks_px[frame][list(IBUG68)] if truth is None else truth.ibug68_px[frame]
        layout.write_landmarks(folder / layout.IMAGES / f"{number}.lms", points)  # the last: it marks the frame as done
        task.progress(f"pictures of {task.name}", number + 1, len(frames))


def _stored(
    task: ExportTask, n_done: int
) -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]]:
    """Yield number, picture, alpha and labels of the frames from number `n_done` on, decoding one at a time."""
    frames = task.frames
    if n_done == len(frames):
        return
    first, end = int(frames[n_done]), int(frames[-1]) + 1
    numbers = {int(frame): number for number, frame in enumerate(frames)}
    streams = (task.capture.images(first, end), task.capture.mattes(first, end), task.capture.parts(first, end))
    for frame, (image, alpha, labels) in enumerate(zip(*streams, strict=True), start=first):
        if frame in numbers:
            yield numbers[frame], image, alpha, labels


class _Teeth:
    """The rows of teeth of the person's face model, placed frame by frame."""

    def __init__(self, task: ExportTask) -> None:
        face = task.capture.face
        is_row = [face.part == part for part in (FacePart.UPPER_TEETH, FacePart.LOWER_TEETH)]
        self._rows = [(face.points[own], face.deltas[:, own].astype(np.float32)) for own in is_row]
        self._tracking, self._camera = task.capture.tracking, task.camera

    def mask(self, frame: int, image: Bytes, outlines: masks.FaceOutlines) -> NDArray[np.bool_]:
        """Return where teeth can be seen in a frame of the capture, bool [H, W]."""
        t, seen = self._tracking, []
        for points, deltas in self._rows:
            placed = points + np.tensordot(t.expression[frame], deltas, axes=1)
            seen.append(self._camera.project(placed @ t.rotation[frame].T + t.translation[frame]))
        return masks.teeth_mask(image, seen[0], seen[1], outlines)
