"""From a script to everything the person does: sound, sounds' times, face, head and breath, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aednerf.core.records import EMOTIONS, Motion
from aednerf.core.units import FPS, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from aednerf.face.correspondence import Correspondence
from aednerf.face.model import PersonPoints
from aednerf.speech.phoneme import SILENCE, Phoneme
from aednerf.synthetic import feeling, gaze, sway
from aednerf.synthetic.lips import Lips
from aednerf.synthetic.moment import Moment
from aednerf.synthetic.script import Line, Script
from aednerf.synthetic.viseme import columns_of, shape_mouth
from aednerf.synthetic.voice import speak

Array = NDArray[np.float64]

LEAD_S, TAIL_S = 0.24, 0.12
"""Silence before the first and after the last line of a clip."""

_BROWS_AT_STRESS = {"browInnerUp": 0.16, "browOuterUp": 0.14}


@dataclass(frozen=True)
class Stretch:
    """A clip, or a line's speech inside it: frames `[first, end)` of the whole performance."""

    name: str
    """A clip's plain name; a line's text."""

    first: int
    end: int
    emotion: str
    intensity: float


@dataclass(frozen=True)
class Performance:
    """What a person does over T frames; frame t is seen at (t + 0.5) / 25 s."""

    motion: Motion
    """Expression, head pose; no residual."""

    breath: NDArray[np.float32]
    """[T] in [0, 1]."""

    samples: NDArray[np.float32]
    """[T * 640] 16 kHz mono."""

    phonemes: tuple[Phoneme, ...]
    """In seconds of the whole performance, without gaps."""

    lines: tuple[Stretch, ...]
    clips: tuple[Stretch, ...]

    def __len__(self) -> int:
        return len(self.motion)

    def moment(self, frame: int) -> Moment:
        """Return what the camera sees in a frame."""
        m = self.motion
        return Moment(m.expression[frame], m.rotation[frame], m.translation[frame], float(self.breath[frame]))

    def sound_of(self, clip: Stretch) -> NDArray[np.float32]:
        """Return the samples of a clip, exactly as long as its frames."""
        return self.samples[clip.first * SAMPLES_PER_FRAME : clip.end * SAMPLES_PER_FRAME]

    @property
    def mean_pose(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The mean head pose: rotation [3, 3] (the nearest one to the mean matrix) and translation [3]."""
        left, _, right = np.linalg.svd(self.motion.rotation.astype(float).mean(0))
        return (left @ right).astype(np.float32), self.motion.translation.astype(float).mean(0).astype(np.float32)


def perform(script: Script, face: PersonPoints) -> Performance:
    """Act a script; the same script gives the same performance.

    Args:
        script: who says what.
        face: the person's whole mesh: lips and lids close on it.

    Raises:
        InputError: the script's voice is unknown.
        MachineError: espeak-ng is missing.
    """
    samples, phonemes, lines, clips = _spoken(script)
    n_frames = clips[-1].end
    times_s = (np.arange(n_frames) + 0.5) / FPS
    random = {name: np.random.default_rng([script.seed, number]) for number, name in enumerate(
        ("levels", "feeling", "brows", "head", "breath", "blinks", "gaze")
    )}  # fmt: skip
    levels, _ = feeling.emotion_levels([(c.first, c.end, c.emotion, c.intensity) for c in clips], random["levels"])
    stress_s = [(p.start_s + p.end_s) / 2 for p in phonemes if p.is_stressed]
    looks = [(said.first, said.end) for line, said in zip(script.lines, lines, strict=True) if line.looks_around]
    rotation, translation = sway.move_head(levels, stress_s, looks, times_s, random["head"])
    expression = _lower_face(phonemes, levels, times_s, random)
    for name, size in _BROWS_AT_STRESS.items():
        pulses = feeling.accents(stress_s, times_s, random["brows"], width_s=0.2) * size
        expression[:, columns_of(name)] += (pulses * (1 - 0.5 * expression[:, columns_of(name)[0]]))[:, None]
    mouth = shape_mouth(phonemes, times_s)
    expression = Lips.of(face).speak(expression, mouth.closure, mouth.bite)
    aversion = np.clip(levels @ np.array([{"sad": 1.0, "contempt": 0.5, "fear": 0.6, "disgusted": 0.5}.get(e, 0.0)
                                          for e in EMOTIONS]), 0, 1)  # fmt: skip
    target = gaze.gaze_targets(n_frames, aversion, random["gaze"])
    expression += gaze.look(rotation, translation, target, face.eye_centres.astype(float))
    labels = [clip.emotion for clip in clips for _ in range(clip.first, clip.end)]
    closing, _ = gaze.blinks(labels, [stretch.first for stretch in (*clips, *lines)], random["blinks"])
    expression = gaze.Lids.of(landmarks_of(face)).shut(np.clip(expression, 0, 1), closing)
    motion = Motion(
        np.clip(expression, 0, 1).astype(np.float32), np.zeros((n_frames, 0), np.float32),
        rotation.astype(np.float32), translation.astype(np.float32),
    )  # fmt: skip
    breath = sway.breathe(n_frames, levels, random["breath"])
    return Performance(motion, breath.astype(np.float32), samples, phonemes, lines, clips)


def landmarks_of(face: PersonPoints) -> PersonPoints:
    """Return MediaPipe's 478 landmarks on a person's whole mesh."""
    table = Correspondence.load()
    weights = table.weights[..., None]
    return PersonPoints(
        (face.neutral[table.vertices] * weights).sum(-2), (face.expressions[:, table.vertices] * weights).sum(-2),
        face.eye[table.vertices[:, 0]], face.eye_centres,
    )  # fmt: skip


def _lower_face(
    phonemes: Sequence[Phoneme], levels: Array, times_s: Array, random: dict[str, np.random.Generator]
) -> Array:
    """Return [T, 52] speech and feeling together, before lips and lids are set on the mesh."""
    gains = np.array([feeling.MOUTH_GAIN.get(label, 1.0) for label in EMOTIONS])
    gain = np.exp(levels @ np.log(gains))
    mouth = shape_mouth(phonemes, times_s, gain)
    return feeling.join(mouth.expression, feeling.feel(levels, _speaking(phonemes, times_s), random["feeling"]))


def _speaking(phonemes: Sequence[Phoneme], times_s: Array) -> Array:
    """Return [T] in [0, 1]: 1 while something is said, with soft edges of a fifth of a second."""
    level = np.zeros_like(times_s)
    for phoneme in phonemes:
        if phoneme.name != SILENCE:
            outside = np.maximum(np.maximum(phoneme.start_s - times_s, times_s - phoneme.end_s), 0)
            level = np.maximum(level, np.clip(1 - outside / 0.2, 0, 1))
    return level * level * (3 - 2 * level)


def _spoken(
    script: Script,
) -> tuple[NDArray[np.float32], tuple[Phoneme, ...], tuple[Stretch, ...], tuple[Stretch, ...]]:
    """Speak all lines and lay them out in time: samples, phonemes, lines and clips."""
    pieces: list[NDArray[np.float32]] = []
    phonemes: list[Phoneme] = []
    lines: list[Stretch] = []
    clips: list[Stretch] = []
    n = 0

    def wait(n_samples: int) -> None:
        nonlocal n
        pieces.append(np.zeros(n_samples, np.float32))
        phonemes.append(Phoneme(SILENCE, n / SAMPLE_RATE_HZ, (n + n_samples) / SAMPLE_RATE_HZ, False))
        n += n_samples

    for number, block in enumerate(script.blocks, start=1):
        first = n
        wait(round(LEAD_S * SAMPLE_RATE_HZ))
        for line in block:
            begun, spoken = n, speak(line.text, script.voice.with_emotion(line.emotion, _strength(line)))
            offset = n / SAMPLE_RATE_HZ
            pieces.append(spoken.samples)
            phonemes += [p._replace(start_s=p.start_s + offset, end_s=p.end_s + offset) for p in spoken.phonemes]
            n += len(spoken.samples)
            lines.append(_stretch(line.text, begun, n, line))
            wait(round((line.pause_s if line is not block[-1] else TAIL_S) * SAMPLE_RATE_HZ))
        wait(-(n - first) % SAMPLES_PER_FRAME)
        clips.append(_stretch(f"{number:02}-{block[0].emotion}", first, n, block[0]))
    return np.concatenate(pieces), _merged(phonemes), tuple(lines), tuple(clips)


def _strength(line: Line) -> float:
    return 0.0 if line.emotion == "neutral" else line.intensity


def _stretch(name: str, first: int, end: int, line: Line) -> Stretch:
    return Stretch(name, first // SAMPLES_PER_FRAME, -(-end // SAMPLES_PER_FRAME), line.emotion, line.intensity)


def _merged(phonemes: list[Phoneme]) -> tuple[Phoneme, ...]:
    """Join pauses that follow each other."""
    merged: list[Phoneme] = []
    for phoneme in phonemes:
        if phoneme.end_s <= phoneme.start_s:
            continue
        if merged and phoneme.name == merged[-1].name == SILENCE:
            merged[-1] = merged[-1]._replace(end_s=phoneme.end_s)
        else:
            merged.append(phoneme)
    return tuple(merged)
