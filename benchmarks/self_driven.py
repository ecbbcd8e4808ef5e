"""Measure how an avatar's lips follow its own person's unseen speech, apart in speech and in pauses; write one JSON.

    python benchmarks/self_driven.py AVATAR CAPTURE -o results/self_driven.json

Correlations over the test part between the motion that its speech gives and the tracked one: of the jaw's coefficient,
and of the gap of the lips as the coefficients have it; and of that gap with the one between the tracked landmarks,
which no coefficient has a share in. A pause is as long as `PAUSE_FRAMES` and quieter than `QUIET`.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf.avatar.avatar import Avatar
from aednerf.capture.capture import Capture
from aednerf.capture.measures import lip_gaps
from aednerf.core.errors import InputError
from aednerf.core.files import write_json
from aednerf.core.records import ARKIT_NAMES
from aednerf.core.units import SAMPLES_PER_FRAME
from aednerf.evaluation.lip_gap import LipGap
from aednerf.evaluation.protocols import GENERATED, self_rows

PAUSE_FRAMES, QUIET = 8, 0.02


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--commit", default=None, help="what is checked out, where git cannot tell")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    avatar, capture = Avatar.load(options.avatar, "cpu"), Capture.open(options.capture)
    rows, missing = self_rows(avatar, capture)
    spoken = next((row for row in rows if row.name == GENERATED), None)
    if spoken is None:
        raise InputError(f"Nothing is self-driven: {missing[GENERATED]}.")
    tracked = capture.motion(spoken.frames).expression
    gap = LipGap.of(capture.face)
    jaw = ARKIT_NAMES.index("jawOpen")
    everywhere = lip_gaps(capture.tracking.landmarks_px)
    seen = everywhere[spoken.frames]
    ours, theirs = gap(spoken.motion.expression), gap(tracked)
    paused = pauses(capture)
    is_pause = paused[spoken.frames]
    parts = {"all": np.ones_like(is_pause), "speech": ~is_pause, "pauses": is_pause}
    result: dict[str, Any] = {
        "command": "python " + " ".join(sys.argv), "commit": options.commit, "machine": platform.machine(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "parts": {
            name: {
                "frames": int(part.sum()),
                "jaw": _correlation(spoken.motion.expression[part, jaw], tracked[part, jaw]),
                "gap": _correlation(ours[part], theirs[part]),
                "gap with the landmarks'": _correlation(ours[part], seen[part]),
                "tracked gap with the landmarks'": _correlation(theirs[part], seen[part]),
                "landmarks' gap over the eyes' distance, median": round(float(np.median(seen[part])), 4),
            }
            for name, part in parts.items()
        },
        "landmarks' gap in the training part's pauses, median": round(
            float(np.median(everywhere[capture.train_frames[paused[capture.train_frames]]])), 4
        ),
    }  # fmt: skip
    write_json(options.out, result)
    print(result["parts"])


def pauses(capture: Capture) -> NDArray[np.bool_]:
    """Tell which frames [T] of a capture lie in pauses."""
    is_pause = np.zeros(capture.n_frames, bool)
    for index, clip in enumerate(capture.clips):
        samples = capture.audio(index)
        if samples is None:
            continue
        loudness = np.sqrt(np.mean(samples[: clip.n_frames * SAMPLES_PER_FRAME].reshape(-1, SAMPLES_PER_FRAME) ** 2, 1))
        first = clip.first
        for is_quiet, stretch in itertools.groupby(loudness < QUIET):
            n = len(list(stretch))
            is_pause[first : first + n] = is_quiet and n >= PAUSE_FRAMES
            first += n
    return is_pause


def _correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float | None:
    return round(float(np.corrcoef(a, b)[0, 1]), 3) if len(a) > 2 else None


if __name__ == "__main__":
    main()
