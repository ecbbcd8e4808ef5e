"""The protocol `emotion`: speech with every emotion is rendered, and the faces are read again from the pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aednerf.avatar.avatar import Avatar
from aednerf.avatar.sound import Sound
from aednerf.capture.capture import Capture
from aednerf.capture.sync import mouth_and_sound
from aednerf.core.errors import InputError
from aednerf.core.progress import Progress, silent
from aednerf.core.records import ARKIT_NAMES, EMOTIONS, Camera, Motion
from aednerf.core.units import FPS, SAMPLES_PER_FRAME
from aednerf.emotion.space import EmotionTrack, parse
from aednerf.evaluation.emotion_report import LEAST_SYNC_FRAMES, EmotionFigures, EmotionReport, EmotionSheet, Sync
from aednerf.evaluation.pictures import real_frames, show
from aednerf.evaluation.protocols import spread
from aednerf.evaluation.reading import FaceReader, Reading
from aednerf.evaluation.recognition import Judge
from aednerf.evaluation.report import capture_digests, describe_run
from aednerf.evaluation.shifts import (
    INTENSITIES,
    cosine,
    length_ratio,
    progress_along,
    rank_correlation,
    recorded_shifts,
)
from aednerf.media.image import resize

Array = NDArray[np.float64]

WIDTH_PX = 256
"""Pictures are at most so wide."""

STEP_FRAMES = 12
"""Frames, spread over the speech, of every intensity below 1."""

READ_FRAMES = 60
"""Frames, spread over its clips, that are read of each emotion of a recording."""

MOMENT_FRAMES = 25
"""Frames of a rendered speech that are judged as one moment."""

RECORDED_MOMENT = 5
"""Read frames of a recording that are judged as one moment."""

FELT = tuple(label for label in EMOTIONS if label != "neutral")


@dataclass(frozen=True)
class Readings:
    """What was read of a row of pictures."""

    scores: Array
    """[N, 52] NaN where no face was seen."""

    lip_gap: Array
    """[N] likewise."""

    @property
    def mean(self) -> Array:
        """[52] over the pictures with a face; NaN where there is none."""
        seen = self.scores[np.isfinite(self.lip_gap)]
        return seen.mean(0) if len(seen) else np.full(len(ARKIT_NAMES), np.nan)

    def moments(self, neutral: Array, n: int) -> Array:
        """Return [M, 52] the mean shifts from neutral of every `n` pictures with a face."""
        seen = self.scores[np.isfinite(self.lip_gap)] - neutral
        n = min(n, max(1, len(seen)))
        return seen[: len(seen) // n * n].reshape(-1, n, seen.shape[1]).mean(1)


def measure_emotion(
    avatar: Avatar, capture: Capture, folder: Path, reader: FaceReader, audio: Sequence[str | Path] = (),
    others: Sequence[Capture] = (), max_frames: int | None = None, progress: Progress = silent,
) -> EmotionReport:  # fmt: skip
    """Measure how the emotions of an avatar look, and draw `emotions.png` and with `others` `confusion.png`.

    Args:
        avatar: Who.
        capture: The recording that it was trained on: its clips of an emotion are what that emotion should look like.
        folder: Where the pictures go.
        reader: Reads the faces of rendered and recorded pictures alike.
        audio: The speech, one after the other; none takes the sound of the recording's longest neutral clip.
        others: Captures of other people with emotions, to learn a judge from; an emotion that the recording does not
            show is compared with the mean of theirs.
        max_frames: Only the first so many frames of the speech.
        progress: Called after every picture.

    Raises:
        InputError: there is no speech, no voice, no reader, or the speech has less than a second.
    """
    if reader.reason:
        raise InputError(f"Faces cannot be read from pictures here: {reader.reason}. `aednerf doctor` says more.")
    stage = _Stage(avatar, capture, reader, speech_samples(capture, audio, max_frames), progress)
    recorded, tracked = stage.recorded(capture), recorded_shifts(capture)
    people = [_of_other(each, reader, progress) for each in others]
    sheet = EmotionSheet(INTENSITIES)
    neutral, _ = stage.act("neutral", 1.0)
    figures, shown = [], {"neutral": neutral.moments(neutral.mean, MOMENT_FRAMES)}
    for label in FELT:
        steps = [stage.act(label, intensity) for intensity in INTENSITIES]
        full = steps[-1][0]
        sheet.add(label, [picture for _, picture in steps], stage.example(capture, label))
        # Fewer frames were read of the lower steps: they are compared with the same frames of the neutral speech.
        base = Readings(neutral.scores[stage.steps], neutral.lip_gap[stage.steps]).mean
        shifts = [readings.mean - base for readings, _ in steps[:-1]] + [full.mean - neutral.mean]
        examples = [one[label].shift for one in ([recorded] if label in recorded else people) if label in one]
        along = np.mean(examples, axis=0) if examples else shifts[-1]
        path = [progress_along(shift, along) for shift in shifts]
        figures.append(
            EmotionFigures(
                label, len(full.lip_gap), int(np.isnan(full.lip_gap).sum()), label in recorded,
                cosine(shifts[-1], along) if examples else math.nan,
                length_ratio(shifts[-1], along) if examples else math.nan,
                cosine(shifts[-1], tracked[label]) if label in tracked else math.nan,
                rank_correlation(np.array(path)), tuple(path), stage.sync(full),
            )
        )  # fmt: skip
        shown[label] = full.moments(neutral.mean, MOMENT_FRAMES)
    sheet.save(folder / "emotions.png")
    ours = own = None
    if others:
        judge = Judge.of([{label: felt.moments for label, felt in one.items() if len(felt.moments)} for one in people])
        ours = judge.confusion(shown)
        own = judge.confusion({label: each.moments for label, each in recorded.items()}) if recorded else None
    run = describe_run(avatar, capture, {"protocol": "emotion", "audio": [Path(each).name for each in audio],
                                         "max_frames": max_frames, "width": stage.camera.width})  # fmt: skip
    run["others"] = [capture_digests(each) for each in others]
    report = EmotionReport(tuple(figures), stage.sync(neutral), run, ours, own)
    report.draw(folder)
    return report


@dataclass(frozen=True)
class Felt:
    """An emotion of a recording, as the reader sees it."""

    shift: Array
    """[52] the mean shift from the neutral clips, at full intensity."""

    moments: Array
    """[M, 52] the shifts of single moments, as strong as they were recorded."""


def speech_samples(capture: Capture, audio: Sequence[str | Path], max_frames: int | None) -> NDArray[np.float32]:
    """Return the samples of the speech, whole frames of them."""
    if audio:
        parts = [np.concatenate(list(Sound(path).chunks()) or [np.zeros(0, np.float32)]) for path in audio]
        samples = np.concatenate(parts)
    else:
        neutral = [i for i, clip in enumerate(capture.clips) if clip.emotion == "neutral" and clip.audio is not None]
        if not neutral:
            raise InputError("The capture has no neutral clip with sound to speak with the emotions. Give --audio.")
        sound = capture.audio(max(neutral, key=lambda i: capture.clips[i].n_frames))
        samples = np.zeros(0, np.float32) if sound is None else sound
    samples = samples[: len(samples) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME]
    samples = samples if max_frames is None else samples[: max_frames * SAMPLES_PER_FRAME]
    if len(samples) < FPS * SAMPLES_PER_FRAME:
        seconds = len(samples) / SAMPLES_PER_FRAME / FPS
        raise InputError(f"The speech has {seconds:.2f} s, expected at least 1 s. Give a longer sound, or more frames.")
    return samples


class _Stage:
    """One speech, acted and rendered with one emotion after the other."""

    def __init__(
        self, avatar: Avatar, capture: Capture, reader: FaceReader, sound: NDArray[np.float32], progress: Progress
    ) -> None:
        if avatar.voice is None:
            raise InputError("This avatar has no motion network: it cannot be measured with speech.")
        self.avatar, self.voice, self.reader, self.sound, self.tell = avatar, avatar.voice, reader, sound, progress
        self.camera, self.plate = for_reading(avatar.camera, avatar.bundle.background)
        n = len(sound) // SAMPLES_PER_FRAME
        self.steps = spread(np.arange(n), STEP_FRAMES)
        self.n_done, self.n_all = 0, n * (1 + len(FELT)) + len(FELT) * len(self.steps) * (len(INTENSITIES) - 1)

    def act(self, label: str, intensity: float) -> tuple[Readings, NDArray[np.uint8]]:
        """Speak, render and read: all frames at intensity 1, else those of `steps`; also return a picture."""
        track = EmotionTrack.constant(parse(label, intensity))
        motion = Motion.concatenate(list(self.voice.generate([self.sound], track, blink=False)))
        motion = self.avatar.fitted(motion)
        frames = np.arange(len(motion)) if intensity == 1.0 else self.steps
        middle, pictures = self.steps[len(self.steps) // 2], []
        example = np.zeros_like(self.plate)
        for frame in frames:
            picture = show(self.avatar, motion, int(frame), self.camera, self.plate, 0)
            pictures.append(self.reader.read(picture))
            if frame == middle:
                example = picture
            self.n_done += 1
            self.tell("emotion", self.n_done, self.n_all, f"{label} {intensity:g}")
        return readings_of(pictures), example

    def sync(self, readings: Readings) -> Sync:
        """Return how mouth and sound go together."""
        if np.isfinite(readings.lip_gap).sum() < LEAST_SYNC_FRAMES:
            return Sync(math.nan, math.nan)
        found = mouth_and_sound(readings.lip_gap, self.sound)
        return Sync(found.lag_frames, found.correlation)

    def recorded(self, capture: Capture) -> dict[str, Felt]:
        """Return the recording's emotions as the reader sees them; none where it has no neutral clip."""
        return read_emotions(capture, self.reader, self.tell)

    def example(self, capture: Capture, label: str) -> NDArray[np.uint8] | None:
        """Return the middle frame of the recording's first clip of an emotion, as wide as the pictures."""
        for clip in capture.clips:
            if clip.emotion == label:
                _, picture, _ = next(real_frames(capture, [(clip.first + clip.end) // 2]))
                return resize(picture, self.plate.shape[1], self.plate.shape[0])
        return None


def read_emotions(capture: Capture, reader: FaceReader, tell: Progress) -> dict[str, Felt]:
    """Return, by label, a recording's emotions as the reader sees them; nothing where no clip is neutral."""
    readings: dict[str, tuple[Readings, float]] = {}
    for label in EMOTIONS:
        clips = [clip for clip in capture.clips if clip.emotion == label]
        frames = np.concatenate([np.arange(clip.first, clip.end) for clip in clips] or [np.zeros(0, np.int64)])
        frames = spread(frames[capture.tracking.valid[frames]], READ_FRAMES) if len(frames) else frames
        if not len(frames):
            continue
        camera_width = min(WIDTH_PX, capture.size)
        seen = [reader.read(resize(picture, camera_width, camera_width))
                for _, picture, _ in real_frames(capture, frames.tolist())]  # fmt: skip
        intensity = max(float(np.mean([clip.intensity for clip in clips])), 1 / 3)
        readings[label] = readings_of(seen), intensity
        tell("read", len(readings), len({clip.emotion for clip in capture.clips}), label)
    if "neutral" not in readings:
        return {}
    neutral = readings["neutral"][0].mean
    return {
        label: Felt((each.mean - neutral) / intensity, each.moments(neutral, RECORDED_MOMENT))
        for label, (each, intensity) in readings.items()
    }


def _of_other(capture: Capture, reader: FaceReader, tell: Progress) -> dict[str, Felt]:
    """Return another person's emotions as the reader sees them.

    Raises:
        InputError: the capture has no neutral clip.
    """
    felt = read_emotions(capture, reader, tell)
    if not felt:
        raise InputError(f"{capture.path} has no neutral clip, from which its emotions could differ. Leave it out.")
    return felt


def readings_of(seen: Sequence[Reading | None]) -> Readings:
    """Gather what was read of a row of pictures; None where no face was seen."""
    nothing = np.full(len(ARKIT_NAMES), np.nan)
    scores = np.array([nothing if each is None else each.scores for each in seen], np.float64)
    return Readings(scores, np.array([np.nan if each is None else each.lip_gap for each in seen], np.float64))


def for_reading(camera: Camera, plate: NDArray[np.uint8]) -> tuple[Camera, NDArray[np.uint8]]:
    """Return camera and plate, at most `WIDTH_PX` wide."""
    width = min(WIDTH_PX, camera.width)
    height = round(camera.height * width / camera.width)
    return camera.resized(width, height), resize(plate, width, height)
