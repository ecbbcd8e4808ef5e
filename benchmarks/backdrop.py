"""How near the whole frame could come to that with the real torso and backdrop: what a still backdrop costs by itself.

    python benchmarks/backdrop.py captures/mara captures/newsreader --results results/mara_fast_h200.json \\
        results/newsreader_fast_h200.json -o results/backdrop.json

Where nobody is, a frame is the backdrop and what its camera and its coding made of it. `adds` is the mean squared error
there of the capture's own plate, over the whole frame: the least that an avatar before a still backdrop has. `costs_db`
is what that alone takes from the PSNR of the frame with all but the head real, in that avatar's evaluation.
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
from avatar import commit

from aednerf.capture.capture import Capture

NOBODY = 2
"""A matte of at most so many of 255."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="+", type=Path)
    parser.add_argument("--results", nargs="+", type=Path, required=True, help="of benchmarks/avatar.py, one a capture")
    parser.add_argument("--every", type=int, default=3, help="look at every so-manieth test frame")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    if len(options.results) != len(options.captures):
        parser.error("expected as many --results as captures.")
    pairs = zip(options.captures, options.results, strict=True)
    result = {
        "command": " ".join(["python", *sys.argv]),
        "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "rows": {path.name: figures(Capture.open(path), json.loads(made.read_text()), options.every)
                 for path, made in pairs},
    }  # fmt: skip
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def figures(capture: Capture, made: dict[str, Any], every: int) -> dict[str, float]:
    """Return what the plate costs over the capture's test frames."""
    adds, shares = [], []
    for frame in capture.test_frames[::every].tolist():
        picture, matte = (next(read(frame, frame + 1)) for read in (capture.images, capture.mattes))
        empty = matte <= NOBODY
        error = np.square((picture.astype(np.float64) - capture.plate(capture.shot_of(frame))) / 255).mean(-1)
        adds.append(error[empty].sum() / error.size)
        shares.append(empty.mean())
    row = next(each for each in made["evaluation"]["rows"] if each["name"] == "reconstruction")
    real, whole = row["pasted_psnr"], row["regions"]["full"]["psnr"]
    return {
        "share_of_pixels": round(float(np.mean(shares)), 3),
        "adds": float(f"{np.mean(adds):.3g}"),
        "psnr_there": round(float(-10 * np.log10(np.mean(adds) / np.mean(shares))), 2),
        "all_but_the_head_real": round(real, 2),
        "whole_frame": round(whole, 2),
        "costs_db": round(float(10 * np.log10(1 + np.mean(adds) * 10 ** (real / 10))), 2),
    }


if __name__ == "__main__":
    main()
