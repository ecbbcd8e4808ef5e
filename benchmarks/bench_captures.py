"""Make the bench's captures of two computer-generated people, and write what it took as JSON; run again to go on.

    python benchmarks/bench_captures.py captures/ -o results/bench_captures.json [--scripts mara theo]

A capture that is finished is kept. Time counts while a capture is being made, over all runs that it took.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from avatar import commit

from aednerf.capture.capture import Capture
from aednerf.capture.held_out import HeldOutViews
from aednerf.capture.manifest import MANIFEST_NAME
from aednerf.core.files import read_json, write_json
from aednerf.core.progress import Progress
from aednerf.core.units import FPS
from aednerf.synthetic.recording import synthesize
from aednerf.terminal import Steps

NOTE_EVERY_S = 10.0


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the captures go")
    parser.add_argument("--scripts", nargs="+", default=["mara", "theo"], metavar="SCRIPT")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    captures = []
    for script in options.scripts:
        path = options.folder / Path(script).stem
        watch = Stopwatch(options.folder / f"{path.name}.seconds.json")
        if not (path / MANIFEST_NAME).is_file():
            with Steps() as steps:
                synthesize(script, path, progress=watch.during(steps))
            watch.note(is_finished=True)
        captures.append(figures(path, watch))
        print(captures[-1], flush=True)
    seconds, names = [capture["seconds"] for capture in captures], [Path(script).name for script in options.scripts]
    write_json(options.out, {
        "command": " ".join(["python", "benchmarks/bench_captures.py", "--scripts", *names]),
        "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "python": sys.version.split()[0],
        "load": round(os.getloadavg()[2], 2),
        "seconds": round(sum(seconds), 1) if None not in seconds else None,
        "captures": captures,
    })  # fmt: skip


class Stopwatch:
    """Seconds that a capture took, kept in a file, so that a run that was stopped counts as well."""

    def __init__(self, path: Path) -> None:
        found = read_json(path) if path.is_file() else {"seconds": 0.0, "runs": 0}
        self._path, self._before, self.runs = path, float(found["seconds"]), int(found["runs"])
        self._started, self._noted = time.monotonic(), 0.0

    @property
    def seconds(self) -> float | None:
        """Over all runs; None where nothing is known."""
        return float(read_json(self._path)["seconds"]) if self._path.is_file() else None

    def during(self, progress: Progress) -> Progress:
        """Start a run, and return a progress that notes the time on its way."""
        self._started, self.runs = time.monotonic(), self.runs + 1

        def tell(step: str, done: int, total: int, note: str = "") -> None:
            if time.monotonic() - self._noted > NOTE_EVERY_S:
                self.note()
            progress(step, done, total, note)

        return tell

    def note(self, is_finished: bool = False) -> None:
        """Write the time so far."""
        self._noted = time.monotonic()
        seconds = self._before + self._noted - self._started
        write_json(self._path, {"seconds": round(seconds, 1), "runs": self.runs, "is_finished": is_finished})


def figures(path: Path, watch: Stopwatch) -> dict[str, Any]:
    """Return what a finished capture consists of, and what it took."""
    capture, views = Capture.open(path), HeldOutViews.load(path)
    seconds: dict[str, float] = {}
    for clip in capture.clips:
        seconds[clip.emotion] = round(seconds.get(clip.emotion, 0) + clip.n_frames / FPS, 2)
    return {
        "name": path.name, "size": capture.size, "frames": capture.n_frames, "clips": len(capture.clips),
        "views": len(views.views) * len(views.frames), "emotion_s": seconds,
        "bytes": sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        "seconds": watch.seconds, "runs": watch.runs,
    }  # fmt: skip


if __name__ == "__main__":
    main()
