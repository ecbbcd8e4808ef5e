"""Time how fast an avatar turns speech into motion on the processor, and how far it looks ahead; write one JSON.

    python benchmarks/speech_to_motion.py AVATAR speech.wav ... -o results/speech_to_motion.json

The sound arrives in pieces of 40 ms, as from a microphone, and on one thread. `times_real_time` is the sound's length
over the time that its motion took. The look-ahead is measured as well: how much sound after a frame's end had arrived
when the frame came out, with pieces of 2.5 ms. The avatar's picture is never drawn. The encoders that come with the
program are also timed alone, from sound to rows.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aednerf.avatar.bundle import load_bundle
from aednerf.avatar.restore import restore_voice
from aednerf.core.records import Emotion
from aednerf.core.units import FPS, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from aednerf.emotion.space import EmotionTrack
from aednerf.media.audio import load_audio
from aednerf.motion.generate import MotionGenerator
from aednerf.speech.encoder import find_encoder

ENCODERS = ("log-mel", "bundled")
FINE_SAMPLES = 40  # 2.5 ms
WARM_UP_S = 2.0
LOOK_AHEAD_S = 4.0


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("speech", type=Path, nargs="+")
    parser.add_argument("--commit", default=None, help="what is checked out, where git cannot tell")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    bundle = load_bundle(options.avatar)
    voice = restore_voice(bundle, options.avatar)
    if voice is None:
        parser.error(f"{options.avatar} has no motion network")
    sound = np.concatenate([load_audio(path) for path in options.speech])
    result = {
        "command": " ".join(["python", *sys.argv]),
        "commit": options.commit or commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"processor": processor(), "threads": 1, "torch": torch.__version__},
        "avatar": bundle.digest,
        "encoder": voice.mouth.config.encoder,
        "speech_s": round(len(sound) / SAMPLE_RATE_HZ, 1),
        "motion": motion_speed(voice, sound),
        "look_ahead_ms": look_ahead(voice, sound),
        "encoders_alone": {name: encoder_speed(name, sound) for name in ENCODERS},
    }
    print(json.dumps(result, indent=2))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def motion_speed(voice: MotionGenerator, sound: NDArray[np.float32]) -> dict[str, float]:
    """Time every piece of 40 ms that is turned into motion."""
    track = EmotionTrack.constant(Emotion())
    voice.stream(track).push(sound[: round(WARM_UP_S * SAMPLE_RATE_HZ)])
    stream, times = voice.stream(track), []
    for piece in pieces(sound, SAMPLES_PER_FRAME):
        started = time.perf_counter()
        stream.push(piece)
        times.append(time.perf_counter() - started)
    middle, late, worst = np.percentile(times, [50, 95, 100]) * 1e3
    figures = {"ms_a_frame_median": middle, "ms_a_frame_p95": late, "ms_a_frame_worst": worst}
    return {**rounded(figures), "times_real_time": round(len(times) / FPS / sum(times), 1)}


def look_ahead(voice: MotionGenerator, sound: NDArray[np.float32]) -> dict[str, float]:
    """Return how much sound after a frame's end has arrived when the frame comes out, beside what the avatar says."""
    stream, n_heard, n_out, found = voice.stream(EmotionTrack.constant(Emotion())), 0, 0, []
    for piece in pieces(sound[: round(LOOK_AHEAD_S * SAMPLE_RATE_HZ)], FINE_SAMPLES):
        n_new, n_heard = len(stream.push(piece)), n_heard + len(piece)
        for frame in range(n_out, n_out + n_new):
            found.append((n_heard - (frame + 1) * SAMPLES_PER_FRAME) / SAMPLE_RATE_HZ)
        n_out += n_new
    figures = {"stated": voice.lookahead_s, "measured_least": min(found), "measured_most": max(found)}
    return rounded({name: 1e3 * value for name, value in figures.items()})


def encoder_speed(name: str, sound: NDArray[np.float32]) -> dict[str, float]:
    """Time an encoder alone, in pieces of 40 ms."""
    encoder = find_encoder(name)
    encoder.stream().push(sound[: round(WARM_UP_S * SAMPLE_RATE_HZ)])
    stream, started = encoder.stream(), time.perf_counter()
    for piece in pieces(sound, SAMPLES_PER_FRAME):
        stream.push(piece)
    seconds = time.perf_counter() - started
    figures = {"look_ahead_ms": 1e3 * encoder.lookahead_s, "ms_a_frame": 1e3 * seconds * SAMPLES_PER_FRAME / len(sound)}
    return {**rounded(figures), "times_real_time": round(len(sound) / SAMPLE_RATE_HZ / seconds, 1)}


def pieces(sound: NDArray[np.float32], n: int) -> list[NDArray[np.float32]]:
    """Cut a sound into pieces of n samples."""
    return [sound[first : first + n] for first in range(0, len(sound), n)]


def rounded(figures: dict[str, Any]) -> dict[str, float]:
    """Return the figures to three digits after the point."""
    return {name: round(float(value), 3) for name, value in figures.items()}


def processor() -> str:
    """Return the processor's name as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def commit() -> str:
    """Return the commit that is checked out, or `unknown`."""
    answer = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
