"""Train an avatar on a capture, measure it on the test part, and time how fast it speaks; write one JSON of figures.

    python benchmarks/avatar.py CAPTURE --preset fast --speech speech.wav -o results/ [--set loss.spread=0.02]

Works on a machine without PyAV and MediaPipe: give the speech as a 16 kHz mono 16-bit WAV; what needs them is `n/a`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from aednerf.avatar.avatar import Avatar
from aednerf.capture.capture import Capture
from aednerf.core.units import FPS
from aednerf.evaluation.evaluate import evaluate
from aednerf.media.audio import load_audio
from aednerf.training.config import Preset, preset_named
from aednerf.training.run import train

WARM_UP_FRAMES = 10


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change the preset")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="measure every so-manieth test frame")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--name", default=None, help="name of the result; the capture's and preset's by default")
    parser.add_argument("--commit", default=None, help="what is checked out, where git cannot tell")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    name = options.name or f"{options.capture.name}_{options.preset}"
    options.out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    preset = changed(preset_named(options.preset), options.set)
    avatar = train(options.capture, options.out / f"{name}.aednerf", preset, options.device, options.seed, force=True)
    training_s = time.perf_counter() - started
    print(f"trained in {training_s:.1f} s", flush=True)
    speed = speaking_speed(avatar, options.speech)
    print(speed, flush=True)
    report = evaluate(
        avatar, Capture.open(options.capture), options.out / f"{name}_report", every=options.every, force=True
    )
    print((options.out / f"{name}_report" / "report.md").read_text(encoding="utf-8"), flush=True)
    result = {
        "command": " ".join(["python", *sys.argv]),
        "commit": options.commit or commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": torch.cuda.get_device_name() if avatar.device.type == "cuda" else platform.machine(),
        "torch": torch.__version__,
        "training_s": round(training_s, 1),
        "training": {key: avatar.bundle.training[key] for key in ("field", "motion")},
        "bundle_bytes": (options.out / f"{name}.aednerf").stat().st_size,
        "speaking": speed,
        "evaluation": json.loads((options.out / f"{name}_report" / "report.json").read_text(encoding="utf-8")),
    }
    assert report.rows
    (options.out / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def changed(preset: Preset, settings: list[str]) -> Preset:
    """Return a preset with some of its values changed, each given as `loss.spread=0.02` or `n_steps=4000`."""
    for setting in settings:
        path, _, value = setting.partition("=")
        group, _, name = path.rpartition(".")
        inner = getattr(preset, group) if group else preset
        inner = replace(inner, **{name: json.loads(value)})
        preset = replace(preset, **{group: inner}) if group else inner
    return preset


def speaking_speed(avatar: Avatar, speech: Path) -> dict[str, Any]:
    """Time the frames of a speech, from sound to finished picture; the first frames, with compilation, apart."""
    samples = load_audio(speech)
    times, last = [], time.perf_counter()
    for _ in avatar.speak(samples).frames():
        now = time.perf_counter()
        times.append(now - last)
        last = now
    steady = times[WARM_UP_FRAMES:]
    return {
        "size": avatar.camera.width,
        "frames": len(times),
        "first_frame_s": round(times[0], 2),
        "median_ms": round(statistics.median(steady) * 1e3, 2),
        "p95_ms": round(sorted(steady)[int(0.95 * len(steady))] * 1e3, 2),
        "frames_per_second": round(len(steady) / sum(steady), 1),
        "times_real_time": round(len(steady) / sum(steady) / FPS, 2),
    }


def commit() -> str:
    """Return the commit that is checked out, or `unknown`."""
    answer = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
