"""The figures of the protocol `cross`, as JSON and as Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aednerf.core.files import write_json
from aednerf.evaluation.articulation import CLOSED_SHARE, REACH_FRAMES, WIDE_PERCENTILE, Articulation
from aednerf.evaluation.report import plain

RECORDING = "the recording itself"

NOTES = (
    "No trained judge is used. The gap is that between the inner lips: `mesh`, from the motion through the person's "
    "face table; `seen`, between MediaPipe's landmarks in the pictures.",
    "lag: the delay in frames (40 ms) at which the gap follows the sound's level between 300 and 3000 Hz best; above 0 "
    "the lips come later. correlation: at that delay, both without their trend over 2 s. In brackets: against the "
    "recording itself (difference of the lag, ratio of the correlation): near 0 and 1 the mouth goes with its sound as "
    "the person's own does; far above 1 it follows loudness more than what is said.",
    "chance: the correlation with the sound moved on by half its length; what is not above it means nothing.",
    f"opening: the gap's {WIDE_PERCENTILE}th percentile, over the recording's.",
    f"closed: the share of m, b and p for which the least gap within {REACH_FRAMES} frames is under "
    f"{CLOSED_SHARE:.0%} of the recording's {WIDE_PERCENTILE}th percentile; n/a where no file NAME.phonemes.json lies "
    "beside the sound (for the recording: where it has no truth).",
    "The last row is the mean over the sounds, each counting the same; of `closed`, over all m, b and p.",
)


@dataclass(frozen=True)
class CrossReport:
    """What the protocol `cross` found: by the way the gap was measured, and by sound."""

    rows: Mapping[str, Mapping[str, Articulation]]
    """Under `mesh`, and under `seen` where pictures were looked at: the recording first, then each sound."""

    run: Mapping[str, Any]
    """Avatar, capture, sounds, machine, date and command."""

    def mean(self, way: str) -> Articulation:
        """Return the mean over the sounds."""
        return mean_of([row for name, row in self.rows[way].items() if name != RECORDING])

    def save(self, folder: Path) -> None:
        """Write `report.json` and `report.md`."""
        write_json(folder / "report.json", self.to_dict())
        (folder / "report.md").write_text(self.markdown(), encoding="utf-8")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        ways = {
            way: {
                "rows": [{"name": name, **asdict(row), **self._relative(way, row)} for name, row in rows.items()],
                "mean": {**asdict(self.mean(way)), **self._relative(way, self.mean(way))},
            }
            for way, rows in self.rows.items()
        }
        return plain({**ways, "notes": NOTES, **self.run})

    def markdown(self) -> str:
        """Return the report as Markdown tables."""
        lines = ["# Evaluation: driven by other people's speech", ""]
        lines += [f"- {key}: `{json.dumps(plain(value), ensure_ascii=False)}`" for key, value in self.run.items()]
        for way, rows in self.rows.items():
            lines += ["", f"## Gap of the lips: {way}", ""]
            lines += ["| sound | frames | lag | correlation | chance | opening | closed (of) |"]
            lines += ["|---|---|---|---|---|---|---|"]
            lines += [self._line(way, name, row) for name, row in rows.items()]
            lines.append(self._line(way, "mean over the sounds", self.mean(way)))
        return "\n".join([*lines, "", *(f"- {note}" for note in NOTES)]) + "\n"

    def _line(self, way: str, name: str, row: Articulation) -> str:
        closed = f"{_cell(row.closure_rate, 2)} ({row.n_bilabials})" if row.n_bilabials else "n/a"
        against = self._relative(way, row)
        lag = f"{_cell(row.lag_frames, 2)} ({_cell(against['lag_minus_recording'], 2, '+')})"
        correlation = f"{_cell(row.correlation, 3)} ({_cell(against['correlation_over_recording'], 2)})"
        if name == RECORDING:
            lag, correlation = _cell(row.lag_frames, 2), _cell(row.correlation, 3)
        cells = (name, row.n_frames, lag, correlation, _cell(row.chance, 3), _cell(row.wide, 2), closed)
        return "| " + " | ".join(map(str, cells)) + " |"

    def _relative(self, way: str, row: Articulation) -> dict[str, float]:
        """Return a row's figures against those of the recording; NaN where the recording has no sound."""
        real = self.rows[way].get(RECORDING)
        if real is None:
            return {"lag_minus_recording": math.nan, "correlation_over_recording": math.nan}
        ratio = row.correlation / real.correlation if real.correlation > 0 else math.nan
        return {"lag_minus_recording": row.lag_frames - real.lag_frames, "correlation_over_recording": ratio}


def mean_of(rows: Sequence[Articulation]) -> Articulation:
    """Return the mean over sounds, what is not known left out; of closures, over all bilabials."""

    def mean(name: str) -> float:
        values = np.array([getattr(row, name) for row in rows], np.float64)
        values = values[np.isfinite(values)]
        return float(values.mean()) if len(values) else math.nan

    n_bilabials = sum(row.n_bilabials for row in rows)
    n_closed = sum(row.n_bilabials * row.closure_rate for row in rows if row.n_bilabials)
    return Articulation(
        sum(row.n_frames for row in rows), mean("lag_frames"), mean("correlation"), mean("chance"), mean("wide"),
        n_bilabials, n_closed / n_bilabials if n_bilabials else math.nan,
    )  # fmt: skip


def _cell(value: float, digits: int, sign: str = "") -> str:
    return "n/a" if math.isnan(value) else f"{value:{sign}.{digits}f}"
