"""Make a capture of folders in the RAD-NeRF layout, one clip a folder.

What the layout lacks comes from the sidecar of our own export where there is one, else from the steps of `prepare`, run
over the pictures. The work is done in `<name>.unfinished`; a run that was stopped goes on at its first unfinished step.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf import __version__, assets
from aednerf.capture import picture_steps, rad_nerf_tracking, tracking_steps
from aednerf.capture import rad_nerf_layout as layout
from aednerf.capture.capture import FRAMES_NAME, MATTE_NAME, PARTS_NAME, Capture, data_files
from aednerf.capture.clip import Clip
from aednerf.capture.face_table import FaceTable
from aednerf.capture.job import WORK, Job
from aednerf.capture.manifest import ClipRecord, Manifest, Source, clip_names, is_capture
from aednerf.capture.rad_nerf_folder import RadNerfFolder, Tracking, find_folders
from aednerf.capture.rad_nerf_masks import labels_of
from aednerf.capture.rad_nerf_plan import ImportPlan, Masks, check, emotion_of, notes_on
from aednerf.capture.rad_nerf_sidecar import moved
from aednerf.capture.report import write_report
from aednerf.capture.step_log import LOG_NAME, StepLog
from aednerf.capture.survey import ClipSurvey
from aednerf.capture.unfinished import explained_failures, put_in_place, require_replaceable, unfinished_name
from aednerf.core.errors import InputError
from aednerf.core.files import read_json, sha256_of, write_json
from aednerf.core.progress import Progress, silent
from aednerf.core.units import FPS, SAMPLES_PER_FRAME
from aednerf.face.model import FaceModel
from aednerf.face.person import person_mesh
from aednerf.media.audio import load_audio, write_wav
from aednerf.media.image import read_image, write_image
from aednerf.media.video import LosslessGrayWriter, VideoWriter

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Imported:
    """What an import made."""

    capture: Capture
    notes: tuple[str, ...]
    """What the user should know about it, one line each."""


def import_rad_nerf(
    folders: Sequence[Clip | str | Path], out: str | Path, tracking: Tracking = "auto", masks: Masks = "given",
    allow_missing: bool = False, consent: str = "", force: bool = False, progress: Progress = silent,
) -> Imported:  # fmt: skip
    """Make a capture of one person from folders in the RAD-NeRF layout.

    Args:
        folders: the folders, each with the emotion that it shows or not (`data/me:happy:0.5`); one that holds several
            folders stands for all of them.
        out: the capture to make.
        tracking: `auto` takes everything from an export's sidecar, with the poses of the transforms, and tracks the
            face anew where there is no sidecar; `given` keeps the folder's poses and tracks the rest; `own` tracks all.
        masks: `given` takes parts, alpha and background from the folder; `own` cuts the person out anew.
        allow_missing: count pictures that lack landmarks or a pose as frames without a face.
        consent: what the person agreed to; by default what the sidecar says.
        force: replace a finished capture.
        progress: is told how far each step is.

    Raises:
        InputError: a folder or an option cannot be used, or the capture exists already.
        MachineError: the machine failed, by a full disk for example; run again to go on.
    """
    out = Path(out)
    require_replaceable(out, force, is_capture, "capture")
    found = find_folders(folders, tracking, allow_missing)
    if tracking == "auto" and any(each.sidecar is None for each in found):
        tracking = "own"
        found = find_folders(folders, tracking, allow_missing)
    names = clip_names([Path(f"{each.sidecar.clip.name if each.sidecar else each.path.resolve().name}.x")
                        for each in found])  # fmt: skip
    consents = [each.sidecar.consent for each in found if each.sidecar and each.sidecar.consent]
    plan = ImportPlan(found, names, tracking, masks, consent or (consents[0] if consents else ""), progress)
    check(plan)
    folder = unfinished_name(out)
    with explained_failures(folder):
        _run_steps(plan, folder)
        put_in_place(folder, out)
        shutil.rmtree(out / WORK, ignore_errors=True)
        (out / LOG_NAME).unlink(missing_ok=True)
    return Imported(Capture.open(out), tuple(note for each in found for note in each.notes) + tuple(notes_on(plan)))


def _run_steps(plan: ImportPlan, folder: Path) -> None:
    """Run what is not done yet."""
    log = StepLog(folder)
    inputs: dict[str, Any] = {
        "version": __version__, "folders": [_fingerprint(each) for each in plan.folders], "names": list(plan.names),
        "tracking": plan.tracking,
    }  # fmt: skip
    log.run("frames", inputs, lambda: _write_frames(plan, folder))
    log.run("sound", {}, lambda: _write_sound(plan, folder))
    survey_path = folder / WORK / "survey.json"
    log.run("survey", {}, lambda: write_json(survey_path, [each.to_json() for each in _surveys(plan, folder)]))
    job = plan.job(folder, [ClipSurvey.from_json(value) for value in read_json(survey_path)])
    log.run("tracking", {}, lambda: rad_nerf_tracking.run(job, plan.folders, plan.tracking))
    log.run("masks", {"masks": plan.masks}, lambda: _write_masks(plan, job))
    if plan.tracking != "auto":
        log.run("posture", {}, lambda: tracking_steps.code_posture(job))
    emotions = [list(emotion_of(each)) for each in plan.folders]
    log.run("report", {"consent": plan.consent, "emotions": emotions}, lambda: _finish(plan, job))


def _fingerprint(folder: RadNerfFolder) -> list[Any]:
    """Return what changes when a file of the folder does, and what was made of it."""
    files = sorted(path for path in folder.path.rglob("*") if path.is_file())
    listing = [(str(path.relative_to(folder.path)), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    digest = hashlib.sha256(repr(listing).encode()).hexdigest()
    return [str(folder.path.resolve()), digest, folder.missing.tolist(), folder.emotion]


def _write_frames(plan: ImportPlan, folder: Path) -> None:
    """Write frames.mp4; where a frame has no picture, the last one stays, so that nothing after it shifts."""
    done, total = 0, sum(each.n_frames for each in plan.folders)
    folder.mkdir(parents=True, exist_ok=True)
    crf, keyframe_s = picture_steps.CRF, picture_steps.KEYFRAME_S
    with VideoWriter(folder / FRAMES_NAME, plan.size, plan.size, crf=crf, keyframe_s=keyframe_s) as writer:
        for each in plan.folders:
            numbers = each.numbers()
            image = each.picture(int(numbers[numbers >= 0][0]))[..., :3]
            for number in numbers:
                if number >= 0:
                    image = each.picture(int(number))[..., :3]
                writer.write(image)
                done += 1
                plan.progress("frames", done, total)


def _write_sound(plan: ImportPlan, folder: Path) -> None:
    """Write each clip's sound, as long as its frames; a folder without sound, or a silent one, gets none."""
    for each, name in zip(plan.folders, plan.names, strict=True):
        own = each.path / layout.SOUND_NAME
        path = each.sidecar.audio if each.sidecar else own if own.is_file() else None
        target, length = folder / "audio" / f"{name}.wav", each.n_frames * SAMPLES_PER_FRAME
        target.unlink(missing_ok=True)
        samples = np.zeros(0, np.float32) if path is None else load_audio(path, max_s=each.n_frames / FPS)[:length]
        if len(samples) and np.abs(samples).max() > picture_steps.SILENCE:
            write_wav(target, np.pad(samples, (0, length - len(samples))))


def _surveys(plan: ImportPlan, folder: Path) -> list[ClipSurvey]:
    is_heard = [(folder / "audio" / f"{name}.wav").is_file() for name in plan.names]
    if not plan.has_sidecars:
        return rad_nerf_tracking.survey_folders(folder / FRAMES_NAME, plan.folders, is_heard, plan.progress)
    return [
        rad_nerf_tracking.plain_survey(each, each.sidecar.clip.cuts if each.sidecar else (), heard)
        for each, heard in zip(plan.folders, is_heard, strict=True)
    ]


def _write_masks(plan: ImportPlan, job: Job) -> None:
    """Write mattes, parts and plates: the folders' own, or cut out anew."""
    if plan.masks == "own":
        picture_steps.cut_out_person(job)
        return
    (job.folder / "background").mkdir(exist_ok=True)
    with (
        LosslessGrayWriter(job.folder / MATTE_NAME, job.size, job.size) as mattes,
        LosslessGrayWriter(job.folder / PARTS_NAME, job.size, job.size) as parts,
    ):
        for index, folder in enumerate(plan.folders):
            _write_plates(job, index, folder)
            for done, (alpha, labels) in enumerate(_given_masks(folder), start=job.ranges[index][0] + 1):
                mattes.write(alpha)
                parts.write(labels)
                job.progress("masks", done, job.n_frames)
    nothing = np.full(len(plan.folders), np.nan)
    job.save("backdrop", seen=nothing, motion=nothing)


def _given_masks(folder: RadNerfFolder) -> Iterator[tuple[Bytes, Bytes]]:
    """Yield alpha and part labels of each frame of the clip; without alpha, whatever is a part is opaque."""
    nothing = np.zeros((folder.window.edge,) * 2, np.uint8)
    has_alpha = (folder.path / layout.ALPHA).is_dir()
    for number in folder.numbers().tolist():
        if number < 0:
            yield nothing, nothing
            continue
        parsing = folder.picture(number, layout.PARSING, ".png")
        labels = labels_of(parsing, folder.path / layout.PARSING / f"{number}.png")
        alpha = folder.picture(number, layout.ALPHA, ".png")[..., 0] if has_alpha else (labels > 0) * np.uint8(255)
        yield np.ascontiguousarray(alpha), labels


def _write_plates(job: Job, index: int, folder: RadNerfFolder) -> None:
    """Write the clean background of each shot of a clip."""
    names = [name for _, _, name in job.shots(index)]
    if folder.sidecar is not None:
        for name, path in zip(names, folder.sidecar.plates, strict=True):
            shutil.copyfile(path, job.folder / name)
        return
    plate = read_image(folder.path / layout.PLATE_NAME)[..., :3]
    if plate.shape[:2] != (folder.height, folder.width):
        raise InputError(
            f"{folder.path / layout.PLATE_NAME} is {plate.shape[1]}x{plate.shape[0]} pixels, the pictures are "
            f"{folder.width}x{folder.height}. Restore it, or add --masks own."
        )
    for name in names:
        write_image(job.folder / name, folder.window.of(plate))


def _finish(plan: ImportPlan, job: Job) -> None:
    """Write the tables, capture.json and the report."""
    plan.progress("report", 0, 1)
    tracking = tracking_steps.collect_tracking(job)
    tracking.save(job.folder)
    sidecar = plan.folders[0].sidecar
    if sidecar is not None:
        sidecar.face.save(job.folder)
    else:
        face = FaceModel.load(assets.find("ict_facekit"))
        (offsets,) = job.load("fit", "offsets")
        table = face.face_table(person_mesh(face, tracking.identity, offsets))
        FaceTable(table.points, table.deltas, table.part).save(job.folder)
    clips = tuple(_record(plan, job, index) for index in range(len(plan.folders)))
    options = {"imported": "rad-nerf", "tracking": plan.tracking, "masks": plan.masks, "size": plan.size}
    manifest = Manifest(plan.size, clips, consent=plan.consent, options=options)
    files = {name: (job.folder / name).stat().st_size for name in data_files(manifest)}
    replace(manifest, files=files).save(job.folder)
    write_report(Capture.open(job.folder))
    plan.progress("report", 1, 1)


def _record(plan: ImportPlan, job: Job, index: int) -> ClipRecord:
    """Describe one clip: the sidecar's record at its new place, or a new one."""
    folder, name, (first, end) = plan.folders[index], plan.names[index], job.ranges[index]
    emotion, intensity = emotion_of(folder)
    camera, audio = tracking_steps.cameras(job)[index], f"audio/{name}.wav"
    sound = audio if (job.folder / audio).is_file() else None
    own = {
        "name": name, "emotion": emotion, "intensity": intensity, "audio": sound,
        "focal_px": camera.focal_px, "cx": camera.cx, "cy": camera.cy,
    }  # fmt: skip
    if folder.sidecar is not None:
        return replace(moved(folder.sidecar.clip, first), **own)
    survey = job.surveys[index]
    source = Source(
        folder.path.resolve().name, sha256_of(folder.path / layout.TRAIN_NAME), width=folder.width,
        height=folder.height, fps=float(FPS), duration_s=folder.n_frames / FPS,
    )  # fmt: skip
    return ClipRecord(
        first=first, end=end, crop=rad_nerf_tracking.whole_crop(folder), source=source,
        cuts=tuple(first + cut for cut in survey.shots.cuts), n_others=survey.n_others,
        measured=tracking_steps.measured(job, index), **own,
    )  # fmt: skip
