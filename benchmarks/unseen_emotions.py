"""Leave one emotion out: train on the others, test on that one with its tracked coefficients, beside an avatar of all.

    python benchmarks/unseen_emotions.py CAPTURE -o runs/ [--only happy sad] [--set n_steps=5400]
    python benchmarks/unseen_emotions.py CAPTURE -o runs/ --result benchmarks/results/NAME.json

The test part is the last quarter of every clip, which no avatar here is trained on, that of all emotions included. A
run that is there already is kept, so that the runs may be made on several machines; `--result` gathers them.
The residual code's bases come from `aednerf prepare`, which saw the emotion that is left out: read the rows of
residual 0.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from avatar import changed, commit

from aednerf.avatar.avatar import Avatar
from aednerf.capture.capture import Capture
from aednerf.core.records import EMOTIONS
from aednerf.evaluation.evaluate import evaluate
from aednerf.evaluation.protocols import RECONSTRUCTION, WITHOUT_RESIDUAL
from aednerf.training.config import preset_named
from aednerf.training.run import train

TRAINED_SHARE = 0.75
ALL = "all"
"""The name of the avatar that nothing was left out of."""

REGIONS = ("head", "face", "mouth", "eyes")


class Split(Capture):
    """A capture whose test part is the last quarter of one emotion's clips, and whose training part may leave that
    emotion out."""

    def __init__(self, capture: Capture, tested: str | None, left_out: str | None) -> None:
        super().__init__(capture.path, capture.manifest, capture.tracking)
        self.tested, self.left_out = tested, left_out

    @property
    def train_frames(self) -> np.ndarray:
        """The valid frames of the first three quarters of every clip, without those of the emotion left out."""
        return self._frames_of([
            np.arange(clip.first, _end(clip)) for clip in self.clips if clip.emotion != self.left_out
        ])  # fmt: skip

    @property
    def test_frames(self) -> np.ndarray:
        """The valid frames of the last quarter of the tested emotion's clips."""
        return self._frames_of([
            np.arange(_end(clip), clip.end) for clip in self.clips if clip.emotion == self.tested
        ])  # fmt: skip

    def _frames_of(self, ranges: list[np.ndarray]) -> np.ndarray:
        frames = np.concatenate(ranges)
        return frames[self.tracking.valid[frames]]


def _end(clip: Any) -> int:
    return clip.first + int(TRAINED_SHARE * clip.n_frames)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--only", nargs="*", default=None, metavar="EMOTION", help=f"which to leave out, or {ALL}")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--set", action="append", default=["n_steps=5400"], metavar="NAME=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--commit", default=None, help="what is checked out, where git cannot tell")
    parser.add_argument("--result", type=Path, default=None, help="gather all runs in this file")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    capture = Capture.open(options.capture)
    present = [label for label in EMOTIONS if any(clip.emotion == label for clip in capture.clips)]
    options.out.mkdir(parents=True, exist_ok=True)
    if options.result is not None:
        gather(options, present)
        return
    for name in options.only or [ALL, *present]:
        target = options.out / f"{name}.json"
        if not target.exists():
            run = measure(options, capture, name, present)
            target.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")


def measure(options: argparse.Namespace, capture: Capture, name: str, present: list[str]) -> dict[str, Any]:
    """Train one avatar and measure it: on the emotion that it never saw, or, having seen all, on each."""
    preset = changed(preset_named(options.preset), options.set)
    left_out = None if name == ALL else name
    avatar = train(
        Split(capture, None, left_out),
        options.out / f"{name}.aednerf",
        preset,
        options.device,
        options.seed,
        force=True,
    )
    rows = {}
    for label in present if left_out is None else [left_out]:
        report = evaluate(avatar, Split(capture, label, left_out), options.out / f"{name}_{label}", force=True)
        rows[label] = {
            row.name: {region: row.regions[region] for region in REGIONS}
            for row in report.rows if row.name in (RECONSTRUCTION, WITHOUT_RESIDUAL)
        }  # fmt: skip
        print(name, label, {region: round(rows[label][WITHOUT_RESIDUAL][region]["psnr"], 2) for region in REGIONS})
    return {"rows": rows, **_made(options, avatar)}


def _made(options: argparse.Namespace, avatar: Avatar) -> dict[str, Any]:
    return {
        "command": " ".join(["python", *sys.argv]),
        "commit": options.commit or commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": torch.cuda.get_device_name() if avatar.device.type == "cuda" else platform.machine(),
        "training": avatar.bundle.training["field"],
    }


def gather(options: argparse.Namespace, present: list[str]) -> None:
    """Write what each emotion loses by not having been seen; those without a run yet are left out."""
    present = [label for label in present if (options.out / f"{label}.json").exists()]
    runs = {name: json.loads((options.out / f"{name}.json").read_text(encoding="utf-8")) for name in [ALL, *present]}
    emotions = {label: {"seen": runs[ALL]["rows"][label], "unseen": runs[label]["rows"][label]} for label in present}
    mean_loss = {
        row: {
            region: round(statistics.mean(
                each["seen"][row][region]["psnr"] - each["unseen"][row][region]["psnr"] for each in emotions.values()
            ), 3)
            for region in REGIONS
        }
        for row in (RECONSTRUCTION, WITHOUT_RESIDUAL)
    }  # fmt: skip
    first = runs[ALL]
    result = {key: first[key] for key in ("command", "commit", "date", "machine")}
    result |= {"training": {name: run["training"] for name, run in runs.items()}, "mean_loss_db": mean_loss,
               "emotions": emotions}  # fmt: skip
    options.result.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for label, each in emotions.items():
        cells = " ".join(
            f"{region} {each['seen'][WITHOUT_RESIDUAL][region]['psnr']:.2f}/"
            f"{each['unseen'][WITHOUT_RESIDUAL][region]['psnr']:.2f}" for region in REGIONS
        )  # fmt: skip
        print(f"{label}: residual 0, seen/unseen: {cells}")
    print("mean loss, dB:", mean_loss)


if __name__ == "__main__":
    main()
