"""What `prepare` found in the bare video of a computer-generated person, against the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from aednerf.capture.capture import Capture
from aednerf.capture.face_table import FacePart
from aednerf.capture.truth import Truth
from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES
from aednerf.evaluation.alignment import (
    Cameras,
    Similarity,
    align,
    camera_in_source,
    cameras_of,
    mean_rotation,
    true_frames,
)
from aednerf.face.model import FaceModel, PersonPoints, eye_rotation

Array = NDArray[np.floating]

LEAST_DEVIATION = 0.01
"""A coefficient that the truth moves less than this has no correlation worth naming."""

GROUPS = {
    "jaw outline": slice(0, 17), "brows": slice(17, 27), "nose": slice(27, 36), "eyes": slice(36, 48),
    "mouth": slice(48, 68),
}  # fmt: skip
"""The 68 iBUG vertices by what they lie on."""

_NEIGHBOURS = 6


@dataclass(frozen=True)
class Tracked:
    """The frames that `prepare` tracked, beside the truth of the same frames; pixels are those of the recording."""

    prepared: Capture
    exact: Capture
    truth: Truth
    frames: NDArray[np.int64]
    """[T] valid frames of the prepared capture."""

    twins: NDArray[np.int64]
    """[T] the same moments in the exact capture."""

    found: Cameras
    true: Cameras

    @staticmethod
    def of(prepared: Capture, exact: Capture) -> Tracked:
        """Pair the frames.

        Raises:
            InputError: the captures do not belong together, there is no truth, or no frame was tracked.
        """
        truth, frames = Truth.load(exact.path), np.flatnonzero(prepared.tracking.valid)
        if not len(frames):
            raise InputError(f"{prepared.path} tracked no face in any frame.")
        twins = true_frames(prepared, exact)[frames]
        return Tracked(prepared, exact, truth, frames, twins, cameras_of(prepared, frames), cameras_of(exact, twins))

    @property
    def to_512(self) -> float:
        """Pixels at a recording of 512 for one pixel of this one."""
        return 512 / self.exact.size

    def true_68_px(self) -> Array:
        """Return [T, 68, 2] the true vertices."""
        return self.truth.ibug68_px[self.twins]

    def fitted_68_px(self, face: PersonPoints) -> Array:
        """Return [T, 68, 2] a fitted face's vertices, as the prepared capture poses and projects them."""
        expression = self.prepared.tracking.expression[self.frames]
        placed = face.at(expression) @ np.swapaxes(self.found.rotation, 1, 2) + self.found.translation[:, None]
        focal, centre = self.found.intrinsics[:, None, :1], self.found.intrinsics[:, None, 1:]
        return centre + focal * placed[..., :2] * [-1, 1] / placed[..., 2:]


def measure_tracking(prepared: Capture, exact: Capture, model: FaceModel) -> dict[str, Any]:
    """Compare a prepared capture with the truth.

    Args:
        prepared: what `prepare` made of the exact capture's `truth/video` files.
        exact: what `synthesize` made.
        model: the face model.

    Returns:
        Plain figures by name; every figure says its unit. Medians and means are over the tracked frames.
    """
    tracked = Tracked.of(prepared, exact)
    similarity = align(prepared, exact)
    turn = rotation_errors_deg(tracked.found.rotation, tracked.true.rotation)
    mesh = vertex_errors_px(tracked, identity_face(model, prepared))
    surface = vertex_errors_px(tracked, surface_face(model, prepared))
    overlap = matte_overlap(prepared, exact)
    expression = tracked.prepared.tracking.expression[tracked.frames], tracked.truth.expression[tracked.twins]
    return {
        "frames": prepared.n_frames, "tracked_frames": len(tracked.frames), "size": prepared.size,
        "rotation_deg": {name: summary(errors) for name, errors in turn.items()},
        "translation_mm": translation_errors_mm(tracked, similarity),
        "alignment": {
            "scale": similarity.scale, "shift_mm": (similarity.shift * 1000).tolist(), "rms_px": similarity.rms_px,
        },
        "focal_px": {
            "true": float(tracked.true.intrinsics[0, 0]), "found": sorted(set(tracked.found.intrinsics[:, 0].tolist()))
        },
        "vertices68_px_at_512": {"identity mesh": _by_group(mesh), "capture's surface": _by_group(surface)},
        "matte_iou": {**summary(overlap), "least": float(overlap.min())},
        "correlation": correlations(*expression),
        "gaze": gaze_errors(*expression),
        "clips": [
            _clip_figures(tracked, number, turn, surface, overlap, expression)
            for number in range(len(prepared.clips))
        ],
    }  # fmt: skip


def rotation_errors_deg(found: Array, true: Array) -> dict[str, Array]:
    """Return the angle [T] between rotations [T, 3, 3]: `raw`, and `aligned` after one constant turn of the head frame.

    The turn Q is the mean of found^T true, so that found Q is compared with true: where the two head frames have
    different axes, all frames share that difference, and it is no error of the tracking.
    """
    turn = mean_rotation(np.swapaxes(found, 1, 2) @ true)
    return {"raw": _angle_deg(found, true), "aligned": _angle_deg(found @ turn, true)}


def translation_errors_mm(tracked: Tracked, similarity: Similarity) -> dict[str, dict[str, float]]:
    """Return how far the head is from where the truth has it, in true millimetres, after the similarity.

    A wrong focal length stands the head at a wrong distance; it is first brought to where a camera of the true
    focal length sees it in the same place and as large.
    """
    _, expected = similarity.poses(tracked.true.rotation, tracked.true.translation)
    found, (focal, true_focal) = tracked.found, (c.intrinsics[:, 0] for c in (tracked.found, tracked.true))
    depth = found.translation[:, 2] * true_focal / focal
    pixel = found.intrinsics[:, 1:] + focal[:, None] * found.translation[:, :2] * [-1, 1] / found.translation[:, 2:]
    across = (pixel - tracked.true.intrinsics[:, 1:]) * [-1, 1] * (depth / true_focal)[:, None]
    error = (np.concatenate([across, depth[:, None]], axis=1) - expected) / similarity.scale * 1000
    return {"sideways and up": summary(np.linalg.norm(error[:, :2], axis=1)), "depth": summary(np.abs(error[:, 2]))}


def identity_face(model: FaceModel, prepared: Capture) -> PersonPoints:
    """Return the 68 vertices of the face model under the identity that was fitted."""
    return model.person(prepared.tracking.identity).pick(model.ibug68)


def surface_face(model: FaceModel, prepared: Capture) -> PersonPoints:
    """Return the 68 vertices on the capture's own surface (`face.npz`): the identity, moved to the landmarks.

    The table holds other vertices of the same mesh; how it differs from the bare identity is smooth, and is taken
    from the nearest of them.
    """
    person, table = model.person(prepared.tracking.identity), prepared.face
    skin = table.part == FacePart.SKIN
    bare, face = person.pick(model.table_vertices[skin]), person.pick(model.ibug68)
    weights = _nearest(face.neutral, bare.neutral)
    moved = weights @ (table.points[skin] - bare.neutral)
    deltas = weights @ (table.deltas[:, skin].astype(np.float32) - bare.expressions)
    neutral, expressions = (face.neutral + moved).astype(np.float32), (face.expressions + deltas).astype(np.float32)
    return PersonPoints(neutral, expressions, face.eye, face.eye_centres)


def vertex_errors_px(tracked: Tracked, face: PersonPoints) -> Array:
    """Return the distance [T, 68] of each fitted vertex from the true one, in pixels at 512."""
    return np.linalg.norm(tracked.fitted_68_px(face) - tracked.true_68_px(), axis=-1) * tracked.to_512


def matte_overlap(prepared: Capture, exact: Capture) -> Array:
    """Return [T] intersection over union of the mattes above one half, for all frames of the prepared capture."""
    twins, overlaps = true_frames(prepared, exact), []
    true = _mattes_of(exact, twins)
    for frame, (ours, theirs) in enumerate(zip(prepared.mattes(), true, strict=True)):
        clip = prepared.clips[prepared.clip_of(frame)]
        a, b = ours > 127, _cropped(theirs, clip.crop.x, clip.crop.y, clip.crop.size, prepared.size) > 127
        overlaps.append((a & b).sum() / max(1, (a | b).sum()))
    return np.array(overlaps)


def correlations(found: Array, true: Array) -> dict[str, float | None]:
    """Return the correlation of each coefficient [T, 52] with the truth, None where the truth hardly moves it.

    `blink` is that of both lids' mean.
    """
    columns = {name: (found[:, i], true[:, i]) for i, name in enumerate(ARKIT_NAMES)}
    lids = [ARKIT_NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    columns["blink"] = found[:, lids].mean(1), true[:, lids].mean(1)
    return {name: correlation(*pair) for name, pair in columns.items()}


def correlation(found: Array, true: Array) -> float | None:
    """Return Pearson's correlation of two curves [T], None where the truth hardly moves; 0 where only the other rests.

    >>> correlation(np.array([0.0, 0.2, 0.4]), np.array([0.1, 0.2, 0.3]))
    1.0
    """
    if true.std() < LEAST_DEVIATION:
        return None
    return 0.0 if found.std() == 0 else round(float(np.corrcoef(found, true)[0, 1]), 12)


def gaze_errors(found: Array, true: Array) -> dict[str, Any]:
    """Return how far the eyeballs' directions in the head are apart, degrees, and how their angles correlate."""
    directions = [
        np.stack([eye_rotation(expression, side)[..., 2] for side in ("Left", "Right")], 1).mean(1)
        for expression in (found, true)
    ]
    ours, theirs = (d / np.linalg.norm(d, axis=-1, keepdims=True) for d in directions)
    yaw, pitch = ([np.degrees(np.arctan2(d[:, axis], d[:, 2])) for d in (ours, theirs)] for axis in (0, 1))
    apart = 2 * np.degrees(np.arcsin(np.clip(np.linalg.norm(ours - theirs, axis=1) / 2, 0, 1)))
    return {"error_deg": summary(apart), "yaw": correlation(*yaw), "pitch": correlation(*pitch)}


def summary(values: Array) -> dict[str, float]:
    """Return median, mean and 95th percentile."""
    return {"median": float(np.median(values)), "mean": float(np.mean(values)), "p95": float(np.percentile(values, 95))}


def _by_group(errors: Array) -> dict[str, Any]:
    """Summarise errors [T, 68]: each frame's mean over the vertices, then over frames; and by group."""
    groups = {name: summary(errors[:, members].mean(1)) for name, members in GROUPS.items()}
    return {"all": summary(errors.mean(1)), **groups}


def _clip_figures(
    tracked: Tracked, number: int, turn: dict[str, Array], surface: Array, overlap: Array,
    expression: tuple[Array, Array],
) -> dict[str, Any]:  # fmt: skip
    clip = tracked.prepared.clips[number]
    here = (tracked.frames >= clip.first) & (tracked.frames < clip.end)
    if not here.any():
        return {"name": clip.name, "tracked_frames": 0}
    jaw = ARKIT_NAMES.index("jawOpen")
    return {
        "name": clip.name, "emotion": clip.emotion, "tracked_frames": int(here.sum()),
        "rotation_deg": {name: float(np.median(errors[here])) for name, errors in turn.items()},
        "vertices68_px_at_512": float(np.median(surface[here].mean(1))),
        "matte_iou": float(np.median(overlap[clip.first : clip.end])),
        "jawOpen": correlation(expression[0][here, jaw], expression[1][here, jaw]),
        "focal_px": camera_in_source(clip, tracked.prepared.size).focal_px,
    }  # fmt: skip


def _angle_deg(a: Array, b: Array) -> Array:
    """Return the angle [T] between rotations, exact for small ones: |a - b| is 2 sqrt(2) sin(angle / 2)."""
    chord = np.linalg.norm((a.astype(float) - b).reshape(len(a), -1), axis=1)
    return np.degrees(2 * np.arcsin(np.clip(chord / np.sqrt(8), 0, 1)))


def _nearest(places: Array, points: Array) -> NDArray[np.float32]:
    """Return weights [P, Q]: each place's nearest points, by the inverse of their squared distance."""
    squared = ((places[:, None] - points) ** 2).sum(-1)
    weights = 1 / (squared + 1e-12)
    weights[squared > np.sort(squared, axis=1)[:, _NEIGHBOURS - 1 : _NEIGHBOURS]] = 0
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _mattes_of(exact: Capture, twins: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    """Yield the true mattes of frames, which come in stretches that run on."""
    starts = [0, *(np.flatnonzero(np.diff(twins) != 1) + 1).tolist(), len(twins)]
    for first, end in zip(starts[:-1], starts[1:], strict=True):
        yield from exact.mattes(int(twins[first]), int(twins[end - 1]) + 1)


def _cropped(picture: NDArray[np.uint8], x: float, y: float, edge: float, size: int) -> NDArray[Any]:
    """Return a square of a picture as `prepare` cuts it: [size, size], outside is nothing."""
    if (x, y, edge, size) == (0, 0, picture.shape[0], picture.shape[1]):
        return picture
    scale = size / edge
    matrix = np.array([[scale, 0, (0.5 - x) * scale - 0.5], [0, scale, (0.5 - y) * scale - 0.5]])
    return cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR)
