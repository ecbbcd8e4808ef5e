"""Make a capture from videos, step by step; a run that was stopped goes on where it was.

The work is done in a folder beside the capture, `<name>.unfinished`, which takes the capture's name when all is done.
So a capture is there whole or not at all, and an old one stays until the new one is finished.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from aednerf import __version__, assets
from aednerf.capture import picture_steps, tracking_steps
from aednerf.capture.capture import Capture, data_files
from aednerf.capture.clip import Clip, as_clip
from aednerf.capture.face_table import FaceTable
from aednerf.capture.framing import shared_crops
from aednerf.capture.job import WORK, Job
from aednerf.capture.manifest import ClipRecord, Manifest, Source, clip_names, is_capture
from aednerf.capture.report import write_report
from aednerf.capture.step_log import LOG_NAME, StepLog
from aednerf.capture.survey import ClipSurvey, survey_clip
from aednerf.capture.unfinished import explained_failures, put_in_place, require_replaceable, unfinished_name
from aednerf.core.errors import InputError
from aednerf.core.files import read_json, sha256_of, write_json
from aednerf.core.ordered import thread_count
from aednerf.core.progress import Progress, silent
from aednerf.face.landmarks import FaceDetector
from aednerf.face.model import FaceModel
from aednerf.face.person import person_mesh

LEAST_SIZE, MOST_SIZE = 64, 2048
"""The frames' edge must lie in this range, in pixels."""

STEPS: tuple[tuple[str, Callable[[Job], None]], ...] = (
    ("frames", picture_steps.write_frames),
    ("landmarks", tracking_steps.find_landmarks),
    ("first pose", tracking_steps.track_heads),
    ("steady pose", tracking_steps.steady_heads),
    ("expression", tracking_steps.fit_faces),
    ("residual", tracking_steps.code_residual),
    ("mattes", picture_steps.cut_out_person),
    ("posture", tracking_steps.code_posture),
    ("sound", picture_steps.write_sound),
)
"""The steps between the survey of the clips and the finished capture; each reads what those before it wrote."""


def prepare(
    clips: Sequence[Clip | str | Path], out: str | Path, size: int = 512, max_seconds: float | None = None,
    face: str = "largest", consent: str = "", force: bool = False, progress: Progress = silent,
) -> Capture:  # fmt: skip
    """Make a capture from videos of one person.

    A run that was stopped goes on at its first unfinished step when it is started again with the same clips and
    options; with others, the steps that they concern start again.

    Args:
        clips: the recordings, each with the emotion that it shows, or in short form (`me.mp4:happy:0.5`).
        out: the capture's folder.
        size: edge of the square frames in pixels, even.
        max_seconds: how much of each clip counts, from its start; None for all.
        face: `largest`, or a number from 1 that counts the people from left to right.
        consent: what the person agreed to.
        force: replace a finished capture.
        progress: is told how far each step is.

    Returns:
        The finished capture.

    Raises:
        InputError: a recording or an option cannot be used, or the capture exists already.
        MachineError: the machine failed, by a full disk for example; run again to go on.
    """
    recordings, out = [as_clip(clip) for clip in clips], Path(out)
    _check(recordings, size, max_seconds)
    require_replaceable(out, force, is_capture, "capture")
    for name in ("face_landmarker", "ict_facekit", "selfie_segmenter"):
        assets.find(name, progress)
    folder = unfinished_name(out)
    with explained_failures(folder):
        put_in_place(_run_steps(recordings, folder, size, max_seconds, face, consent, progress), out)
        shutil.rmtree(out / WORK, ignore_errors=True)
        (out / LOG_NAME).unlink(missing_ok=True)
    return Capture.open(out)


def _check(clips: Sequence[Clip], size: int, max_seconds: float | None) -> None:
    if not clips:
        raise InputError("Expected at least one video, got none.")
    if size % 2 or not LEAST_SIZE <= size <= MOST_SIZE:
        raise InputError(f"--size must be an even number from {LEAST_SIZE} to {MOST_SIZE}, got {size}.")
    if max_seconds is not None and not max_seconds > 0:
        raise InputError(f"--max-seconds must be above 0, got {max_seconds}.")
    for clip in clips:
        if not clip.path.is_file():
            kind = "is a folder" if clip.path.is_dir() else "does not exist"
            raise InputError(f"{clip.path} {kind}; expected a video file.")


def _run_steps(
    clips: Sequence[Clip], folder: Path, size: int, max_seconds: float | None, face: str, consent: str,
    progress: Progress,
) -> Path:  # fmt: skip
    """Run what is not done yet, and return the folder of the finished capture."""
    digests = [sha256_of(clip.path) for clip in clips]
    log = StepLog(folder)
    survey_path = folder / WORK / "survey.json"
    inputs: dict[str, Any] = {"version": __version__, "sources": digests, "max_seconds": max_seconds, "face": face}
    log.run("survey", inputs, lambda: write_json(survey_path, _survey(clips, max_seconds, face, progress)))
    surveys = [ClipSurvey.from_json(value) for value in read_json(survey_path)]
    names = clip_names([clip.path for clip in clips])
    job = Job(folder, clips, names, surveys, size, max_seconds, progress)
    inputs = {"size": size, "names": names}
    for name, step in STEPS:
        log.run(name, inputs, lambda step=step: step(job))
        inputs = {}
    options = {"size": size, "max_seconds": max_seconds, "face": face}
    inputs = {"consent": consent, "emotions": [[clip.emotion, clip.intensity] for clip in clips]}
    log.run("report", inputs, lambda: _finish(job, digests, options, consent))
    return folder


def _survey(clips: Sequence[Clip], max_seconds: float | None, face: str, progress: Progress) -> list[dict[str, Any]]:
    path = assets.find("face_landmarker")
    found: list[ClipSurvey] = []
    with contextlib.ExitStack() as stack:
        detectors = [stack.enter_context(FaceDetector(path)) for _ in range(thread_count())]
        for clip in clips:

            def tell(done: int, total: int, note: str = clip.path.name) -> None:
                progress("survey", done, total, note)

            found.append(survey_clip(clip, detectors, max_seconds, face, tell))
    crops = shared_crops([each.crop for each in found], [(each.info.width, each.info.height) for each in found])
    return [replace(each, crop=crop).to_json() for each, crop in zip(found, crops, strict=True)]


def _finish(job: Job, digests: Sequence[str], options: dict[str, Any], consent: str) -> None:
    """Write the tables, capture.json and the report."""
    job.progress("report", 0, 1)
    tracking = tracking_steps.collect_tracking(job)
    tracking.save(job.folder)
    face = FaceModel.load(assets.find("ict_facekit"))
    (offsets,) = job.load("fit", "offsets")
    table = face.face_table(person_mesh(face, tracking.identity, offsets))
    FaceTable(table.points, table.deltas, table.part).save(job.folder)
    clips = tuple(_record(job, index, digests[index]) for index in range(len(job.clips)))
    manifest = Manifest(job.size, clips, consent=consent, options=options)
    files = {name: (job.folder / name).stat().st_size for name in data_files(manifest)}
    replace(manifest, files=files).save(job.folder)
    write_report(Capture.open(job.folder))
    job.progress("report", 1, 1)


def _record(job: Job, index: int, digest: str) -> ClipRecord:
    clip, survey, (first, end) = job.clips[index], job.surveys[index], job.ranges[index]
    camera, name, info = tracking_steps.cameras(job)[index], job.names[index], survey.info
    audio = f"audio/{name}.wav"
    return ClipRecord(
        name=name, first=first, end=end, emotion=clip.emotion, intensity=clip.intensity,
        audio=audio if (job.folder / audio).is_file() else None, crop=survey.crop,
        focal_px=camera.focal_px, cx=camera.cx, cy=camera.cy,
        source=Source(
            clip.path.name, digest, width=info.width, height=info.height, fps=info.fps, duration_s=info.duration_s,
            is_variable_rate=info.is_variable_rate, is_hdr=info.is_hdr, bit_depth=info.bit_depth,
        ),
        cuts=tuple(first + cut for cut in survey.shots.cuts), n_others=survey.n_others,
        measured=tracking_steps.measured(job, index),
    )  # fmt: skip
