"""The steps that follow the person: landmarks, rigid pose, expression, residual code and posture code."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf import assets
from aednerf.capture.capture import FRAMES_NAME
from aednerf.capture.face_table import FacePart
from aednerf.capture.framing import box_distance
from aednerf.capture.job import Job
from aednerf.capture.manifest import Measured, train_end
from aednerf.capture.posture import read_posture
from aednerf.capture.survey import ClipSurvey
from aednerf.capture.tracking import Tracking
from aednerf.core.errors import InputError
from aednerf.core.ordered import ordered_map, thread_count
from aednerf.core.records import ARKIT_NAMES, Camera
from aednerf.face.correspondence import landmark_points
from aednerf.face.eye_motion import steady_eyes
from aednerf.face.fit import FaceFit
from aednerf.face.fit_pictures import fit_pictures
from aednerf.face.head_track import HeadTrack, track_head
from aednerf.face.landmarks import Detection, FaceDetector
from aednerf.face.model import FaceModel
from aednerf.face.moving_skin import MovingSkin
from aednerf.face.pose import Poses
from aednerf.face.residual import residual_code
from aednerf.media.video import decode_frames

LEAST_VALID_FRAMES = 25
"""A clip in which fewer frames show the person is refused."""

_UNBIASED = np.array([not name.startswith(("brow", "eyeBlink", "eyeSquint", "eyeWide")) for name in ARKIT_NAMES])
"""[52] whose scores the first fit starts at. The detector's brows and lids lie too high by a constant; fitted from
there the strong ones are cut off at 1, which tells less of how far a forehead moves. The coefficients that are kept
start at all scores: a real person's speech tells less of the others (`newsreader_tracking_trials.json`)."""


def find_landmarks(job: Job) -> None:
    """Detect the person's landmarks in every stored frame: `landmarks` with valid, points, depth, scores, transform."""
    detector = assets.find("face_landmarker")
    rows: list[Detection | None] = []
    with contextlib.ExitStack() as stack:
        detectors = [stack.enter_context(FaceDetector(detector)) for _ in range(thread_count())]
        for index, survey in enumerate(job.surveys):
            found = ordered_map([each.detect for each in detectors], job.frames(index)())
            for number, faces in enumerate(found):
                rows.append(_the_person(faces, survey, number, job.size))
                job.progress("landmarks", len(rows), job.n_frames)
    valid = np.array([row is not None for row in rows]) & job.kept()
    for clip, (first, end) in zip(job.clips, job.ranges, strict=True):
        if (n_valid := int(valid[first:end].sum())) < LEAST_VALID_FRAMES:
            raise InputError(
                f"{clip.path} shows the person's face in only {n_valid} of {end - first} frames; expected at least "
                f"{LEAST_VALID_FRAMES}. Use a clip in which the face is larger, lighter or more frontal."
            )
    sample = next(row for row in rows if row is not None)
    columns = {"points": "points_px", "depth": "depth", "scores": "scores", "transform": "transform"}
    arrays = {
        key: np.stack([
            np.full_like(getattr(sample, name), np.nan) if row is None or not is_valid else getattr(row, name)
            for row, is_valid in zip(rows, valid, strict=True)
        ])
        for key, name in columns.items()
    }  # fmt: skip
    job.save("landmarks", valid=valid, **arrays)


def _the_person(faces: list[Detection], survey: ClipSurvey, frame: int, size: int) -> Detection | None:
    """Choose, of the faces in a stored frame, the one that is where the survey saw the person."""
    crop = survey.crop
    corner = np.array([crop.x, crop.y, crop.x, crop.y])
    expected = (survey.face.expected(frame) - corner) * (size / crop.size)
    distances = [box_distance(expected, np.array(face.box_px)) for face in faces]
    if not distances or min(distances) >= 1.0:
        return None
    return faces[int(np.argmin(distances))]


def track_heads(job: Job) -> None:
    """Track the rigid head as if the face never moved: `first_pose`, as `steady_heads` saves `pose`."""
    _save_heads(job, "first_pose", "head pose", {})


def steady_heads(job: Job) -> None:
    """Track it again without what the expression moves the skin by, as a first fit tells: `pose`.

    It has rotation, translation, cameras and one row of figures a clip.
    """
    model = FaceModel.load(assets.find("ict_facekit"))
    fit = _fit(job, model, "first_pose", "first look", _UNBIASED)
    table = model.face_table(fit.identity)
    is_skin = table.part == FacePart.SKIN
    neutral, deltas = table.points[is_skin], table.deltas[:, is_skin].astype(np.float32)
    of_setup = {
        number: MovingSkin(neutral, deltas, fit.expression[rows], fit.fitted_poses[rows], camera)
        for number, setup in enumerate(job.setups)
        for rows, camera in [(_frame_numbers(job, setup), cameras(job, "first_pose")[setup[0]])]
    }
    _save_heads(job, "pose", "steady pose", of_setup)


def _save_heads(job: Job, name: str, step: str, skins: Mapping[int, MovingSkin]) -> None:
    """Track the heads, and save what was found under `name`.

    The clips of one camera are tracked as one recording with a cut between them: they show one head, so that a
    clip's expression cannot turn it, and together they tell the focal length better than each.
    """
    neutral = landmark_points(FaceModel.load(assets.find("ict_facekit"))).person().neutral
    setups, done = job.setups, [0.0] * len(job.setups)

    def track(number: int) -> HeadTrack:
        def tell(share: float) -> None:
            done[number] = share * len(_frame_numbers(job, setups[number]))
            job.progress(step, round(sum(done)), job.n_frames)

        return _track_setup(job, setups[number], neutral, skins.get(number), tell)

    heads = list(ordered_map([track] * min(thread_count(), len(setups)), range(len(setups))))
    rotation, translation = np.empty((job.n_frames, 3, 3)), np.empty((job.n_frames, 3))
    for setup, head in zip(setups, heads, strict=True):
        frames = _frame_numbers(job, setup)
        rotation[frames], translation[frames] = head.rotation, head.translation
    of_clip = [heads[number] for number in setup_numbers(job)]
    job.save(
        name, rotation=rotation, translation=translation,
        focal_px=np.array([head.focal_px for head in of_clip]),
        centre_px=np.array([(head.cx, head.cy) for head in of_clip]),
        figures=np.array([(head.track_error_px, head.jitter_deg, head.landmark_jitter_deg) for head in of_clip]),
        focal_observable=np.array([head.focal_observable for head in of_clip]),
        flags=np.array([" ".join(_clip_flags(job, index, head)) for index, head in enumerate(of_clip)]),
    )  # fmt: skip


def _track_setup(
    job: Job, setup: Sequence[int], neutral: NDArray[np.float32], skin: MovingSkin | None,
    progress: Callable[[float], None],
) -> HeadTrack:  # fmt: skip
    """Track the head through the clips of one camera."""
    valid, points = job.load("landmarks", "valid", "points")
    rows, cuts, start = _frame_numbers(job, setup), list[int](), 0
    for index in setup:
        cuts += [start, *(start + cut for cut in job.surveys[index].shots.cuts)]
        start += job.surveys[index].n_frames

    def frames() -> Iterator[NDArray[np.uint8]]:
        return itertools.chain.from_iterable(job.frames(index)() for index in setup)

    return track_head(
        frames, points[rows], valid[rows], neutral, (job.size, job.size), cuts=cuts[1:],
        still=None if skin is None else skin.stilled, progress=progress,
    )  # fmt: skip


def _frame_numbers(job: Job, setup: Sequence[int]) -> NDArray[np.int64]:
    """Return the frames of the clips of one camera, one clip after the other."""
    return np.concatenate([np.arange(*job.ranges[index]) for index in setup])


def _clip_flags(job: Job, index: int, head: HeadTrack) -> list[str]:
    """Return how a clip's tracking was special: cuts between clips are no cuts inside one."""
    has_cuts = bool(job.surveys[index].shots.cuts)
    return [flag for flag in head.flags if flag != "cuts" or has_cuts]


def fit_faces(job: Job) -> None:
    """Fit identity and expressions of all clips together: `fit` with identity, expression, poses and error."""
    fit = _fit(job, FaceModel.load(assets.find("ict_facekit")), "pose", "expression", np.ones(len(ARKIT_NAMES)))
    job.save(
        "fit", identity=fit.identity, offsets=fit.offsets, expression=steady_eyes(fit.expression, _uncut(job)),
        rotation=fit.poses.rotation, translation=fit.poses.translation, error_px=fit.error_px * (job.size / 512),
    )  # fmt: skip


def _fit(job: Job, model: FaceModel, poses: str, step: str, from_scores: NDArray[Any]) -> FaceFit:
    """Fit the face of all clips by the poses of that name, from the detector's scores times `from_scores` [52]."""
    landmarks, scores = job.load("landmarks", "points", "scores")
    rotation, translation = job.load(poses, "rotation", "translation")
    return fit_pictures(
        lambda: decode_frames(job.folder / FRAMES_NAME), landmarks, Poses(rotation, translation), cameras(job, poses),
        clip_numbers(job), landmark_points(model), scores * from_scores, setup_of=setup_numbers(job),
        progress=lambda share: job.progress(step, round(share * job.n_frames), job.n_frames),
    )  # fmt: skip


def _uncut(job: Job) -> list[tuple[int, int]]:
    """Return the stretches of frames between cuts, in sequence."""
    stretches = []
    for (first, end), survey in zip(job.ranges, job.surveys, strict=True):
        edges = [first, *(first + cut for cut in survey.shots.cuts), end]
        stretches += itertools.pairwise(edges)
    return stretches


def code_residual(job: Job) -> None:
    """Read the residual code off the mouth and the eyes of every frame: `residual`, its bases from training frames."""
    identity, offsets, rotation, translation = job.load("fit", "identity", "offsets", "rotation", "translation")
    face = landmark_points(FaceModel.load(assets.find("ict_facekit"))).person(identity)
    train_frames = np.concatenate([np.arange(first, train_end(first, end)) for first, end in job.ranges])
    poses = Poses(rotation, translation)

    def frames() -> Iterator[NDArray[np.uint8]]:
        for number, image in enumerate(decode_frames(job.folder / FRAMES_NAME), start=1):
            yield image
            job.progress("residual", number, job.n_frames)

    code, _ = residual_code(frames, poses, cameras(job), clip_numbers(job), face.neutral + offsets, train_frames)
    job.save("residual", residual=code)


def code_posture(job: Job) -> None:
    """Read off how the torso lies in every frame: `posture`, its components from training frames with a face."""
    (points,) = job.load("landmarks", "points")
    has_face = np.all(np.isfinite(points), axis=(1, 2))
    train_frames = np.concatenate([np.arange(first, train_end(first, end)) for first, end in job.ranges])
    code = read_posture(job.folder, job.n_frames, train_frames[has_face[train_frames]], job.progress)
    job.save("posture", posture=code)


def cameras(job: Job, poses: str = "pose") -> list[Camera]:
    """Return each clip's camera, once the head is tracked."""
    focal_px, centre_px = job.load(poses, "focal_px", "centre_px")
    return [
        Camera(float(focal), float(cx), float(cy), job.size, job.size)
        for focal, (cx, cy) in zip(focal_px, centre_px, strict=True)
    ]


def clip_numbers(job: Job) -> NDArray[np.int64]:
    """Return [T] the clip of each frame."""
    return np.repeat(np.arange(len(job.clips)), [end - first for first, end in job.ranges])


def setup_numbers(job: Job) -> list[int]:
    """Return the number of each clip's camera, in `job.setups`."""
    return [next(n for n, setup in enumerate(job.setups) if index in setup) for index in range(len(job.clips))]


def collect_tracking(job: Job) -> Tracking:
    """Put together what the steps found: one record a frame, all or nothing."""
    (landmarks,) = job.load("landmarks", "points")
    identity, expression, rotation, translation, error = job.load(
        "fit", "identity", "expression", "rotation", "translation", "error_px"
    )
    (residual,) = job.load("residual", "residual")
    (posture,) = job.load("posture", "posture")
    rows = [landmarks, rotation, translation, expression, residual, posture, error]
    valid = np.logical_and.reduce([np.isfinite(row.reshape(len(row), -1)).all(1) for row in rows])
    blanked = [np.where(valid.reshape(-1, *[1] * (row.ndim - 1)), row, np.nan).astype(np.float32) for row in rows]
    return Tracking(valid, *blanked, identity=identity.astype(np.float32))


def measured(job: Job, index: int) -> Measured:
    """Return what was measured on a clip on the way."""
    figures, observable, flags = job.load("pose", "figures", "focal_observable", "flags")
    seen, motion = job.load("backdrop", "seen", "motion")
    track, jitter, detector_jitter = (_rounded(figure, 4) for figure in figures[index])
    return Measured(
        track_error_px=track, jitter_deg=jitter, detector_jitter_deg=detector_jitter,
        is_focal_observable=bool(observable[index]), backdrop_seen=_rounded(seen[index], 4),
        backdrop_motion=_rounded(motion[index], 2), flags=tuple(str(flags[index]).split()),
    )  # fmt: skip


def _rounded(figure: float, digits: int) -> float | None:
    """Round a figure for a JSON file; None where it was not measured."""
    return round(float(figure), digits) if np.isfinite(figure) else None
