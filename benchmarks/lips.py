"""Measure how far lips open in a video, beside those of the person's own recording and beside the sound.

    python benchmarks/lips.py speak.mp4 --reference recording.mp4 --speech speech.wav --commit HASH -o results/lips.json

The gap between the inner lips is in percent of the distance between the outer corners of the eyes, so that sizes and
crops compare. Needs PyAV and MediaPipe.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf.core.units import SAMPLES_PER_FRAME
from aednerf.evaluation.lips import LandmarkFinder, MediaPipeLandmarks
from aednerf.media.audio import load_audio
from aednerf.media.video import read_video

UPPER_LIP, LOWER_LIP, RIGHT_EYE, LEFT_EYE = 13, 14, 33, 263
LARGEST_LAG = 3


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--reference", type=Path, help="the person's own recording")
    parser.add_argument("--speech", type=Path, help="the sound of the video")
    parser.add_argument("--commit", required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    with MediaPipeLandmarks() as landmarks:
        gap = lip_gap(options.video, landmarks)
        reference = lip_gap(options.reference, landmarks) if options.reference else None
    result: dict[str, Any] = {
        "command": " ".join(["python", *sys.argv]),
        "commit": options.commit,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "gap_percent": described(gap),
    }
    if reference is not None:
        result["reference_gap_percent"] = described(reference)
        result["deviation_over_reference"] = round(float(np.nanstd(gap) / np.nanstd(reference)), 3)
    if options.speech is not None:
        result["correlation_with_log_energy_by_lag"] = correlations(gap, log_energy(load_audio(options.speech)))
    print(json.dumps(result, indent=2))
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def lip_gap(video: Path, landmarks: LandmarkFinder) -> NDArray[np.float64]:
    """Return the gap of every frame [T]; NaN where no face is found."""
    gaps = []
    for picture in read_video(video):
        found = landmarks.find(picture)
        if found is None:
            gaps.append(np.nan)
            continue
        eyes = np.linalg.norm(found[RIGHT_EYE, :2] - found[LEFT_EYE, :2])
        gaps.append(100 * float(np.linalg.norm(found[UPPER_LIP, :2] - found[LOWER_LIP, :2]) / eyes))
    return np.array(gaps)


def log_energy(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the logarithm of the sound's root mean square in every whole frame [T]."""
    n_frames = len(samples) // SAMPLES_PER_FRAME
    blocks = samples[: n_frames * SAMPLES_PER_FRAME].reshape(n_frames, -1).astype(np.float64)
    return np.log(1e-4 + np.sqrt(np.square(blocks).mean(1)))


def correlations(gap: NDArray[np.float64], energy: NDArray[np.float64]) -> dict[str, float]:
    """Return the correlation of the gap with the energy for each lag in frames; positive where the lips come later."""
    n, found = min(len(gap), len(energy)), {}
    for lag in range(-LARGEST_LAG, LARGEST_LAG + 1):
        lips, sound = gap[max(0, lag) : n + min(0, lag)], energy[max(0, -lag) : n - max(0, lag)]
        both = np.isfinite(lips)
        found[str(lag)] = round(float(np.corrcoef(lips[both], sound[both])[0, 1]), 3)
    return found


def described(gap: NDArray[np.float64]) -> dict[str, float]:
    """Return what the gap's distribution looks like."""
    low, middle, high = np.nanpercentile(gap, [5, 50, 95])
    values = {"mean": np.nanmean(gap), "deviation": np.nanstd(gap), "p5": low, "median": middle, "p95": high}
    return {name: round(float(value), 2) for name, value in values.items()} | {"frames": len(gap)}


if __name__ == "__main__":
    main()
