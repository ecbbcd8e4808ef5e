"""The figures of one row: collected frame by frame, then averaged."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from aednerf.evaluation.regions import REGIONS
from aednerf.evaluation.steadiness import Steadiness


@dataclass(frozen=True)
class RowFigures:
    """The figures of one row, means over its frames."""

    name: str
    n_frames: int
    regions: dict[str, dict[str, float]]
    """By region: `psnr` (dB, mean of the frames'), `ssim`, `sharpness` (ours over real), `real_gradient`."""

    pasted_psnr: float
    """dB over the whole frame whose neck, torso and background are the real frame's own: only the head is ours."""

    lmd: float | None
    """MediaPipe's, pixels at a width of 512; None where it could not be measured."""

    lmd_reason: str
    """Why there is no LMD; empty where there is."""

    n_without_face: int
    """Frames in whose rendered picture no face was found; they are missing from the LMD."""

    ms_per_frame: float
    """Median time to render one frame and bring it to main memory, milliseconds."""

    steadiness: Steadiness | None = None
    """None where the row has no consecutive frames, or a head that is elsewhere than the recording's."""


@dataclass
class Tally:
    """The figures of one row, frame by frame."""

    scores: list[dict[str, dict[str, float]]] = field(default_factory=list)
    """What `metrics.score` returned."""

    pasted_psnr: list[float] = field(default_factory=list)
    lmd: list[float] = field(default_factory=list)
    n_without_face: int = 0
    seconds: list[float] = field(default_factory=list)

    def figures(self, name: str, lmd_reason: str, steadiness: Steadiness | None = None) -> RowFigures:
        """Return the means over the frames; a frame without a region (no such pixels) is left out of that region's.

        Args:
            name: The row's name.
            lmd_reason: Why landmarks cannot be found on this machine; empty where they can.
            steadiness: From frame to frame, where that was measured.
        """
        regions = {}
        for region in REGIONS:
            mean = {key: self._mean(region, key) for key in ("psnr", "ssim", "gradient", "real_gradient")}
            sharpness = mean["gradient"] / mean["real_gradient"] if mean["real_gradient"] > 0 else float("nan")
            regions[region] = {**{key: mean[key] for key in ("psnr", "ssim", "real_gradient")}, "sharpness": sharpness}
        reason = lmd_reason or ("" if self.lmd else "no face was found in the pictures")
        return RowFigures(
            name=name, n_frames=len(self.scores), regions=regions, pasted_psnr=_mean(self.pasted_psnr),
            lmd=float(np.mean(self.lmd)) if self.lmd else None,
            lmd_reason=reason, n_without_face=self.n_without_face, ms_per_frame=float(np.median(self.seconds)) * 1e3,
            steadiness=steadiness,
        )  # fmt: skip

    def _mean(self, region: str, key: str) -> float:
        return _mean([score[region][key] for score in self.scores])


def _mean(values: list[float]) -> float:
    """Return the mean of what is a number; NaN where nothing is."""
    found = np.array(values)[~np.isnan(values)]
    return float(found.mean()) if len(found) else float("nan")
