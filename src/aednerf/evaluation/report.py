"""The figures of an evaluation, with all that is needed to repeat them, as JSON and as Markdown."""

from __future__ import annotations

import json
import math
import platform
import sys
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aednerf import __version__
from aednerf.avatar.avatar import Avatar
from aednerf.capture.capture import FRAMES_NAME, Capture
from aednerf.capture.manifest import MANIFEST_NAME
from aednerf.capture.tracking import TRACKING_NAME
from aednerf.core.files import sha256_of, write_json
from aednerf.evaluation.figures import RowFigures
from aednerf.evaluation.protocols import EXPLANATIONS, RECONSTRUCTION
from aednerf.evaluation.regions import REGIONS
from aednerf.evaluation.steadiness import MARGIN_PX

NOT_MEASURED = {
    "lpips": "n/a: the weights of LPIPS's AlexNet trunk are not part of this version",
    "sync_c": "n/a: SyncNet's weights (syncnet_v2.model) are not part of this version",
    "sync_d": "n/a: SyncNet's weights (syncnet_v2.model) are not part of this version",
}


PASTED = "full, all but the head real"
_PASTED_NOTE = (
    "The whole frame with the real neck, torso and background around our head, as peers measure who render the head "
    "alone; it says nothing about ours."
)
_STEADINESS_NOTE = (
    f"pairs of consecutive frames; outside means at least {MARGIN_PX} pixels from the real person or head in both. The "
    "first column moves the frame before by the real film's optical flow, and leaves out what was hidden. Not measured "
    "where the head is elsewhere than in the recording, or where frames were left out."
)


@dataclass(frozen=True)
class Report:
    """What `evaluate` found."""

    rows: tuple[RowFigures, ...]
    missing: dict[str, str] = field(default_factory=dict)
    """Rows, figures and files that could not be had, and why."""

    run: dict[str, Any] = field(default_factory=dict)
    """Avatar, capture, machine, date and command."""

    def row(self, name: str) -> RowFigures:
        """Return a row by its name."""
        return next(row for row in self.rows if row.name == name)

    def save(self, folder: Path) -> None:
        """Write `report.json` and `report.md`."""
        write_json(folder / "report.json", self.to_dict())
        (folder / "report.md").write_text(self.markdown(), encoding="utf-8")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; infinite values become text, unknown ones null."""
        rows = [{**asdict(row), "explanation": EXPLANATIONS[row.name], **NOT_MEASURED} for row in self.rows]
        return plain({"rows": rows, "ground_truth": self._ground_truth(), "missing": self.missing, **self.run})

    def markdown(self) -> str:
        """Return the report as Markdown tables."""
        lines = ["# Evaluation", ""]
        lines += [f"- {key}: `{json.dumps(plain(value), ensure_ascii=False)}`" for key, value in self.run.items()]
        for measure in ("psnr", "ssim", "sharpness"):
            lines += self._by_region(measure)
        lines += self._steadiness()
        lines += ["", "## Lips, sync and speed", ""]
        lines += ["| row | LMD (MediaPipe), px | no face found | LPIPS | Sync-C | Sync-D | ms a frame |"]
        lines += ["|---|---|---|---|---|---|---|"]
        for row in self.rows:
            distance = "n/a" if row.lmd is None else _cell(row.lmd, 2)
            lines.append(
                f"| {row.name} | {distance} | {row.n_without_face} | n/a | n/a | n/a | {row.ms_per_frame:.1f} |"
            )
        lines += ["| the real frames themselves | 0 | 0 | 0 | n/a | n/a | |", "", "## Notes", ""]
        lines += [f"- **{row.name}**: {EXPLANATIONS[row.name]}" for row in self.rows]
        lines += [f"- **{PASTED}**: {_PASTED_NOTE}", f"- Steadiness: {_STEADINESS_NOTE}"]
        lines += [f"- **{name}**: n/a, {reason}." for name, reason in self.missing.items()]
        lines += [f"- {name}: {reason}." for name, reason in NOT_MEASURED.items()]
        reasons = {row.lmd_reason.rstrip(".") for row in self.rows if row.lmd_reason}
        lines += [f"- LMD: n/a, {reason}." for reason in sorted(reasons)]
        return "\n".join(lines) + "\n"

    def _by_region(self, measure: str) -> list[str]:
        """Return the table of a measure: rows by regions; for PSNR also of frames in which only the head is ours."""
        columns = [*REGIONS, PASTED] if measure == "psnr" else [*REGIONS]
        lines = ["", f"## {_TITLES[measure]}", "", "| row | frames | " + " | ".join(columns) + " |"]
        lines += ["|---|---|" + "---|" * len(columns)]
        for row in self.rows:
            values = [row.regions[region][measure] for region in REGIONS]
            values += [row.pasted_psnr] * (len(columns) - len(values))
            cells = [_cell(value, _DIGITS[measure]) for value in values]
            lines.append(f"| {row.name} | {row.n_frames} | " + " | ".join(cells) + " |")
        own = {"psnr": "inf", "ssim": "1", "sharpness": "1"}[measure]
        return [*lines, "| the real frames themselves | | " + " | ".join([own] * len(columns)) + " |"]

    def _steadiness(self) -> list[str]:
        """Return the table of what changes from frame to frame, ours beside the real film's."""
        lines = ["", "## Steadiness (mean absolute difference from frame to frame, 1/255; ours / real)", ""]
        lines += ["| row | pairs | person, moved by the real flow | outside the person | outside the head |"]
        lines += ["|---|---|---|---|---|"]
        for row in self.rows:
            s = row.steadiness
            if s is None:
                lines.append(f"| {row.name} | 0 | n/a | n/a | n/a |")
                continue
            pairs = (
                (s.warp_error, s.real_warp_error), (s.flicker_background, s.real_flicker_background),
                (s.flicker_outside_head, s.real_flicker_outside_head),
            )  # fmt: skip
            cells = [f"{_cell(ours, 2)} / {_cell(real, 2)}" for ours, real in pairs]
            lines.append(f"| {row.name} | {s.n_pairs} | " + " | ".join(cells) + " |")
        return lines

    def _ground_truth(self) -> dict[str, Any]:
        """Return what the real test frames score against themselves, and how sharp they are."""
        real = self.row(RECONSTRUCTION).regions
        regions = {
            name: {"psnr": math.inf, "ssim": 1.0, "sharpness": 1.0, "real_gradient": figures["real_gradient"]}
            for name, figures in real.items()
        }
        return {"regions": regions, "lmd": 0.0, **NOT_MEASURED, "lpips": 0.0}


def describe_run(avatar: Avatar, capture: Capture, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what an evaluation was made of and where, so that it can be made again."""
    import torch

    return {
        "settings": settings,
        "avatar": {"digest": avatar.bundle.digest, "preset": avatar.bundle.preset, "training": avatar.bundle.training},
        "capture": capture_digests(capture),
        "machine": {
            "aednerf": __version__, "python": platform.python_version(), "torch": torch.__version__,
            "system": platform.platform(),
            "device": torch.cuda.get_device_name(avatar.device) if avatar.device.type == "cuda" else "cpu",
        },
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }  # fmt: skip


def capture_digests(capture: Capture) -> dict[str, str]:
    """Return the SHA-256 of the files that say which capture it is."""
    return {name: sha256_of(capture.path / name) for name in (MANIFEST_NAME, TRACKING_NAME, FRAMES_NAME)}


_TITLES = {
    "psnr": "PSNR, dB", "ssim": "SSIM", "sharpness": "Sharpness (mean squared gradient of luma, ours over real)",
}  # fmt: skip
_DIGITS = {"psnr": 2, "ssim": 4, "sharpness": 2}


def _cell(value: float, digits: int) -> str:
    return "n/a" if math.isnan(value) else f"{value:.{digits}f}"


def plain(value: Any) -> Any:
    """Return a copy that is valid JSON: infinity as text, what is no number as null."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
