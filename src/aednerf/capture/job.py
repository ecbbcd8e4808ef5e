"""What the steps of one preparation share: the clips, where their frames stand, and the unfinished folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf.capture.capture import FRAMES_NAME
from aednerf.capture.clip import Clip
from aednerf.capture.manifest import plate_names
from aednerf.capture.survey import ClipSurvey
from aednerf.capture.tracking import read_arrays
from aednerf.core.files import atomic_path
from aednerf.core.progress import Progress
from aednerf.media.video import decode_frames

WORK = "work"
"""The folder, inside an unfinished capture, of what only later steps need."""


@dataclass(frozen=True)
class Job:
    """One preparation: what goes in, and the unfinished folder that it goes into."""

    folder: Path
    clips: Sequence[Clip]
    names: Sequence[str]
    """One name for each clip."""

    surveys: Sequence[ClipSurvey]
    size: int
    """Edge of the frames in pixels."""

    max_seconds: float | None
    progress: Progress

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The frames `[first, end)` of each clip."""
        ends = np.cumsum([survey.n_frames for survey in self.surveys]).tolist()
        return list(zip([0, *ends[:-1]], ends, strict=True))

    @property
    def n_frames(self) -> int:
        """How many frames all clips have together."""
        return self.ranges[-1][1]

    @property
    def setups(self) -> list[list[int]]:
        """The clips of each camera: those whose pictures and squares agree (`framing.shared_crops`)."""
        groups: dict[Any, list[int]] = {}
        for index, survey in enumerate(self.surveys):
            groups.setdefault((survey.info.width, survey.info.height, survey.crop), []).append(index)
        return list(groups.values())

    def frames(self, clip_index: int) -> Callable[[], Iterator[NDArray[np.uint8]]]:
        """Return a callable that reads the clip's frames from the start, as they are stored."""
        first, end = self.ranges[clip_index]
        return lambda: decode_frames(self.folder / FRAMES_NAME, first, end)

    def shots(self, clip_index: int) -> tuple[tuple[int, int, str], ...]:
        """Return the clip's shots: first and end frame of the capture, and the name of the background picture."""
        first, end = self.ranges[clip_index]
        edges = (first, *(first + cut for cut in self.surveys[clip_index].shots.cuts), end)
        names = plate_names(self.names[clip_index], len(edges) - 1)
        return tuple(zip(edges[:-1], edges[1:], names, strict=True))

    def kept(self) -> NDArray[np.bool_]:
        """Return [T] whether each frame belongs to a shot that is kept."""
        return np.concatenate([survey.shots.kept(survey.n_frames) for survey in self.surveys])

    def save(self, name: str, **arrays: Any) -> None:
        """Keep arrays for the later steps, atomically."""
        with atomic_path(self.folder / WORK / f"{name}.npz") as temporary:
            np.savez(temporary, **arrays)

    def load(self, name: str, *arrays: str) -> tuple[NDArray[Any], ...]:
        """Read arrays that an earlier step kept."""
        found = read_arrays(self.folder / WORK / f"{name}.npz", arrays)
        return tuple(found[array] for array in arrays)
