"""Count how often an avatar's lips close for m, b and p of voices that trained nobody, with and without the seal.

    python benchmarks/closures.py AVATAR CAPTURE --commit HASH -o results/NAME.json

Eight variants of espeak-ng that the bundled encoder never heard say four sentences, without emotion. `heard` is the
share of m, b and p that the encoder gives a probability above one half within two frames, `closed` that in which the
lips close (as `aednerf evaluate --protocol cross` counts it), also for each sound and voice. `step` is the largest step
of a coefficient of the lower face, over 1.5 times the recording's own 99.9th percentile (0.022 at least). On the
recording's test part: the share of the lower face's motion that is missed, and the correlations of jaw and gap. In the
recording itself: the share of what the encoder hears there as m, b or p in which the tracked lips come as near, and
that of all moments. Nothing is rendered. Needs espeak-ng.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from look_ahead import TEXTS, correlation, driven

from aednerf.avatar.bundle import load_bundle
from aednerf.avatar.restore import restore_voice
from aednerf.capture.capture import Capture
from aednerf.core.records import Emotion
from aednerf.core.units import FPS
from aednerf.evaluation.articulation import CLOSED_SHARE, REACH_FRAMES, count_closures, wide_gap
from aednerf.evaluation.lip_gap import LipGap
from aednerf.motion import seal
from aednerf.motion.channels import JAW_OPEN, SPEECH_COLUMNS
from aednerf.motion.generate import MotionGenerator
from aednerf.speech.encoder import encode, find_encoder
from aednerf.speech.phoneme import BILABIALS, Phoneme
from aednerf.synthetic.chorus import HELD_OUT_VARIANTS
from aednerf.synthetic.voice import Speech, Voice, speak
from aednerf.training.motion import surface_root

HEARD = 0.5
MOST_OVER_RECORDED, NO_STEP = 1.5, 0.022
NEVER = (2.0, 3.0)
"""Probabilities for `seal.UNSURE` and `seal.SURE` that nothing reaches: the network alone."""


def main() -> None:
    """Run the count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("capture", type=Path, help="the recording that it was trained on")
    parser.add_argument("--commit", required=True, help="what is checked out")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    voice = restore_voice(load_bundle(options.avatar), options.avatar)
    if voice is None:
        parser.error(f"{options.avatar} has no voice.")
    count = Count(Capture.open(options.capture), voice)
    sealed = count.figures()
    kept, (seal.UNSURE, seal.SURE) = (seal.UNSURE, seal.SURE), NEVER
    alone = count.figures()
    seal.UNSURE, seal.SURE = kept
    result = {
        "command": " ".join(["python", *sys.argv]),
        "commit": options.commit,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "voices": HELD_OUT_VARIANTS,
        "n_bilabials": len(count.heard),
        "heard": round(float(np.mean(count.heard)), 3),
        "recording": count.recording(),
        "sealed": sealed,
        "network_alone": alone,
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


class Count:
    """The sentences, and one person's way of saying them."""

    def __init__(self, capture: Capture, voice: MotionGenerator) -> None:
        self.capture, self.voice = capture, voice
        self._gap_of, self._root = LipGap.of(capture.face), surface_root(capture.face)
        self._own = self._gap_of(capture.tracking.expression)
        self._closed = CLOSED_SHARE * wide_gap(self._own)
        recorded = np.nanpercentile(np.abs(np.diff(capture.tracking.expression, axis=0)), 99.9, axis=0)
        self._most = np.maximum(MOST_OVER_RECORDED * recorded, NO_STEP)[SPEECH_COLUMNS]
        self.said = {name: speak(" ".join(TEXTS), Voice(f"en-us+{name}")) for name in HELD_OUT_VARIANTS}
        self.heard = [heard for said in self.said.values() for heard in self._heard(said)]

    def figures(self) -> dict[str, Any]:
        """Return the figures of the sentences and of the test part."""
        faces = {name: driven(self.voice, said.samples, Emotion()) for name, said in self.said.items()}
        steps = [(np.abs(np.diff(face[:, SPEECH_COLUMNS], axis=0)) / self._most).max() for face in faces.values()]
        return {
            "closed": self._rate(faces, BILABIALS),
            "closed_by_sound": {sound: self._rate(faces, (sound,)) for sound in BILABIALS},
            "closed_by_voice": {name: self._rate({name: face}, BILABIALS) for name, face in faces.items()},
            "step": round(float(max(steps)), 3),
            "test_part": self._test_part(),
        }

    def recording(self) -> dict[str, float]:
        """Return how often the tracked lips come as near where the encoder hears an m, b or p, and anywhere."""
        least, anywhere = [], []
        for index, clip in enumerate(self.capture.clips):
            sound, gap = self.capture.audio(index), self._own[clip.first : clip.end]
            if sound is None:
                continue
            surely = np.concatenate([[0.0], self._closed_lips(sound)[: len(gap)], [0.0]]) > HEARD
            edges = np.flatnonzero(np.diff(surely.astype(int))).reshape(-1, 2)
            least += [gap[max(0, first - 1) : end + 1].min() for first, end in edges]
            anywhere += [gap[max(0, t - 1) : t + 2].min() for t in range(len(gap))]
        shares = [round(float(np.mean(np.array(each) < self._closed)), 3) for each in (least, anywhere)]
        return {"n_heard": len(least), "closed_where_heard": shares[0], "closed_anywhere": shares[1]}

    def _rate(self, faces: dict[str, Any], sounds: tuple[str, ...]) -> float:
        counts = []
        for name, face in faces.items():
            phonemes = [phoneme for phoneme in self.said[name].phonemes if phoneme.name[:1] in sounds]
            counts.append(count_closures(self._gap_of(face), phonemes, self._closed))
        n, n_closed = np.sum(counts, axis=0)
        return round(float(n_closed / n), 3)

    def _test_part(self) -> dict[str, float]:
        made, recorded = [], []
        for index, clip in enumerate(self.capture.clips):
            sound = self.capture.audio(index)
            if sound is not None:
                face = driven(self.voice, sound, self.capture.emotion(clip.first))
                frames = np.arange(clip.train_end, clip.end)
                frames = frames[self.capture.tracking.valid[frames]]
                made.append(face[frames - clip.first])
                recorded.append(self.capture.motion(frames).expression)
        a, b = np.concatenate(made), np.concatenate(recorded)
        moved, wanted = a[:, SPEECH_COLUMNS] @ self._root, b[:, SPEECH_COLUMNS] @ self._root
        missed = np.square(moved - wanted).sum() / np.square(wanted - wanted.mean(0)).sum()
        return {
            "frames": len(b),
            "unexplained": round(float(missed), 3),
            "jaw_correlation": round(correlation(a[:, JAW_OPEN], b[:, JAW_OPEN]), 3),
            "gap_correlation": round(correlation(self._gap_of(a), self._gap_of(b)), 3),
        }

    def _closed_lips(self, sound: Any) -> Any:
        """Return [T] the higher of the probabilities that a frame's parts have."""
        encoder = find_encoder(self.voice.mouth.config.encoder)
        return np.array([encoder.closed_lips(row).max() for row in encode(encoder, sound)])

    def _heard(self, said: Speech) -> list[bool]:
        surely = self._closed_lips(said.samples)
        frames = [moment(phoneme) for phoneme in said.phonemes if phoneme.name[:1] in BILABIALS]
        return [bool(surely[max(0, t - REACH_FRAMES) : t + REACH_FRAMES + 1].max() > HEARD) for t in frames]


def moment(phoneme: Phoneme) -> int:
    """Return the frame in which a bilabial's lips touch, as `count_closures` has it."""
    is_held = phoneme.name[0] == "m"
    return round(((phoneme.start_s + phoneme.end_s) / 2 if is_held else phoneme.start_s) * FPS - 0.5)


if __name__ == "__main__":
    main()
