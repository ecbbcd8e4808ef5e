"""The figures of the protocol `emotion`, as JSON, as Markdown and as pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from aednerf.capture.charts import BLUE, INK, PAPER, write_text
from aednerf.core.files import write_json
from aednerf.evaluation.comparison import titled
from aednerf.evaluation.recognition import Confusion
from aednerf.evaluation.report import plain
from aednerf.evaluation.shifts import INTENSITIES
from aednerf.media.image import resize, write_image

Picture = NDArray[np.uint8]

CONFUSION_NAME = "confusion.png"
_SHOWN = (0, 3, 6, 10)

LEAST_SYNC_FRAMES = 50
"""Frames without which lips and sound cannot be compared."""
_TILE_PX, _CELL_PX, _MARGIN_PX = 160, 72, 150

NOTES = (
    "A shift is the mean of the expression's scores less that of the same speech without emotion; blinks and gaze do "
    "not count. Rendered and recorded pictures are read by the same detector (MediaPipe's blendshape scores), at the "
    "same size.",
    "cosine, length: the shift of the rendered speech at intensity 1 against that of the recording's own clips of the "
    "emotion, scaled to intensity 1. What the clips say differs from what the avatar says, which lowers both a little. "
    "(others'): the recording does not show the emotion; the mean of those of `--others` stands in.",
    "tracked: the cosine with the clips' shift as `prepare` fitted it. Scores and coefficients are not the same scale.",
    "Spearman: of eleven intensities with the shift's part along the recording's (along its own at intensity 1, where "
    "nobody shows the emotion: such a row says that an emotion shows, not which).",
    "delay, correlation: of the lips against the sound in frames (above 0: late), and of both at that delay; they need "
    f"{LEAST_SYNC_FRAMES} frames with a face.",
)


@dataclass(frozen=True)
class Sync:
    """How the lips go with the sound."""

    lag_frames: float
    correlation: float


@dataclass(frozen=True)
class EmotionFigures:
    """The figures of one emotion; NaN where one is not known."""

    label: str
    n_frames: int
    n_without_face: int
    is_recorded: bool
    cosine: float
    length_ratio: float
    cosine_tracked: float
    spearman: float
    along_by_intensity: tuple[float, ...]
    sync: Sync


@dataclass(frozen=True)
class EmotionReport:
    """What the protocol `emotion` found."""

    rows: tuple[EmotionFigures, ...]
    neutral_sync: Sync
    run: dict[str, Any] = field(default_factory=dict)
    confusion: Confusion | None = None
    """How a judge who knows other people takes the avatar."""

    own_confusion: Confusion | None = None
    """And the recording itself: what can be expected at best."""

    def row(self, label: str) -> EmotionFigures:
        """Return a row by its label."""
        return next(row for row in self.rows if row.label == label)

    def save(self, folder: Path) -> None:
        """Write `report.json` and `report.md`."""
        write_json(folder / "report.json", self.to_dict())
        (folder / "report.md").write_text(self.markdown(), encoding="utf-8")

    def draw(self, folder: Path) -> None:
        """Write `confusion.png`, where there is a judge."""
        found = [(self.confusion, "avatar"), (self.own_confusion, "recording")]
        pictures = [_matrix(each, f"{whose}: {each.accuracy:.2f} recognised") for each, whose in found if each]
        if pictures:
            height = max(picture.shape[0] for picture in pictures)
            grown = [np.pad(p, ((0, height - len(p)), (0, 0), (0, 0)), constant_values=255) for p in pictures]
            write_image(folder / CONFUSION_NAME, np.concatenate(grown, axis=1))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        judged = {"avatar": self.confusion, "recording": self.own_confusion}
        return plain({
            "intensities": INTENSITIES, "rows": [asdict(row) for row in self.rows],
            "neutral_sync": asdict(self.neutral_sync), "notes": NOTES, **self.run,
            "confusion": {whose: each.to_dict() for whose, each in judged.items() if each},
        })  # fmt: skip

    def markdown(self) -> str:
        """Return the report as Markdown tables."""
        lines = ["# Evaluation: emotions", ""]
        lines += [f"- {key}: `{json.dumps(plain(value), ensure_ascii=False)}`" for key, value in self.run.items()]
        lines += ["", "| emotion | frames | no face | cosine | length | tracked | Spearman | delay | correlation |"]
        lines += ["|---|---|---|---|---|---|---|---|---|"]
        for row in self.rows:
            cells = [_cell(value) for value in (row.cosine, row.length_ratio, row.cosine_tracked, row.spearman)]
            whose = "others'" if math.isfinite(row.cosine) else "not recorded"
            name = row.label if row.is_recorded else f"{row.label} ({whose})"
            lines.append(
                f"| {name} | {row.n_frames} | {row.n_without_face} | {' | '.join(cells)} | {_sync(row.sync)} |"
            )
        lines.append(f"| neutral | | | | | | | {_sync(self.neutral_sync)} |")
        for each, whose in ((self.confusion, "The avatar"), (self.own_confusion, "The recording itself")):
            if each is not None:
                lines += ["", f"## {whose}, judged by other people's faces: {each.accuracy:.2f} recognised "
                          f"(chance {1 / len(each.taken_for):.2f})", ""]  # fmt: skip
                lines += ["| shown | " + " | ".join(each.taken_for) + " |", "|---|" + "---|" * len(each.taken_for)]
                for label, counts in zip(each.shown, each.counts, strict=True):
                    lines.append(f"| {label} | " + " | ".join(map(str, counts)) + " |")
        return "\n".join([*lines, "", *(f"- {note}" for note in NOTES)]) + "\n"


class EmotionSheet:
    """A picture with one line for each emotion: the recording, and the avatar at rising intensity.

    Args:
        intensities: Of the pictures that will come.
    """

    def __init__(self, intensities: Sequence[float]) -> None:
        self._intensities = intensities
        self._lines: list[Picture] = []

    def add(self, label: str, pictures: Sequence[Picture], real: Picture | None) -> None:
        """Add a line: pictures at each intensity, and one of the recording or None."""
        tiles = [np.full_like(pictures[0], 128) if real is None else real, *(pictures[i] for i in _SHOWN)]
        titles = ["not recorded" if real is None else f"{label}, recorded", *(
            f"{label} {self._intensities[i]:g}" for i in _SHOWN)]  # fmt: skip
        self._lines.append(np.concatenate(
            [titled(resize(tile, _TILE_PX, _TILE_PX), title) for tile, title in zip(tiles, titles, strict=True)], axis=1
        ))  # fmt: skip

    def save(self, path: Path) -> None:
        """Write the sheet as PNG."""
        write_image(path, np.concatenate(self._lines))


def _matrix(confusion: Confusion, title: str) -> Picture:
    """Draw the shares of a confusion matrix, darker where larger."""
    rows, columns = confusion.counts.shape
    width, height = _MARGIN_PX + columns * _CELL_PX + 20, _MARGIN_PX // 2 + rows * _CELL_PX + 20
    canvas = np.full((height, max(width, 480), 3), PAPER, np.uint8)
    write_text(canvas, title, (10, 28))
    for column, label in enumerate(confusion.taken_for):
        write_text(canvas, label, (_MARGIN_PX + column * _CELL_PX + 4, _MARGIN_PX // 2 - 8), scale=0.38)
    for row, label in enumerate(confusion.shown):
        top = _MARGIN_PX // 2 + row * _CELL_PX
        write_text(canvas, label, (10, top + _CELL_PX // 2 + 6), scale=0.5)
        shares = confusion.counts[row] / max(1, confusion.counts[row].sum())
        for column, share in enumerate(shares):
            left = _MARGIN_PX + column * _CELL_PX
            colour = [int(round(paper + share * (blue - paper))) for paper, blue in zip(PAPER, BLUE, strict=True)]
            corner = (left + _CELL_PX - 3, top + _CELL_PX - 3)
            cv2.rectangle(canvas, (left, top), corner, colour, -1)
            ink = PAPER if share > 0.5 else INK
            write_text(canvas, f"{share:.2f}", (left + 16, top + _CELL_PX // 2 + 6), ink, 0.5)
    return canvas


def _sync(sync: Sync) -> str:
    return f"{_cell(sync.lag_frames)} | {_cell(sync.correlation)}"


def _cell(value: float) -> str:
    return "n/a" if math.isnan(value) else f"{value:.2f}"
