"""Time a processor with what comes with the program, steps of `smoke` and the avatar speaking; write one JSON.

    python benchmarks/cpu_speed.py -o results/cpu_speed.json [--steps 60]

All but the first steps, one in twenty, sample as densely as a whole training does in the end.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from avatar import commit, speaking_speed

from aednerf.avatar.avatar import Avatar
from aednerf.capture.capture import Capture
from aednerf.synthetic.shipped import AVATAR_NAME, CAPTURE_NAME, SENTENCE_NAME, shipped
from aednerf.training.config import PRESETS
from aednerf.training.field import fit_field

WARM_UP_SHARE, NEVER = 0.05, 2.0
"""A short warm-up, whose samples lie further apart, and no search for what can never be seen, which is done once."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--commit", default=None, help="what is checked out, where git cannot tell")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    speaking = speaking_speed(Avatar.load(shipped(AVATAR_NAME), "cpu"), shipped(SENTENCE_NAME))
    preset = replace(PRESETS["smoke"], n_steps=options.steps, warm_up_share=WARM_UP_SHARE, hollow_share=NEVER)
    capture = Capture.open(shipped(CAPTURE_NAME))
    with tempfile.TemporaryDirectory() as folder:
        field = fit_field(capture, preset, torch.device("cpu"), 0, Path(folder) / "field.safetensors", {})
    result = {
        "command": f"python benchmarks/cpu_speed.py --steps {options.steps}",
        "commit": options.commit or commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "torch": torch.__version__,
        "smoke_ms_per_step": field.record["ms_per_step"],
        "speaking": speaking,
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(result)


if __name__ == "__main__":
    main()
