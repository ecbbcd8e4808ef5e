"""How emotions at full intensity look on few pictures of speech, in minutes on a processor; write JSON and a sheet.

    python benchmarks/emotion_shift.py AVATAR CAPTURE --others OTHER [OTHER ...] --audio SPEECH [SPEECH ...] -o OUT

What `aednerf evaluate --protocol emotion` measures at every intensity and in every frame, here from `--pictures` of the
first three seconds of each speech. An emotion that the capture does not show is today's prior, whichever the avatar
was made with.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from avatar import commit
from numpy.typing import NDArray

from aednerf.avatar.avatar import Avatar
from aednerf.capture.capture import Capture
from aednerf.core.progress import silent
from aednerf.core.records import EMOTIONS, Motion
from aednerf.core.units import FPS
from aednerf.emotion.space import EmotionTrack, parse
from aednerf.evaluation.emotion import FELT, for_reading, read_emotions, readings_of, speech_samples
from aednerf.evaluation.pictures import show
from aednerf.evaluation.protocols import spread
from aednerf.evaluation.reading import FaceReader, MediaPipeReader
from aednerf.evaluation.shifts import cosine, length_ratio
from aednerf.media.image import write_image
from aednerf.motion.generate import MotionGenerator
from aednerf.training.motion_stats import measure

SECONDS = 3


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--others", nargs="+", type=Path, required=True)
    parser.add_argument("--audio", nargs="+", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=15)
    parser.add_argument("--device", default="auto")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the JSON; the sheet lies beside it")
    options = parser.parse_args()
    avatar, capture = Avatar.load(options.avatar, options.device), Capture.open(options.capture)
    assert isinstance(avatar.voice, MotionGenerator)
    stats = replace(avatar.voice.stats, emotion_offset=measure(capture).emotion_offset)
    voice = MotionGenerator(avatar.voice.mouth, stats)
    sound = np.concatenate([speech_samples(capture, [each], SECONDS * FPS) for each in options.audio])
    with MediaPipeReader() as reader:
        people = [read_emotions(Capture.open(each), reader, silent) for each in options.others]
        means, pictures = {}, []
        for label in EMOTIONS:
            means[label], picture = act(avatar, voice, sound, label, options.pictures, reader)
            pictures.append(picture)
            print(label, flush=True)
    figures = {}
    for label in FELT:
        shift, theirs = means[label] - means["neutral"], [one[label].shift for one in people if label in one]
        example = np.mean(theirs, axis=0)
        figures[label] = {
            "cosine": round(cosine(shift, example), 3), "length_ratio": round(length_ratio(shift, example), 3),
            "cosine_among_others": round(cosine(theirs[0], theirs[1]), 3) if len(theirs) == 2 else None,
        }  # fmt: skip
    result = {"command": " ".join(["python", *sys.argv]), **_made(avatar), "emotions": figures}
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    rows = [np.concatenate(pictures[first : first + 4], axis=1) for first in (0, 4)]
    write_image(options.out.with_suffix(".png"), np.concatenate(rows))
    print(json.dumps(figures, indent=2))


def act(
    avatar: Avatar, voice: MotionGenerator, sound: NDArray[np.float32], label: str, n: int, reader: FaceReader
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Speak with an emotion: the mean of what is read from `n` pictures [52], and the one in the middle."""
    camera, plate = for_reading(avatar.camera, avatar.bundle.background)
    track = EmotionTrack.constant(parse(label))
    motion = avatar.fitted(Motion.concatenate(list(voice.generate([sound], track, blink=False))))
    frames = spread(np.arange(len(motion)), n)
    pictures = [show(avatar, motion, int(frame), camera, plate, 0) for frame in frames]
    return readings_of([reader.read(each) for each in pictures]).mean, pictures[n // 2]


def _made(avatar: Avatar) -> dict[str, Any]:
    return {
        "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": platform.machine() if avatar.device.type == "cpu" else str(avatar.device),
        "avatar": {"digest": avatar.bundle.digest, "trained": avatar.bundle.training["date"]},
    }


if __name__ == "__main__":
    main()
