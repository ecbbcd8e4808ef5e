"""Measure how far each emotion goes in the motion that an avatar makes of speech, against the recording's own clips.

    python benchmarks/emotion_motion.py AVATAR CAPTURE --audio hello.wav --commit HASH -o results/NAME.json

Nothing is rendered. Shifts are mean coefficients less those of neutral, without blinks and gaze.
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

from aednerf.avatar.bundle import load_bundle
from aednerf.avatar.restore import restore_voice
from aednerf.capture.capture import Capture
from aednerf.emotion.space import EmotionTrack, parse
from aednerf.evaluation.shifts import (
    INTENSITIES,
    cosine,
    length_ratio,
    progress_along,
    rank_correlation,
    recorded_shifts,
)
from aednerf.media.audio import load_audio
from aednerf.motion.channels import SPEECH_COLUMNS
from aednerf.motion.generate import MotionGenerator


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--commit", required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    bundle = load_bundle(options.avatar)
    voice = restore_voice(bundle, options.avatar)
    if voice is None:
        parser.error("the avatar has no motion network")
    sound = load_audio(options.audio)
    emotions = measured(voice, sound, recorded_shifts(Capture.open(options.capture)))
    result: dict[str, Any] = {
        "command": " ".join(["python", *sys.argv]),
        "commit": options.commit,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "avatar": {"name": options.avatar.name, "sha256_of_its_description": bundle.digest},
        "intensities": INTENSITIES,
        "emotions": emotions,
    }
    print(json.dumps(result, indent=2))
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def measured(voice: MotionGenerator, sound: np.ndarray, recorded: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the figures of every emotion that the recording shows."""

    def mean(label: str, intensity: float) -> np.ndarray:
        track = EmotionTrack.constant(parse(label, intensity))
        motions = voice.generate([sound], track, blink=False)
        return np.concatenate([motion.expression for motion in motions]).mean(0, dtype=np.float64)

    neutral, figures = mean("neutral", 1.0), {}
    for label, reference in recorded.items():
        shifts = [mean(label, intensity) - neutral for intensity in INTENSITIES]
        along = [progress_along(shift, reference) for shift in shifts]
        figures[label] = {
            "cosine": round(cosine(shifts[-1], reference), 3),
            "length_ratio": round(length_ratio(shifts[-1], reference), 3),
            "mouth_cosine": round(cosine(shifts[-1], reference, SPEECH_COLUMNS), 3),
            "mouth_length_ratio": round(length_ratio(shifts[-1], reference, SPEECH_COLUMNS), 3),
            "along_by_intensity": [round(each, 3) for each in along],
            "monotonic": bool((np.diff(along) > 0).all()),
            "spearman": round(rank_correlation(np.array(along)), 3),
        }
    return figures


if __name__ == "__main__":
    main()
