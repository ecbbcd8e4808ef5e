"""The figures of the protocol `view`, as JSON and as Markdown."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aednerf.core.files import write_json
from aednerf.evaluation.halo import OUT_OF_FOCUS_PX, RING_PX, SEAM_PX
from aednerf.evaluation.report import plain

OWN_CAMERA = "recording's own camera"

NOTES = (
    "PSNR and SSIM are over the pixels that the true picture labels as head with hair (part 1); the torso is left out, "
    "since an avatar's is a flat picture that stays where the recording's camera saw it.",
    "Both pictures stand before the true recording's plate. Per frame, then the mean over the frames.",
    f"`{OWN_CAMERA}`: the test frames, which were not trained on, against the recording as it is stored (H.264).",
    "Other rows: every 25th moment from a camera that recorded nothing to train on, against a picture without loss. "
    "The moments themselves were mostly trained on from the recording's camera; `test` counts only those of its test "
    "part.",
    f"halo: the mean colour error in 1/255 in a ring of {RING_PX} pixels on the head's edge towards the background, "
    "with the avatar and the true person before saturated green and white. It holds the outline's error too: behind "
    f"the stroke is that of the true person themselves, blurred by {OUT_OF_FOCUS_PX} px. seam: the same after the "
    f"ring's colours are averaged along it (deviation {SEAM_PX:g} px): strands a pixel aside cancel, a rim of another "
    "colour stays.",
    "comparison.png: for each row the middle moment and the worst one, the difference inside the head only.",
)


@dataclass(frozen=True)
class ViewFigures:
    """The figures of one camera, means over its moments."""

    name: str
    yaw_deg: float
    pitch_deg: float
    n_frames: int
    psnr: float
    """dB, in the head."""

    ssim: float
    sharpness: float
    """Mean squared gradient of luma in the head, ours over real."""

    n_test: int
    """How many of the moments belong to the test part."""

    test_psnr: float
    """dB over those; NaN where there is none."""

    halo: float
    """Mean colour error in a ring around the head's edge, before green and white, code values; NaN: not known."""

    halo_blurred: float
    """The same of the true person, hardly out of focus."""

    seam: float
    """The avatar's, after the ring's colours are averaged along it."""

    worst_frame: int
    worst_psnr: float


@dataclass
class ViewTally:
    """The figures of one camera, moment by moment."""

    name: str
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    frames: list[int] = field(default_factory=list)
    is_test: list[bool] = field(default_factory=list)
    scores: list[dict[str, float]] = field(default_factory=list)
    """Of the head, as `metrics.score` gives them."""

    halo: list[float] = field(default_factory=list)
    halo_blurred: list[float] = field(default_factory=list)
    seam: list[float] = field(default_factory=list)

    def figures(self) -> ViewFigures:
        """Return the means; a frame that shows no head counts for nothing."""
        psnr = np.array([score["psnr"] for score in self.scores])
        gradient, real = (_mean([score[key] for score in self.scores]) for key in ("gradient", "real_gradient"))
        test = psnr[np.array(self.is_test, bool)] if len(psnr) else psnr
        worst = int(np.nanargmin(psnr)) if np.isfinite(psnr).any() else 0
        return ViewFigures(
            self.name, self.yaw_deg, self.pitch_deg, int((~np.isnan(psnr)).sum()), _mean(psnr),
            _mean([score["ssim"] for score in self.scores]), gradient / real if real > 0 else math.nan,
            int((~np.isnan(test)).sum()), _mean(test), _mean(self.halo), _mean(self.halo_blurred), _mean(self.seam),
            self.frames[worst] if self.frames else -1,
            float(psnr[worst]) if len(psnr) else math.nan,
        )  # fmt: skip


@dataclass(frozen=True)
class ViewReport:
    """What the protocol `view` found."""

    rows: tuple[ViewFigures, ...]
    run: dict[str, Any]
    """Avatar, captures, alignment, machine, date and command."""

    def row(self, name: str) -> ViewFigures:
        """Return a row by its name."""
        return next(row for row in self.rows if row.name == name)

    def save(self, folder: Path) -> None:
        """Write `report.json` and `report.md`."""
        write_json(folder / "report.json", self.to_dict())
        (folder / "report.md").write_text(self.markdown(), encoding="utf-8")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return plain({"region": "head", "rows": [asdict(row) for row in self.rows], "notes": NOTES, **self.run})

    def markdown(self) -> str:
        """Return the report as a Markdown table."""
        lines = ["# Evaluation: unseen cameras", ""]
        lines += [f"- {key}: `{json.dumps(plain(value), ensure_ascii=False)}`" for key, value in self.run.items()]
        heads = ("camera", "moments", "PSNR, dB", "SSIM", "sharpness", "test", "PSNR of test", "halo", "seam")
        lines += ["", f"| {' | '.join(heads)} | worst (frame) |", "|---" * (len(heads) + 1) + "|"]
        for row in self.rows:
            lines.append(
                f"| {row.name} | {row.n_frames} | {_cell(row.psnr, 2)} | {_cell(row.ssim, 4)} | "
                f"{_cell(row.sharpness, 2)} | {row.n_test} | {_cell(row.test_psnr, 2)} | "
                f"{_cell(row.halo, 1)} / {_cell(row.halo_blurred, 1)} | {_cell(row.seam, 1)} | "
                f"{_cell(row.worst_psnr, 2)} ({row.worst_frame}) |"
            )
        return "\n".join([*lines, "", *(f"- {note}" for note in NOTES)]) + "\n"


def _mean(values: Any) -> float:
    found = np.asarray(values, np.float64)
    found = found[~np.isnan(found)]
    return float(found.mean()) if len(found) else math.nan


def _cell(value: float, digits: int) -> str:
    return "n/a" if math.isnan(value) else f"{value:.{digits}f}"
