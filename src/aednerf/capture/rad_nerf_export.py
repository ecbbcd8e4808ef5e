"""Write a capture in the layout that RAD-NeRF, ER-NeRF, SyncTalk and TalkingGaussian train from.

Only frames with a face are written, numbered from 0 without gaps, because the peers number poses that way whatever
the files are called; `aednerf/export.json` tells which of our frames each picture is. `docs/rad-nerf.md` has every
decision.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf import __version__
from aednerf.capture import rad_nerf_layout as layout
from aednerf.capture import rad_nerf_signals as signals
from aednerf.capture.capture import Capture, data_files
from aednerf.capture.rad_nerf_pictures import write_pictures
from aednerf.capture.rad_nerf_sidecar import write_sidecar
from aednerf.capture.rad_nerf_task import JPEG_QUALITY, ExportTask, Parsing, save_array, valid_frames
from aednerf.capture.step_log import LOG_NAME, StepLog
from aednerf.capture.unfinished import explained_failures, put_in_place, require_replaceable, unfinished_name
from aednerf.core.errors import InputError
from aednerf.core.files import atomic_path, sha256_of
from aednerf.core.progress import Progress, silent
from aednerf.core.units import SAMPLES_PER_FRAME
from aednerf.media.audio import write_wav
from aednerf.media.image import write_image

_OFF_CENTRE_PX = 0.5


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    folders: tuple[Path, ...]
    """One for each clip."""

    notes: tuple[str, ...]
    """What the user should know about them, one line each."""


def export_rad_nerf(
    capture: Capture, out: str | Path, clip: str | None = None, audio_features: Path | None = None,
    parsing: Parsing = "rad-nerf", force: bool = False, progress: Progress = silent,
) -> Exported:  # fmt: skip
    """Write one folder a clip: `out` itself for a single clip, else `out/<clip>`.

    A run that was stopped goes on where it was when it is started again with the same options.

    Args:
        capture: what to export.
        out: the folder to make.
        clip: export only the clip of this name.
        audio_features: a .npy file [N, 16, 29] to write in place of our speech features; for a single clip.
        parsing: whose colours the part pictures have.
        force: replace an earlier export.
        progress: is told how far each step is.

    Raises:
        InputError: an option cannot be used, a clip shows no face, or the output exists already.
        MachineError: the machine failed, by a full disk for example; run again to go on.
    """
    out = Path(out)
    chosen = _chosen_clips(capture, clip)
    if audio_features is not None and len(chosen) > 1:
        raise InputError("One file of speech features belongs to one clip: name it with --clip.")
    require_replaceable(out, force, is_rad_nerf, "folder in the RAD-NeRF layout")
    folder = unfinished_name(out)
    tasks = [
        ExportTask(capture, index, folder if len(chosen) == 1 else folder / capture.clips[index].name,
              valid_frames(capture, index), audio_features, parsing, progress)
        for index in chosen
    ]  # fmt: skip
    with explained_failures(folder):
        _write(tasks, folder)
        put_in_place(folder, out)
        (out / LOG_NAME).unlink(missing_ok=True)
    folders = tuple(out / task.folder.relative_to(folder) for task in tasks)
    return Exported(folders, tuple(note for task in tasks for note in _notes(task)))


def is_rad_nerf(folder: Path) -> bool:
    """Say whether a folder is in the RAD-NeRF layout, or holds such folders."""
    return (folder / layout.TRAIN_NAME).is_file() or any(folder.glob(f"*/{layout.TRAIN_NAME}"))


def _chosen_clips(capture: Capture, clip: str | None) -> list[int]:
    names = [record.name for record in capture.clips]
    if clip is None:
        return list(range(len(names)))
    if clip not in names:
        raise InputError(f"{capture.path} has no clip {clip!r}. Its clips are: {', '.join(names)}.")
    return [names.index(clip)]


def _write(tasks: Sequence[ExportTask], folder: Path) -> None:
    """Run what is not done yet."""
    log, capture, first = StepLog(folder), tasks[0].capture, tasks[0]
    contents = {name: sha256_of(capture.path / name) for name in data_files(capture.manifest)}
    features = None if first.features is None else signals.features_record(first.features, False)
    inputs: dict[str, Any] = {
        "version": __version__, "capture": contents, "clips": [task.name for task in tasks],
        "features": features, "parsing": first.parsing,
    }  # fmt: skip
    log.run("start", inputs, lambda: shutil.rmtree(folder, ignore_errors=True))
    for task in tasks:
        log.run(f"signals {task.name}", {}, lambda task=task: _write_signals(task))
        log.run(f"pictures {task.name}", {}, lambda task=task: write_pictures(task))


def _write_signals(task: ExportTask) -> None:
    """Write all that is no picture of a frame, the refusable first."""
    capture, frames, folder = task.capture, task.frames, task.folder
    folder.mkdir(parents=True, exist_ok=True)
    clip, rows = task.clip, frames - task.clip.first
    sound = capture.audio(task.clip_index)
    samples = np.zeros(clip.n_frames * SAMPLES_PER_FRAME, np.float32) if sound is None else sound
    if task.features is not None:
        features = signals.load_features(task.features, clip.n_frames)
    elif sound is None:
        features = np.zeros((clip.n_frames, signals.WINDOW, signals.CHANNELS), np.float32)
    else:
        features = signals.own_features(samples, clip.n_frames)
    for name in layout.FEATURES_NAMES:
        save_array(folder / name, features[rows])
    write_wav(folder / layout.SOUND_NAME, _of_frames(samples, clip.n_frames)[rows].ravel())
    expression = capture.tracking.expression[frames]
    save_array(folder / layout.BLENDSHAPES_NAME, expression)
    signals.write_action_units(folder / layout.AU_NAME, expression)
    _write_poses(task)
    plate = capture.plate(_main_shot(capture, frames))
    write_image(folder / layout.PLATE_NAME, plate, JPEG_QUALITY)
    write_sidecar(folder, capture, task.clip_index, frames, _record(task))


def _of_frames(samples: NDArray[np.float32], n_frames: int) -> NDArray[np.float32]:
    """Return the sound [n] as one row of 640 samples a frame."""
    length = n_frames * SAMPLES_PER_FRAME
    return np.pad(samples[:length], (0, max(0, length - len(samples)))).reshape(n_frames, SAMPLES_PER_FRAME)


def _write_poses(task: ExportTask) -> None:
    """Write both transforms files, split where our own training ends, and track_params.pt."""
    import torch

    capture, frames = task.capture, task.frames
    tracking, camera = capture.tracking, task.camera
    n_train = task.n_train
    for name, part in ((layout.TRAIN_NAME, slice(0, n_train)), (layout.VAL_NAME, slice(n_train, len(frames)))):
        numbers, own = np.arange(len(frames))[part].tolist(), frames[part]
        layout.write_transforms(
            task.folder / name, camera, numbers, tracking.rotation[own], tracking.translation[own]
        )  # fmt: skip
    tensors = {
        "id": torch.zeros(1, 100),
        "exp": torch.zeros(len(frames), 79),
        "euler": torch.tensor(layout.euler_angles(tracking.rotation[frames]), dtype=torch.float32),
        "trans": torch.tensor(tracking.translation[frames] * layout.UNITS_PER_M, dtype=torch.float32),
        "focal": torch.tensor([camera.focal_px], dtype=torch.float32),
    }
    with atomic_path(task.folder / layout.TRACK_NAME) as temporary:
        torch.save(tensors, temporary)


def _main_shot(capture: Capture, frames: NDArray[np.int64]) -> int:
    """Return the shot that most of the frames belong to."""
    counts = [int(((frames >= shot.first) & (frames < shot.end)).sum()) for shot in capture.shots]
    return int(np.argmax(counts))


def _record(task: ExportTask) -> dict[str, Any]:
    n_train = task.n_train
    is_silent = task.clip.audio is None
    return {
        "program": f"aednerf {__version__}", "layout": "rad-nerf", "clip": task.name, "parsing": task.parsing,
        "n_pictures": len(task.frames), "train": [0, n_train], "val": [n_train, len(task.frames)],
        "audio_features": signals.features_record(task.features, is_silent),
        "au.csv": signals.AU_MARK, "bs.npy": "ARKit coefficients as tracked, in MediaPipe's order, not smoothed",
        "landmarks": "vertices of the synthetic mesh" if task.truth else "MediaPipe's nearest points",
        "teeth_mask": "projected teeth of the face model, between the lips",
        "track_params.pt": "id and exp are zero: there is no Basel face model here",
    }  # fmt: skip


def _notes(task: ExportTask) -> Iterator[str]:
    """Say what a user of the folder should know."""
    capture, frames = task.capture, task.frames
    clip, camera = task.clip, task.camera
    if n_lost := clip.n_frames - len(frames):
        yield (
            f"{task.name}: {n_lost} of {clip.n_frames} frames show no face and are left out, sound included; "
            f"{layout.SIDECAR}/export.json tells which of our frames each picture is."
        )
    if clip.audio is None and task.features is None:
        yield f"{task.name} is silent: its sound and speech features are all 0, so lips cannot be learned from it."
    if max(abs(camera.cx - capture.size / 2), abs(camera.cy - capture.size / 2)) > _OFF_CENTRE_PX:
        yield (
            f"{task.name}: the camera looks {camera.cx - capture.size / 2:+.1f}, {camera.cy - capture.size / 2:+.1f} "
            "px off the picture's centre, which TalkingGaussian does not read: its poses are off by that much."
        )
    if clip.cuts:
        yield f"{task.name} has cuts; the peers know one background a clip: all pictures stand on the longest shot's."
    if task.n_train in (0, len(frames)):
        yield f"{task.name}: one of the two parts, training and test, has no picture."
