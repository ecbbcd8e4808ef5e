"""Measure what a capture's codes can tell of mouth and eyes, without any field, beside what an avatar makes of them.

    python benchmarks/code_limits.py CAPTURE [--avatar AVATAR] -o results/limits.json

With an avatar the codes are those that it makes of the capture's numbers; without, those numbers themselves.

Mouth and eyes of every frame are resampled on planes that move with the head. On test frames, in dB over what most
frames' boxes hold: a smooth kernel regression of these pictures from the codes and the head's turn, learned in training
frames; the principal components of the training frames' own pictures; and the avatar's pictures, resampled alike. Over
the boxes themselves: a frame's two neighbours, each moved to where it fits best, which is next to what noise leaves;
and the share of the avatar's error in discs around the irises, lids included.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from aednerf.avatar.avatar import Avatar
from aednerf.avatar.background import composite
from aednerf.capture.capture import Capture
from aednerf.capture.face_table import FacePart
from aednerf.core.errors import InputError
from aednerf.core.files import write_json
from aednerf.core.records import ARKIT_NAMES, Camera
from aednerf.evaluation.pictures import cut_out, real_frames
from aednerf.evaluation.protocols import self_rows
from aednerf.evaluation.regions import Box, eye_boxes, mouth_box

Array = NDArray[Any]

EVERY = 3
"""Test frames that are compared."""
SMOOTHNESS, RIDGE = 0.03, 0.003
COMPONENTS = (8, 16, 24, 32, 64)
IRISES = (range(468, 473), range(473, 478))
"""Landmarks: a middle, and four at the rim."""


@dataclass(frozen=True)
class Region:
    """A part of the face, and the plane it is resampled on."""

    name: str
    boxes: Callable[[Array], tuple[Box, ...]]
    """The boxes in a frame, from its landmarks [478, 2]."""
    depth_m: float
    cell_m: float
    half: int
    """Its half of the residual code."""
    prefixes: tuple[str, ...]
    """Coefficients whose names begin so belong to it."""


@dataclass(frozen=True)
class Plane:
    """Points of the head frame that every frame is resampled at."""

    points: Array
    """[h, w, 3] metres."""

    def pixels(self, rotation: Array, translation: Array, camera: Camera) -> Array:
        """Return where its points are in a frame: [h, w, 2], OpenCV's pixels."""
        return (camera.project(self.points @ rotation.T + translation) - 0.5).astype(np.float32)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--avatar", type=Path, default=None)
    parser.add_argument("--commit", default=None, help="what is checked out, where git cannot tell")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    capture = Capture.open(options.capture)
    if len(capture.clips) != 1:
        raise InputError(
            f"Expected a capture of one clip, with one camera and one test part, got {len(capture.clips)}."
        )
    avatar = None if options.avatar is None else Avatar.load(options.avatar, "cpu")
    result: dict[str, Any] = {
        "command": "python " + " ".join(sys.argv), "commit": options.commit, "machine": platform.machine(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    for region in regions_of_face(capture):
        result[region.name] = limits(capture, region, avatar)
        print(region.name, result[region.name], flush=True)
    write_json(options.out, result)


def regions_of_face(capture: Capture) -> tuple[Region, ...]:
    """Return eyes and mouth; their planes stand a little behind what lies foremost."""
    points, part = capture.face.points, capture.face.part
    eyes_m = float(points[part == FacePart.LEFT_EYEBALL, 2].max()) - 0.008
    mouth_m = float(points[part == FacePart.UPPER_TEETH, 2].max()) + 0.006
    return (
        Region("eyes", eye_boxes, eyes_m, 0.0006, 1, ("eye", "brow", "cheekSq")),
        Region("mouth", lambda px: (mouth_box(px),), mouth_m, 0.00055, 0, ("mouth", "jaw", "cheekPuff")),
    )


def limits(capture: Capture, region: Region, avatar: Avatar | None) -> dict[str, Any]:
    """Measure one region."""
    motion = capture.motion(np.arange(capture.n_frames))
    motion = motion if avatar is None else avatar.fitted(motion)
    camera = capture.camera(0)
    plane = plane_of(capture, region, camera)
    train, test = capture.train_frames, capture.test_frames[::EVERY]
    pictures = np.zeros((capture.n_frames, *plane.points.shape[:2], 3), np.uint8)
    inside: dict[int, Array] = {}
    for frame, real, _ in real_frames(capture, [*map(int, train), *map(int, capture.test_frames)]):
        at = plane.pixels(motion.rotation[frame], motion.translation[frame], camera)
        pictures[frame] = cv2.remap(real, at, None, cv2.INTER_CUBIC)  # pyright: ignore[reportCallIssue, reportArgumentType]
        inside[frame] = _inside(at, region.boxes(capture.tracking.landmarks_px[frame]))

    def decibels(drawn: Iterable[Array]) -> float:
        return round(float(np.mean([
            _psnr(picture, pictures[frame] / 255.0, inside[frame]) for picture, frame in zip(drawn, test, strict=True)
        ])), 2)  # fmt: skip

    counts = np.mean([inside[int(frame)] for frame in train], axis=0) > 0.5
    inside = {frame: within & counts for frame, within in inside.items()}
    turns = np.stack([cv2.Rodrigues(each)[0][:, 0] for each in motion.rotation])
    own = [i for i, name in enumerate(ARKIT_NAMES) if name.startswith(region.prefixes)]
    residual, expression = np.split(motion.residual, 2, axis=1)[region.half], motion.expression[:, own]
    codes = {"residual": residual, "coefficients": expression, "both": np.concatenate([residual, expression], axis=1)}
    found: dict[str, Any] = {
        f"told by {name}": decibels(_told(np.concatenate([code, turns], axis=1), pictures, train, test))
        for name, code in codes.items()
    }
    found["principal components"] = {
        str(n): decibels(drawn) for n, drawn in _projected(pictures, counts, train, test).items()
    }
    found["neighbours, pixels"] = round(_neighbours(capture, region), 2)
    if avatar is not None:
        found |= _avatar(avatar, capture, region, plane, decibels)
    return found


def plane_of(capture: Capture, region: Region, camera: Camera) -> Plane:
    """Return the plane that holds nearly all boxes of a region."""
    motion = capture.motion(capture.train_frames)
    corners = []
    for i, frame in enumerate(capture.train_frames):
        boxes = region.boxes(capture.tracking.landmarks_px[frame])
        pixels = np.array([(x, y) for box in boxes for x in (box.left, box.right) for y in (box.top, box.bottom)])
        ray = np.stack([
            (pixels[:, 0] - camera.cx) / camera.focal_px, -(pixels[:, 1] - camera.cy) / camera.focal_px,
            -np.ones(len(pixels)),
        ], axis=-1) @ motion.rotation[i]  # fmt: skip
        eye = -motion.rotation[i].T @ motion.translation[i]
        corners.append(eye + ray * ((region.depth_m - eye[2]) / ray[:, 2:]))
    spread = np.concatenate(corners)[:, :2]
    (left, bottom), (right, top) = np.percentile(spread, 1, axis=0), np.percentile(spread, 99, axis=0)
    x, y = np.meshgrid(np.arange(left, right, region.cell_m), np.arange(top, bottom, -region.cell_m))
    return Plane(np.stack([x, y, np.full_like(x, region.depth_m)], axis=-1))


def _told(codes: Array, pictures: Array, train: Array, test: Array) -> Array:
    spread = codes[train].std(0) + 1e-9
    scaled = (codes - codes[train].mean(0)) / spread
    known, asked = scaled[train], scaled[test]

    def kernel(a: Array, b: Array) -> Array:
        return np.exp(-SMOOTHNESS * ((a[:, None] - b[None]) ** 2).sum(-1) / a.shape[1])

    truth = pictures[train].reshape(len(train), -1).astype(np.float32) / 255
    mean = truth.mean(0)
    weights = np.linalg.solve(kernel(known, known) + RIDGE * np.eye(len(train)), (truth - mean).astype(np.float64))
    return (kernel(asked, known) @ weights + mean).reshape(len(test), *pictures.shape[1:])


def _projected(pictures: Array, inside: Array, train: Array, test: Array) -> dict[int, Array]:
    """Return the test frames as the leading components of the training frames' boxes hold them."""
    counts = np.repeat(inside, 3)
    flat = pictures.reshape(len(pictures), -1)
    mean = flat[train].mean(0) / 255
    known = (flat[train][:, counts] / 255 - mean[counts]).astype(np.float32)
    values, vectors = np.linalg.eigh((known @ known.T).astype(np.float64))
    order = values.argsort()[::-1][: max(COMPONENTS)]
    basis = known.T @ vectors[:, order] / np.sqrt(values[order])
    asked = flat[test] / 255 - mean
    drawn = {}
    for n in COMPONENTS:
        picture = np.zeros_like(asked)
        picture[:, counts] = mean[counts] + asked[:, counts] @ basis[:, :n] @ basis[:, :n].T
        drawn[n] = picture.reshape(len(test), *pictures.shape[1:])
    return drawn


def _neighbours(capture: Capture, region: Region) -> float:
    """Return how well a test frame's two neighbours tell it, each moved by the affine map that fits best, dB."""
    frames = capture.test_frames
    first, end = int(frames[0]), int(frames[-1]) + 1
    images = [image.astype(np.float32) / 255 for image in capture.images(first, end)]
    found = []
    for i in range(1, len(images) - 1, EVERY):
        squared = []
        for box in region.boxes(capture.tracking.landmarks_px[first + i]):
            guess = np.mean([_moved_to(images[i], images[j], box) for j in (i - 1, i + 1)], axis=0)
            squared.append(((guess - box.cut(images[i])) ** 2).ravel())
        found.append(-10 * np.log10(np.concatenate(squared).mean()))
    return float(np.mean(found))


def _moved_to(image: Array, other: Array, box: Box) -> Array:
    wide = Box(box.left - 8, box.top - 8, box.right + 8, box.bottom + 8)
    start = np.array([[1, 0, wide.left], [0, 1, wide.top]], np.float32)
    gray, moving = (cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (image, other))
    until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-6)
    try:
        _, found = cv2.findTransformECC(wide.cut(gray), moving, start, cv2.MOTION_AFFINE, until, None, 3)  # pyright: ignore[reportCallIssue, reportArgumentType]
    except cv2.error:  # it does not converge: as if nothing moved
        found = start
    y, x = np.mgrid[8 : 8 + box.bottom - box.top, 8 : 8 + box.right - box.left].astype(np.float32)
    at = (np.stack([x, y, np.ones_like(x)], axis=-1) @ found.T).astype(np.float32)
    return cv2.remap(other, at, None, cv2.INTER_CUBIC)  # pyright: ignore[reportCallIssue, reportArgumentType]


def _avatar(
    avatar: Avatar, capture: Capture, region: Region, plane: Plane, decibels: Callable[[Iterable[Array]], float]
) -> dict[str, Any]:
    """Draw the region of every test frame: with the residual, and with none."""
    rows, _ = self_rows(avatar, capture, every=EVERY)
    camera = capture.camera(0)
    found: dict[str, Any] = {}
    for row in rows[:2]:
        drawn, shares = [], []
        for i, (frame, real, _) in enumerate(real_frames(capture, [*map(int, row.frames)])):
            landmarks = capture.tracking.landmarks_px[frame]
            boxes = region.boxes(landmarks)
            left, top = min(b.left for b in boxes) - 4, min(b.top for b in boxes) - 4
            width, height = max(b.right for b in boxes) + 4 - left, max(b.bottom for b in boxes) + 4 - top
            part = Box(left, top, left + width, top + height)
            shot = capture.shot_of(frame)
            figure = cut_out(avatar, row.motion, i, camera.cropped(left, top, width, height), shot)
            ours = np.asarray(composite(figure, part.cut(capture.plate(shot))))[..., :3]
            at = plane.pixels(row.motion.rotation[i], row.motion.translation[i], camera)
            drawn.append(cv2.remap(ours, at - np.float32([left, top]), None, cv2.INTER_CUBIC) / 255.0)  # pyright: ignore[reportCallIssue, reportArgumentType]
            if region.name == "eyes":
                shares.append(_iris_share(ours, real, landmarks, boxes, part))
        found[f"avatar, {row.name}"] = decibels(drawn)
        if shares:
            error, pixels = np.mean(shares, axis=0)
            found[f"irises, {row.name}"] = {
                "of the error": round(float(error), 2),
                "of the pixels": round(float(pixels), 2),
            }
    return found


def _iris_share(ours: Array, real: Array, landmarks: Array, boxes: tuple[Box, ...], part: Box) -> tuple[float, float]:
    """Return the irises' share of the boxes' squared error, and of their pixels."""
    error = ((ours.astype(np.float64) - part.cut(real)) ** 2).sum(-1)
    within, iris = np.zeros(error.shape, bool), np.zeros(error.shape, np.uint8)
    for box in boxes:
        within[box.top - part.top : box.bottom - part.top, box.left - part.left : box.right - part.left] = True
    for chosen in IRISES:
        ring = landmarks[list(chosen)] - (part.left, part.top) - 0.5
        radius = 1.15 * np.linalg.norm(ring[1:] - ring[0], axis=1).mean()
        cv2.circle(iris, tuple(int(round(16 * v)) for v in ring[0]), int(round(16 * radius)), 1, -1, shift=4)  # pyright: ignore[reportArgumentType, reportCallIssue]
    both = within & (iris > 0)
    return float(error[both].sum() / error[within].sum()), float(both.sum() / within.sum())


def _inside(at: Array, boxes: tuple[Box, ...]) -> Array:
    x, y = at[..., 0] + 0.5, at[..., 1] + 0.5
    return np.any([(x >= b.left) & (x < b.right) & (y >= b.top) & (y < b.bottom) for b in boxes], axis=0)


def _psnr(ours: Array, real: Array, inside: Array) -> float:
    return float(-10 * np.log10(((ours - real) ** 2)[inside].mean()))


if __name__ == "__main__":
    main()
