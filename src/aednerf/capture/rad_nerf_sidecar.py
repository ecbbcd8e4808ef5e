"""What a RAD-NeRF folder has no place for, in its folder `aednerf`: named and laid out as in a capture.

export.json             which of our frames each picture is, and where everything derived comes from
capture.json            the clip: emotion, camera, cuts, source, consent (its frames counted from 0)
tracking.npz            the exact tracking, one row a frame of the clip, frames without a picture included
face.npz                the person's surface
audio/<clip>.wav        the whole sound
background/<clip>.png   the plates, without loss
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf.capture.capture import Capture
from aednerf.capture.face_table import FACE_TABLE_NAME, FaceTable
from aednerf.capture.manifest import ClipRecord, Manifest, is_capture
from aednerf.capture.rad_nerf_layout import SIDECAR
from aednerf.capture.tracking import Tracking
from aednerf.core.errors import InputError
from aednerf.core.files import read_json, write_json

EXPORT_NAME = "export.json"
SCHEMA = 1


@dataclass(frozen=True)
class Sidecar:
    """What an export of ours says of one folder beyond the layout."""

    folder: Path
    """The sidecar's own folder."""

    clip: ClipRecord
    """The clip, its frames counted from 0."""

    size: int
    consent: str
    frames: NDArray[np.int64]
    """[N] the clip's frame that each picture shows, ascending."""

    tracking: Tracking
    """Of all frames of the clip."""

    face: FaceTable
    place: int
    """Where the first picture stood in the exported capture: the order of several clips."""

    @staticmethod
    def load(layout: Path) -> Sidecar | None:
        """Read the sidecar of a RAD-NeRF folder, or return None where there is none.

        Raises:
            InputError: it is damaged, or its parts disagree.
        """
        folder = layout / SIDECAR
        if not is_capture(folder):
            return None
        manifest = Manifest.load(folder)
        value = read_json(folder / EXPORT_NAME)
        tracking = Tracking.load(folder)
        clip = manifest.clips[0]
        try:
            if value["schema"] != SCHEMA:
                raise ValueError(f"schema {value['schema']}, this program reads {SCHEMA}")
            frames, place = np.array(value["clip_frames"], np.int64), int(value["capture_frames"][0])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise _damaged(folder, str(error)) from None
        is_ascending = frames.ndim == 1 and len(frames) > 0 and bool((np.diff(frames) > 0).all())
        if len(manifest.clips) != 1 or len(tracking) != clip.n_frames or not is_ascending:
            raise _damaged(folder, "its files disagree")
        if frames[0] < 0 or frames[-1] >= clip.n_frames or not tracking.valid[frames].all():
            raise _damaged(folder, "its frames are none of the clip's")
        face = FaceTable.load(folder)
        return Sidecar(folder, clip, manifest.size, manifest.consent, frames, tracking, face, place)

    @property
    def audio(self) -> Path | None:
        """The whole sound of the clip; None for a silent one."""
        return None if self.clip.audio is None else self.folder / self.clip.audio

    @property
    def plates(self) -> tuple[Path, ...]:
        """The plate of each shot."""
        return tuple(self.folder / name for name in self.clip.plates)


def write_sidecar(
    layout: Path, capture: Capture, clip_index: int, frames: NDArray[np.int64], record: Mapping[str, Any]
) -> None:
    """Write the folder `aednerf` of a RAD-NeRF folder.

    Args:
        layout: the RAD-NeRF folder.
        capture: what is exported.
        clip_index: which clip of it.
        frames: [N] the capture's frame that each picture shows.
        record: what else export.json shall say.
    """
    folder, clip = layout / SIDECAR, capture.clips[clip_index]
    folder.mkdir(exist_ok=True)
    rows_of(capture.tracking, slice(clip.first, clip.end)).save(folder)
    for name in (FACE_TABLE_NAME, *clip.plates, *([clip.audio] if clip.audio else [])):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(capture.path / name, folder / name)
    clip_frames = (frames - clip.first).tolist()
    value = {"schema": SCHEMA, **record, "capture_frames": frames.tolist(), "clip_frames": clip_frames}
    write_json(folder / EXPORT_NAME, value)
    manifest = Manifest(capture.size, (moved(clip, -clip.first),), consent=capture.manifest.consent)
    manifest.save(folder)


def moved(clip: ClipRecord, by: int) -> ClipRecord:
    """Return the clip as it stands `by` frames later in a capture."""
    return replace(clip, first=clip.first + by, end=clip.end + by, cuts=tuple(cut + by for cut in clip.cuts))


def rows_of(tracking: Tracking, rows: slice | NDArray[np.int64]) -> Tracking:
    """Return some rows of a tracking."""
    return replace(
        tracking, valid=tracking.valid[rows], landmarks_px=tracking.landmarks_px[rows],
        rotation=tracking.rotation[rows], translation=tracking.translation[rows],
        expression=tracking.expression[rows], residual=tracking.residual[rows], posture=tracking.posture[rows],
        error_px=tracking.error_px[rows],
    )  # fmt: skip


def _damaged(folder: Path, reason: str) -> InputError:
    return InputError(f"{folder / EXPORT_NAME} is damaged ({reason}). Export again, or import with --tracking own.")
