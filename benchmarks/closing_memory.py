"""Compare how long a computer-generated person's closed lips count as speech (`MEMORY_FRAMES` of `motion/closing.py`).

    python benchmarks/closing_memory.py src/aednerf/shipped/mara --identity mara --voice en-us+f3 -o results/NAME.json

The networks and the figures are those of `look_ahead.py`, but the sentences are said in emotions that part the lips:
without an emotion nothing is taken back. Nothing is rendered. Needs espeak-ng and ICT-FaceKit.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import sys
from pathlib import Path
from typing import Any

import torch
from look_ahead import CLOSED_PERCENT, Judge, commit, mean_and_spread

from aednerf.capture.capture import Capture
from aednerf.face.residual import leading
from aednerf.field.config import FieldConfig
from aednerf.motion import closing
from aednerf.motion.generate import MotionGenerator
from aednerf.training.motion import fit_motion

MEMORIES = (1, 2, 4, 8, 20)
PARTING = ("contempt", "disgusted", "happy")
"""Emotions that part the lips in a pause."""


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--identity", required=True, help="the computer-generated person of the capture")
    parser.add_argument("--voice", required=True, help="espeak-ng's voice in the capture")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--commit", default=None, help="what is checked out, where git cannot tell")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    capture = Capture.open(options.capture)
    learned = capture.with_residual(leading(capture.tracking.residual, FieldConfig().n_residual))
    judges = {emotion: Judge(capture, options.identity, options.voice, emotion) for emotion in PARTING}
    found: dict[int, list[Any]] = {frames: [] for frames in MEMORIES}
    for seed in options.seeds:
        mouth, stats, _ = fit_motion(learned, seed)
        for frames in MEMORIES:
            found[frames].append(figures(MotionGenerator(mouth, stats), judges, frames))
            print(seed, frames, json.dumps(mean_and_spread(found[frames][-1:])), flush=True)
    result = {
        "command": " ".join(["python", *sys.argv]),
        "commit": options.commit or commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"processor": platform.machine(), "threads": 1, "torch": torch.__version__},
        "seeds": options.seeds,
        "closures_below_percent": CLOSED_PERCENT,
        "true_closures": {emotion: judge.true_closures() for emotion, judge in judges.items()},
        "mean_and_half_range_over_seeds": {str(frames): mean_and_spread(each) for frames, each in found.items()},
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def figures(generator: MotionGenerator, judges: dict[str, Judge], frames: int) -> dict[str, Any]:
    """Return the figures of a fitted motion with a memory of so many frames: the test part, then every emotion."""
    closing.MEMORY_FRAMES = frames
    return {
        "test_part": judges[PARTING[0]].test_part(generator),
        **{emotion: judge.sentences(generator) for emotion, judge in judges.items()},
    }


if __name__ == "__main__":
    main()
