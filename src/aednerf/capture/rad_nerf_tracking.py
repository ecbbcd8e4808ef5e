"""Track the face in the pictures of RAD-NeRF folders with the steps of `prepare`; given poses are kept if asked for.

Poses that came with a folder live in the head frame of another face model, usually Basel's. Between that frame and
ours lies one rigid motion and scale a clip, X_theirs = s Q X_ours + d, so that R_ours = R Q and t_ours = (R d + t) / s.
It is found roughly here, from the rigid landmarks, and exactly by the fit of the face (the gauge of `face.fit`). The
motion itself stays as it was given.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf import assets
from aednerf.capture import tracking_steps
from aednerf.capture.framing import FaceTrack
from aednerf.capture.job import Job
from aednerf.capture.manifest import Crop
from aednerf.capture.rad_nerf_folder import RadNerfFolder, Tracking
from aednerf.capture.shots import Shots
from aednerf.capture.survey import ClipSurvey, survey_pictures
from aednerf.capture.tracking import Tracking as TrackingTable
from aednerf.core.errors import InputError
from aednerf.core.ordered import thread_count
from aednerf.core.records import Camera
from aednerf.core.units import FPS
from aednerf.face.correspondence import landmark_points
from aednerf.face.landmarks import FaceDetector
from aednerf.face.model import FaceModel
from aednerf.face.pose import Poses, first_poses
from aednerf.face.topology import RIGID
from aednerf.media.frames import decode_frames
from aednerf.media.video import VideoInfo

Floats = NDArray[np.floating]

SAME_POSE = 1e-6
"""A pose of the transforms this near to the sidecar's is the sidecar's, which has all its digits."""

_ORIGIN_SD_M = 0.1
"""How far another face model's origin usually lies from ours; it decides where the motion cannot."""


def picture_info(folder: RadNerfFolder, has_audio: bool) -> VideoInfo:
    """Say what a folder's pictures are, as `media.video.probe` does of a video."""
    return VideoInfo(
        folder.width, folder.height, folder.n_frames / FPS, float(FPS), False, "mjpeg", "yuvj444p", 8, False, 0,
        has_audio, "bt601",
    )  # fmt: skip


def plain_survey(folder: RadNerfFolder, cuts: Sequence[int], has_audio: bool) -> ClipSurvey:
    """Return the survey of a folder whose tracking is known: all shots count, nobody is looked for."""
    starts = (0, *cuts)
    face = FaceTrack(np.zeros(1, np.int64), np.array([[0.0, 0.0, folder.window.edge, folder.window.edge]]))
    shots = Shots(starts, (True,) * len(starts))
    return ClipSurvey(folder.n_frames, picture_info(folder, has_audio), whole_crop(folder), face, 0, shots)


def whole_crop(folder: RadNerfFolder) -> Crop:
    """Return the kept square in pixels of the folder's pictures."""
    return Crop(folder.window.left, folder.window.top, folder.window.edge)


def survey_folders(
    frames_path: Any, folders: Sequence[RadNerfFolder], has_audio: Sequence[bool], progress: Any
) -> list[ClipSurvey]:
    """Look through the stored pictures of each folder for cuts and for the person, as `prepare` does.

    Args:
        frames_path: the video of all folders' kept squares in sequence.
        folders: what it was made of.
        has_audio: for each folder, whether it has sound.
        progress: a `core.progress.Progress`.
    """
    found, first = [], 0
    n_frames = sum(folder.n_frames for folder in folders)
    with contextlib.ExitStack() as stack:
        path = assets.find("face_landmarker")
        detectors = [stack.enter_context(FaceDetector(path)) for _ in range(thread_count())]
        for folder, is_heard in zip(folders, has_audio, strict=True):

            def tell(done: int, total: int, before: int = first) -> None:
                progress("survey", before + done, n_frames)

            images = decode_frames(frames_path, first, first + folder.n_frames)
            edge = folder.window.edge
            info = replace(picture_info(folder, is_heard), width=edge, height=edge)
            survey = survey_pictures(images, folder.path, info, detectors, None, "largest", tell)
            found.append(replace(survey, crop=Crop(0, 0, edge)))
            first += folder.n_frames
    return found


def run(job: Job, folders: Sequence[RadNerfFolder], tracking: Tracking) -> None:
    """Leave what the face does in `work`, as the steps of `prepare` do.

    Args:
        job: with the stored frames; its surveys are of the stored square.
        folders: one for each clip.
        tracking: `auto` takes it from the sidecars, which all folders have; `given` and `own` track it.
    """
    if tracking == "auto":
        restore(job, folders)
    else:
        track(job, folders, tracking == "given")


def restore(job: Job, folders: Sequence[RadNerfFolder]) -> None:
    """Take everything from the folders' sidecars, with the poses of the transforms."""
    tables = [restored(each) for each in folders]
    table = {
        name: np.concatenate([getattr(each, name) for each in tables])
        for name in ("landmarks_px", "rotation", "translation", "expression", "residual", "error_px")
    }
    cameras = [each.camera for each in folders]
    job.save("landmarks", points=table["landmarks_px"])
    job.save(
        "pose", focal_px=np.array([c.focal_px for c in cameras]), centre_px=np.array([(c.cx, c.cy) for c in cameras])
    )  # fmt: skip
    job.save(
        "fit", identity=tables[0].identity, expression=table["expression"], rotation=table["rotation"],
        translation=table["translation"], error_px=table["error_px"],
    )  # fmt: skip
    job.save("residual", residual=table["residual"])
    postures = [each.posture for each in tables]
    # Codes of several captures have nothing in common where they differ in length.
    is_one = len({posture.shape[1] for posture in postures}) == 1
    job.save("posture", posture=np.concatenate(postures) if is_one else np.zeros((job.n_frames, 0), np.float32))


def restored(folder: RadNerfFolder) -> TrackingTable:
    """Return the sidecar's tracking with the poses of the transforms, NaN where a frame has no picture.

    Args:
        folder: with a sidecar.
    """
    assert folder.sidecar is not None
    own, shown = folder.sidecar.tracking, folder.is_shown
    rotation, translation = folder.poses()
    is_same = np.abs(rotation - own.rotation).max((1, 2)) <= SAME_POSE
    is_same &= np.abs(translation - own.translation).max(1) <= SAME_POSE

    def blanked(rows: NDArray[Any]) -> NDArray[np.float32]:
        return np.where(shown.reshape(-1, *[1] * (rows.ndim - 1)), rows, np.nan).astype(np.float32)

    return TrackingTable(
        valid=shown, landmarks_px=blanked(own.landmarks_px),
        rotation=blanked(np.where(is_same[:, None, None], own.rotation, rotation)),
        translation=blanked(np.where(is_same[:, None], own.translation, translation)),
        expression=blanked(own.expression), residual=blanked(own.residual), posture=blanked(own.posture),
        error_px=blanked(own.error_px),
        identity=own.identity,
    )  # fmt: skip


def track(job: Job, folders: Sequence[RadNerfFolder], keep_poses: bool) -> None:
    """Run the steps of `prepare` that follow the face: landmarks, head pose, expression, residual code.

    Args:
        job: with the stored frames; its surveys are of the stored square.
        folders: one for each clip.
        keep_poses: take the folders' own poses and cameras instead of tracking the head.
    """
    tracking_steps.find_landmarks(job)
    forget(job, np.concatenate([folder.is_shown for folder in folders]))
    if keep_poses:
        take_poses(job, folders)
    else:
        tracking_steps.track_heads(job)
        tracking_steps.steady_heads(job)
    tracking_steps.fit_faces(job)
    tracking_steps.code_residual(job)


def forget(job: Job, is_shown: NDArray[np.bool_]) -> None:
    """Blank the landmarks of frames that have no picture of their own."""
    names = ("points", "depth", "scores", "transform")
    valid, *rows = job.load("landmarks", "valid", *names)
    valid = valid & is_shown
    blanked = {
        name: np.where(valid.reshape(-1, *[1] * (row.ndim - 1)), row, np.nan).astype(row.dtype)
        for name, row in zip(names, rows, strict=True)
    }
    job.save("landmarks", valid=valid, **blanked)


def take_poses(job: Job, folders: Sequence[RadNerfFolder]) -> None:
    """Keep the folders' poses, moved into our head frame, as the step "steady pose" would keep its own."""
    (points,) = job.load("landmarks", "points")
    neutral = landmark_points(FaceModel.load(assets.find("ict_facekit"))).person().neutral
    moved = [
        in_our_frame(Poses(*folder.poses()), points[first:end], neutral, folder.camera)
        for folder, (first, end) in zip(folders, job.ranges, strict=True)
    ]
    cameras = [folder.camera for folder in folders]
    job.save(
        "pose",
        rotation=np.concatenate([poses.rotation for poses in moved]),
        translation=np.concatenate([poses.translation for poses in moved]),
        focal_px=np.array([camera.focal_px for camera in cameras]),
        centre_px=np.array([(camera.cx, camera.cy) for camera in cameras]),
        figures=np.full((len(folders), 3), np.nan),
        focal_observable=np.ones(len(folders), bool),
        flags=np.array(["given"] * len(folders)),
    )


def in_our_frame(poses: Poses, landmarks_px: Floats, neutral: Floats, camera: Camera) -> Poses:
    """Move given poses into the head frame of our face model, by one rigid motion and scale for all frames.

    Args:
        poses: T head-to-camera poses in any head frame and unit; NaN rows where there is none.
        landmarks_px: [T, 478, 2] detected landmarks; NaN rows where there is no face.
        neutral: [478, 3] the landmarks on the mean face, metres.
        camera: of the pictures.

    Returns:
        The poses, moved; good to a few millimetres, the start of the fit.

    Raises:
        InputError: no frame has both, or the poses turn the face away from the camera.
    """
    seen = np.flatnonzero(poses.valid & np.isfinite(landmarks_px).all((1, 2)))
    if not len(seen):
        raise InputError("No frame has both a given pose and a detected face. Import with --tracking own.")
    rigid = list(RIGID)
    rough = first_poses(landmarks_px[seen][:, rigid].astype(float), neutral[rigid].astype(float), camera)
    given = poses[seen]
    left, _, right = np.linalg.svd(np.einsum("nji,njk->ik", given.rotation, rough.rotation))
    turn = left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right
    # t_rough = R d' + t s' with d' = d / s and s' = 1 / s, linear in the four; the origin's prior settles what a head
    # that hardly turns leaves open.
    rows = np.concatenate([given.rotation, given.translation[:, :, None]], 2).reshape(-1, 4)
    target = rough.translation.reshape(-1)
    noise = max(float(np.std(target - rows @ np.linalg.lstsq(rows, target, rcond=None)[0])), 1e-4)
    prior = np.diag([noise / _ORIGIN_SD_M] * 3 + [0.0])
    *shift, growth = np.linalg.lstsq(
        np.concatenate([rows, prior]), np.concatenate([target, np.zeros(4)]), rcond=None
    )[0]  # fmt: skip
    if growth <= 0:
        raise InputError(
            "The given poses put the face behind the camera; expected poses as RAD-NeRF writes them, with the face at "
            "negative z. Import with --tracking own."
        )
    return Poses(poses.rotation @ turn, poses.rotation @ np.array(shift) + poses.translation * growth)
