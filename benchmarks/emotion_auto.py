"""Measure how often `--emotion auto` is right on sound files whose names say the emotion, such as `x_angry1.wav`.

Usage: python benchmarks/emotion_auto.py FOLDER/x_*.wav --commit HASH -o results/NAME.json
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from pathlib import Path

import numpy as np

from aednerf.core.records import EMOTIONS
from aednerf.emotion.prosody import estimate, strongest
from aednerf.media.audio import load_audio

SPELLINGS = {"disgust": "disgusted", "fearful": "fear"}


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sounds", type=Path, nargs="+")
    parser.add_argument("--commit", required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    rows = []
    for path in options.sounds:
        word = path.stem.split("_")[-1].rstrip("0123456789")
        label = SPELLINGS.get(word, word)
        track = estimate(load_audio(path))
        mean = np.mean([emotion.vector() for emotion in track.emotions], axis=0)
        found = {name: round(float(value), 3) for name, value in zip(EMOTIONS, mean, strict=True)}
        known = label if label in EMOTIONS else None
        rows.append({"file": path.name, "label": known, "guess": strongest(track), **found})
    judged = [row for row in rows if row["label"]]
    result = {
        "command": " ".join(["python", Path(sys.argv[0]).name]), "commit": options.commit,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "files": rows,
        "right": sum(row["label"] == row["guess"] for row in judged), "of": len(judged),
    }  # fmt: skip
    print(json.dumps(result, indent=2))
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
