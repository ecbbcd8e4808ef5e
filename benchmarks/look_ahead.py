"""Fit the motion of a computer-generated person with networks that look further ahead or less far, and compare them.

    python benchmarks/look_ahead.py src/aednerf/shipped/mara --identity mara --voice en-us+f3 -o results/look_ahead.json

Each network is fitted with several seeds. It is judged on the capture's test part, and on sentences that the person
never said, in her own voice and in voices that neither the encoder nor she was ever heard with; what her face would do
there is known, because it is acted from the phonemes. Nothing is rendered. Needs espeak-ng and ICT-FaceKit.

`unexplained` is the share of the lower face's motion (of the surface, in the lips' favour) that is missed, the
correlations are those of the jaw, of the mouth's coefficients (their mean) and of the gap between the inner lips, and
`closures` is the share of m, b, p, f and v in which that gap falls below so many hundredths of its 95th percentile in
the recording. `true_closures` is the same of the motion that is acted.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aednerf import assets
from aednerf.capture.capture import Capture
from aednerf.core.records import ARKIT_NAMES, Emotion
from aednerf.core.units import FPS
from aednerf.emotion.space import EmotionTrack, parse
from aednerf.face.model import FaceModel
from aednerf.face.residual import leading
from aednerf.field.config import FieldConfig
from aednerf.motion.channels import JAW_OPEN, SPEECH_COLUMNS
from aednerf.motion.generate import MotionGenerator
from aednerf.motion.network import MotionConfig
from aednerf.speech.phoneme import Phoneme
from aednerf.synthetic.chorus import HELD_OUT_VARIANTS
from aednerf.synthetic.lips import Lips
from aednerf.synthetic.performance import Performance, perform
from aednerf.synthetic.person import person_named
from aednerf.synthetic.script import Line, Script
from aednerf.synthetic.voice import Voice
from aednerf.training.motion import fit_motion, surface_root

Array = NDArray[np.floating]

TEXTS = (
    "Bob maybe bought five new vans for Pam before the film.", "My mother prefers a very big apple pie.",
    "People from Europe often move above the bay in February.", "Please put my blue map back behind the pump.",
)  # fmt: skip
N_HELD_OUT_VOICES = 4
CLOSED_PERCENT = (10, 15, 20)
MOUTH = [column for column in SPEECH_COLUMNS if ARKIT_NAMES[column].startswith("mouth")]
LEAST_DEVIATION = 0.02
"""A coefficient that is acted with less counts for no correlation."""

SHAPES = {
    "as far ahead as back, then one row later": {"ahead": (1, 1, 2, 2), "lookahead": 5},
    "the same, only read 3 rows sooner": {"ahead": (1, 1, 2, 2), "lookahead": 2},
    "1 row": {"ahead": (1, 0, 0, 0), "lookahead": 1},
    "2 rows": {"ahead": (1, 1, 0, 0), "lookahead": 2},
    "3 rows": {"ahead": (1, 1, 1, 0), "lookahead": 3},
    "2 rows, 4 more back": {"ahead": (1, 1, 0, 0), "lookahead": 2, "dilations": (1, 1, 2, 4)},
    "2 rows, the way around through the last": {"ahead": (0, 0, 0, 0), "lookahead": 2},
}


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
    judge = Judge(learned, options.identity, options.voice)
    fits: dict[str, Any] = {}
    for name, change in SHAPES.items():
        shape = MotionConfig(encoder="bundled", **change)
        figures = [judge.figures(*fit_motion(judge.capture, seed, shape=shape)) for seed in options.seeds]
        fits[name] = {**change, **mean_and_spread(figures)}
        print(name, json.dumps(fits[name]), flush=True)
    result = {
        "command": " ".join(["python", *sys.argv]),
        "commit": options.commit or commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"processor": platform.machine(), "threads": 1, "torch": torch.__version__},
        "seeds": options.seeds,
        "test_frames": len(judge.capture.test_frames),
        "sentences_s": round(sum(map(len, judge.performances)) / FPS, 1),
        "voices": judge.voices,
        "closures_below_percent": CLOSED_PERCENT,
        "true_closures": judge.true_closures(),
        "mean_and_half_range_over_seeds": fits,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


class Judge:
    """What a fitted motion is held against.

    Args:
        capture: what it was fitted to.
        identity: the person in it.
        voice: the voice in it.
        emotion: in which the sentences are said, at full intensity.
    """

    def __init__(self, capture: Capture, identity: str, voice: str, emotion: str = "neutral") -> None:
        person = FaceModel.load(assets.find("ict_facekit")).person(person_named(identity).weights())
        self.capture, self._lips, self._root = capture, Lips.of(person), surface_root(capture.face)
        recorded = capture.motion(capture.train_frames).expression
        self._wide = float(np.quantile(self._lips.gap(recorded.astype(float)), 0.95))
        self._emotion, lines = parse(emotion, 1.0), tuple(Line(text, emotion) for text in TEXTS)
        self.voices = [voice, *(f"en-us+{variant}" for variant in HELD_OUT_VARIANTS[:N_HELD_OUT_VOICES])]
        scripts = [Script("look-ahead", identity, lines, Voice(name), seed) for seed, name in enumerate(self.voices)]
        self.performances = [perform(script, person) for script in scripts]

    def figures(self, mouth: Any, stats: Any, record: dict[str, Any]) -> dict[str, Any]:
        """Return all figures of a fit, as `fit_motion` returns it."""
        generator = MotionGenerator(mouth, stats)
        return {
            "look_ahead_ms": round(1e3 * generator.lookahead_s, 1),
            "fit_s": record["train_s"],
            "test_part": self.test_part(generator),
            **self.sentences(generator),
        }

    def sentences(self, generator: MotionGenerator) -> dict[str, Any]:
        """Return the figures of the sentences, in her own voice and in the others."""
        spoken = [driven(generator, each.samples, self._emotion) for each in self.performances]
        acted = [each.motion.expression for each in self.performances]
        closures = [self._closures(face, each) for face, each in zip(spoken, self.performances, strict=True)]
        return {
            "own_voice": {**self._agreement(spoken[0], acted[0]), "closures": closures[0]},
            "held_out_voices": {
                **self._agreement(np.concatenate(spoken[1:]), np.concatenate(acted[1:])),
                "closures": np.mean(closures[1:], axis=0),
            },
        }

    def true_closures(self) -> dict[str, list[float]]:
        """Return the closures of the motion that is acted, in her own voice and in the others."""
        rates = [self._closures(each.motion.expression, each) for each in self.performances]
        both = {"own_voice": rates[0], "held_out_voices": np.mean(rates[1:], axis=0)}
        return {name: np.round(rate, 3).tolist() for name, rate in both.items()}

    def test_part(self, generator: MotionGenerator) -> dict[str, float]:
        """Return the agreement of what is made of the sound of the test part with what was recorded there."""
        made, recorded = [], []
        for index, clip in enumerate(self.capture.clips):
            sound = self.capture.audio(index)
            assert sound is not None
            made.append(driven(generator, sound, self.capture.emotion(clip.first))[clip.train_end - clip.first :])
            recorded.append(self.capture.motion(np.arange(clip.train_end, clip.end)).expression)
        return self._agreement(np.concatenate(made), np.concatenate(recorded))

    def _agreement(self, made: Array, true: Array) -> dict[str, float]:
        moved, wanted = made[:, SPEECH_COLUMNS] @ self._root, true[:, SPEECH_COLUMNS] @ self._root
        missed = np.square(moved - wanted).sum() / np.square(wanted - wanted.mean(0)).sum()
        mouth = [column for column in MOUTH if true[:, column].std() > LEAST_DEVIATION]
        gaps = [self._lips.gap(face.astype(float)) for face in (made, true)]
        return {
            "unexplained": float(missed),
            "jaw_correlation": correlation(made[:, JAW_OPEN], true[:, JAW_OPEN]),
            "mouth_correlation": float(np.mean([correlation(made[:, i], true[:, i]) for i in mouth])),
            "gap_correlation": correlation(*gaps),
        }

    def _closures(self, face: Array, said: Performance) -> Array:
        """Return the shares of m, b, p, f and v with a gap below each of `CLOSED_PERCENT`."""
        gap = self._lips.gap(face.astype(float))
        least = np.array([gap[span].min() for span in closed_spans(said.phonemes)])
        return np.array([(least < percent / 100 * self._wide).mean() for percent in CLOSED_PERCENT])


def driven(generator: MotionGenerator, sound: NDArray[np.float32], emotion: Emotion) -> Array:
    """Return the expressions [T, 52] that a sound becomes."""
    motions = generator.generate([sound], EmotionTrack.constant(emotion), blink=False)
    return np.concatenate([motion.expression for motion in motions])


def closed_spans(phonemes: Sequence[Phoneme]) -> list[slice]:
    """Return the frames, one more each way, of every m, b, p, f and v; a stop's begin with its silence."""
    sounds = [each for each in phonemes if each.name in ("m", "b", "p", "f", "v")]
    starts = [each.start_s - 0.05 * (each.name in "bp") for each in sounds]  # espeak-ng: to the sound before
    return [
        slice(max(0, int(start * FPS) - 1), int(np.ceil(each.end_s * FPS)) + 1)
        for each, start in zip(sounds, starts, strict=True)
    ]


def correlation(a: Array, b: Array) -> float:
    """Return the correlation of two signals [T]; 0 where one of them does not move."""
    return float(np.corrcoef(a, b)[0, 1]) if min(a.std(), b.std()) > 1e-6 else 0.0


def mean_and_spread(figures: list[Any]) -> Any:
    """Return figures of several seeds as [mean, half the range], part by part."""
    if isinstance(figures[0], dict):
        return {name: mean_and_spread([each[name] for each in figures]) for name in figures[0]}
    values = np.array(figures, float)
    pair = np.stack([values.mean(0), np.ptp(values, axis=0) / 2], axis=-1)
    return np.round(pair, 3).tolist()


def commit() -> str:
    """Return the commit that is checked out, or `unknown`."""
    answer = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
