"""What an import of RAD-NeRF folders is to do: its folders and options, and whether they can make one capture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from aednerf import assets
from aednerf.capture import rad_nerf_layout as layout
from aednerf.capture.clip import Clip
from aednerf.capture.job import Job
from aednerf.capture.rad_nerf_folder import RadNerfFolder, Tracking
from aednerf.capture.rad_nerf_tracking import restored
from aednerf.capture.steps import LEAST_SIZE, MOST_SIZE
from aednerf.capture.survey import LEAST_SECONDS, ClipSurvey
from aednerf.core.errors import InputError
from aednerf.core.progress import Progress
from aednerf.core.units import FPS

Masks = Literal["given", "own"]


@dataclass(frozen=True)
class ImportPlan:
    """What goes into a capture, and how."""

    folders: Sequence[RadNerfFolder]
    names: Sequence[str]
    tracking: Tracking
    """`auto` only where every folder has a sidecar."""
    masks: Masks
    consent: str
    progress: Progress

    @property
    def has_sidecars(self) -> bool:
        return self.tracking == "auto"

    @property
    def size(self) -> int:
        return self.folders[0].window.edge

    def job(self, folder: Path, surveys: Sequence[ClipSurvey]) -> Job:
        """Return what the steps of `prepare` expect."""
        clips = [Clip(each.path, *emotion_of(each)) for each in self.folders]
        return Job(folder, clips, self.names, surveys, self.size, None, self.progress)


def check(plan: ImportPlan) -> None:
    """Raise where the folders cannot make one capture, before anything is written.

    Raises:
        InputError: they differ in size or person, are too short, or lack the masks that shall be taken.
    """
    folders, size = plan.folders, plan.size
    if other := [each for each in folders if each.window.edge != size]:
        raise InputError(
            f"{folders[0].path} has pictures of {size} pixels, {other[0].path} of {other[0].window.edge}: a capture "
            "has one size. Import them one by one."
        )
    if not LEAST_SIZE <= size <= MOST_SIZE:
        raise InputError(
            f"{folders[0].path} has pictures of {size} pixels; expected {LEAST_SIZE} to {MOST_SIZE}. Resize the video "
            "and make the folder again."
        )
    for each in folders:
        sidecar = each.sidecar
        if sidecar and sidecar.size != size:
            raise InputError(
                f"{each.path} has pictures of {size} pixels, its {layout.SIDECAR}/capture.json says {sidecar.size}. "
                "Export again, or import with --tracking own."
            )
        if not each.is_shown.any():
            raise InputError(f"{each.path} has no picture with landmarks and a pose. Restore them.")
        if not plan.has_sidecars and each.n_frames < LEAST_SECONDS * FPS:
            raise InputError(
                f"{each.path} has {each.n_frames} pictures; expected at least {LEAST_SECONDS * FPS:.0f}, and 750 or "
                "more for a good avatar."
            )
    _check_one_person(plan)
    if plan.masks == "given":
        for each in folders:
            _require_masks(each)
    needed = [] if plan.has_sidecars else ["face_landmarker", "ict_facekit"]
    for name in [*needed, *(["ict_facekit", "selfie_segmenter"] if plan.masks == "own" else [])]:
        assets.find(name, plan.progress)


def _check_one_person(plan: ImportPlan) -> None:
    sidecars = [each.sidecar for each in plan.folders if each.sidecar]
    if any(not np.array_equal(sidecar.tracking.identity, sidecars[0].tracking.identity) for sidecar in sidecars[1:]):
        raise InputError(
            "The folders come from different captures, each with its own fit of the face. A capture has one: import "
            "with --tracking own if they show the same person, else one by one."
        )


def _require_masks(folder: RadNerfFolder) -> None:
    """Raise unless the folder has a background, and parts (and, if any, alpha) for every picture."""
    shown = folder.numbers()[folder.is_shown]
    names = [layout.PARSING, *([layout.ALPHA] if (folder.path / layout.ALPHA).is_dir() else [])]
    for name in names:
        lost = [int(n) for n in shown if not (folder.path / name / f"{n}.png").is_file()]
        if lost:
            raise InputError(
                f"{folder.path / name} lacks {layout.named(lost, 'picture')} of {len(shown)}. Restore them, or add "
                "--masks own to cut the person out anew."
            )
    if folder.sidecar is None and not (folder.path / layout.PLATE_NAME).is_file():
        raise InputError(f"{folder.path / layout.PLATE_NAME} is missing. Restore it, or add --masks own.")


def emotion_of(folder: RadNerfFolder) -> tuple[str, float]:
    """Return the label that the user gave, else the sidecar's, else neutral."""
    if folder.emotion is not None:
        return folder.emotion
    return ("neutral", 1.0) if folder.sidecar is None else (folder.sidecar.clip.emotion, folder.sidecar.clip.intensity)


def notes_on(plan: ImportPlan) -> Iterator[str]:
    """Say what was decided about folders that the user may want otherwise."""
    for folder, name in zip(plan.folders, plan.names, strict=True):
        if plan.masks == "given" and not (folder.path / layout.ALPHA).is_dir():
            yield f"{name}: the layout has hard parts only, so hair has a hard edge; --masks own cuts it out softly."
        sound = folder.path / layout.SOUND_NAME
        if not sound.is_file():
            yield f"{name}: {layout.SOUND_NAME} is missing, so the clip is silent."
        if folder.sidecar is not None:
            poses, own = restored(folder), folder.sidecar.tracking
            edited = int((np.abs(poses.translation - own.translation) + np.abs(poses.rotation - own.rotation).max(2)
                          > 0)[poses.valid].any(1).sum())  # fmt: skip
            if edited:
                yield f"{name}: {edited} poses of the transforms differ from what was exported; the transforms' count."
