"""The protocol `cross`: an avatar driven by other people's speech, and what its lips make of that."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf.avatar.avatar import Avatar
from aednerf.capture.capture import Capture
from aednerf.capture.measures import lip_gaps
from aednerf.capture.truth import TRUTH_FOLDER, TRUTH_NAME, Truth
from aednerf.core.errors import InputError
from aednerf.core.files import sha256_of
from aednerf.core.progress import Progress
from aednerf.core.units import FPS, SAMPLES_PER_FRAME
from aednerf.evaluation.articulation import Articulation, wide_gap
from aednerf.evaluation.cross_report import RECORDING, CrossReport
from aednerf.evaluation.lip_gap import LipGap
from aednerf.evaluation.lips import LandmarkFinder
from aednerf.evaluation.report import describe_run
from aednerf.media.audio import load_audio
from aednerf.speech.phoneme import Phoneme, load_phonemes, phoneme_file

Gap = NDArray[np.floating]

MESH, SEEN = "mesh", "seen"


def measure_cross(
    avatar: Avatar, capture: Capture, audio: Sequence[str | Path], max_frames: int | None, progress: Progress,
    landmarks: LandmarkFinder | None = None,
) -> CrossReport:  # fmt: skip
    """Drive an avatar with sounds and measure its lips.

    Args:
        avatar: The avatar; it needs a voice.
        capture: The recording that it was trained on: its face table, and its own lips and sound to compare with.
        audio: Sound files. Where `NAME.phonemes.json` lies beside one, closures are counted.
        max_frames: Take only so many first frames of each sound.
        progress: Called after every sound, and with `landmarks` after every picture.
        landmarks: What finds the lips in pictures, which are then rendered; None measures the motion alone.
    Raises:
        InputError: there is no sound, two have one name, or the avatar has no voice.
    """
    paths = [Path(path) for path in audio]
    if not paths:
        raise InputError("The protocol cross needs sounds of other people: add --audio a.wav b.wav.")
    if len({path.name for path in paths}) < len(paths):
        raise InputError("Two of the sounds have the same name. Give each its own: the report goes by them.")
    if max_frames is not None and max_frames < 1:
        raise InputError(f"Max-frames must be at least 1, got {max_frames}.")
    gap_of, ways = LipGap.of(capture.face), (MESH,) if landmarks is None else (MESH, SEEN)
    own = {MESH: gap_of(capture.tracking.expression)}
    if landmarks is not None:
        own[SEEN] = np.where(capture.tracking.valid, lip_gaps(capture.tracking.landmarks_px), np.nan)
    wide = {way: wide_gap(own[way]) for way in ways}
    rows: dict[str, dict[str, Articulation]] = {way: {} for way in ways}
    for way in ways:
        if (row := _recording(capture, own[way], wide[way])) is not None:
            rows[way][RECORDING] = row
    sounds: dict[str, Any] = {}
    for number, path in enumerate(paths, start=1):
        sound = load_audio(path)
        sound = sound if max_frames is None else sound[: max_frames * SAMPLES_PER_FRAME]
        phonemes = load_phonemes(phoneme_file(path)) if phoneme_file(path).is_file() else ()
        started = time.perf_counter()
        speech = avatar.speak(sound)
        gaps: dict[str, Gap] = {MESH: gap_of(speech.motion.expression)}
        seconds = time.perf_counter() - started
        if landmarks is not None:
            gaps[SEEN] = _seen(avatar, sound, landmarks, progress)
        for way in ways:
            rows[way][path.name] = Articulation.of(gaps[way], sound, phonemes, wide[way])
        sounds[path.name] = {"sha256": sha256_of(path), "motion_s": round(seconds, 2)}
        progress("cross", number, len(paths))
    run = describe_run(avatar, capture, {"protocol": "cross", "max_frames": max_frames, "retrack": SEEN in ways})
    return CrossReport(rows, {**run, "sounds": sounds, "recording_wide_gap": wide})


def _recording(capture: Capture, gap: Gap, wide: float) -> Articulation | None:
    """Measure the recording's own lips against its own sound, over the clips that have some; None where none has."""
    gaps, sounds = [], []
    phonemes: list[Phoneme] = []
    known = _true_phonemes(capture)
    for index, clip in enumerate(capture.clips):
        sound = capture.audio(index)
        if sound is None:
            continue
        first = sum(map(len, gaps))
        shift = (first - clip.first) / FPS
        phonemes += [
            p._replace(start_s=p.start_s + shift, end_s=p.end_s + shift)
            for p in known
            if clip.first <= p.start_s * FPS < clip.end
        ]
        gaps.append(gap[clip.first : clip.end])
        sounds.append(np.resize(sound, clip.n_frames * SAMPLES_PER_FRAME))
    return Articulation.of(np.concatenate(gaps), np.concatenate(sounds), phonemes, wide) if gaps else None


def _true_phonemes(capture: Capture) -> tuple[Phoneme, ...]:
    """Return what a computer-generated recording says; nothing where that is not known."""
    return Truth.load(capture.path).phonemes if (capture.path / TRUTH_FOLDER / TRUTH_NAME).is_file() else ()


def _seen(avatar: Avatar, sound: NDArray[np.float32], landmarks: LandmarkFinder, progress: Progress) -> Gap:
    """Render a sound and return the gap [T] between the lips' landmarks in the pictures; NaN where no face is found."""
    gaps = []
    speech = avatar.speak(sound)
    for number, frame in enumerate(speech.frames(), start=1):
        found = landmarks.find(np.ascontiguousarray(frame.rgba[..., :3]))
        gaps.append(np.nan if found is None else float(lip_gaps(found[None])[0]))
        progress("retrack", number, speech.n_frames or number)
    return np.array(gaps)
