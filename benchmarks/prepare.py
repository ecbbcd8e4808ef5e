"""Prepare recordings and write what it took and how well the tracking fits, as JSON.

Usage: python benchmarks/prepare.py me.mp4 -o results/prepare_me.json [--max-seconds 12] [--keep captures/me]
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from avatar import commit

from aednerf.capture.clip import require_clip
from aednerf.capture.steps import prepare


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", metavar="VIDEO[:EMOTION[:INTENSITY]]")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--max-seconds", type=float, default=None)
    parser.add_argument("--keep", type=Path, default=None, help="leave the capture there")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    clips = [require_clip(video) for video in options.videos]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        place = options.keep or Path(folder) / "capture"
        capture = prepare(clips, place, size=options.size, max_seconds=options.max_seconds)
        seconds = time.perf_counter() - started
    tracking, to_512 = capture.tracking, 512 / capture.size
    error = tracking.error_px[tracking.valid] * to_512
    result = {
        "command": " ".join(["python", "benchmarks/prepare.py", *(Path(video).name for video in options.videos)]),
        "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "python": sys.version.split()[0],
        "frames": capture.n_frames,
        "valid_frames": int(tracking.valid.sum()),
        "size": capture.size,
        "seconds": round(seconds, 1),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "fit_error_px_at_512": {
            "mean": round(float(error.mean()), 3),
            "median": round(float(np.median(error)), 3),
            "p95": round(float(np.percentile(error, 95)), 3),
        },
        "clips": [
            {
                "name": clip.name,
                "emotion": clip.emotion,
                "track_error_px": clip.measured.track_error_px,
                "jitter_deg": clip.measured.jitter_deg,
                "detector_jitter_deg": clip.measured.detector_jitter_deg,
                "focal_px": round(clip.focal_px, 1),
                "has_sound": clip.audio is not None,
            }
            for clip in capture.clips
        ],
        "findings": [finding["code"] for finding in capture.manifest.health["findings"]],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
