"""Show a capture again through an avatar, compare every frame with the real one, and write a report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aednerf.avatar.avatar import Avatar
from aednerf.capture.capture import Capture
from aednerf.core.errors import InputError
from aednerf.core.files import atomic_folder, require_absent
from aednerf.core.progress import Progress, silent
from aednerf.evaluation.comparison import Comparison, Sheet
from aednerf.evaluation.cross import measure_cross
from aednerf.evaluation.cross_report import CrossReport
from aednerf.evaluation.emotion import measure_emotion
from aednerf.evaluation.emotion_report import EmotionReport
from aednerf.evaluation.figures import RowFigures, Tally
from aednerf.evaluation.lips import LandmarkFinder, MediaPipeLandmarks
from aednerf.evaluation.metrics import lmd, pasted_psnr, score
from aednerf.evaluation.pictures import real_frames, show
from aednerf.evaluation.protocols import GENERATED, RECONSTRUCTION, TRAIN, Row, self_rows
from aednerf.evaluation.reading import FaceReader, MediaPipeReader
from aednerf.evaluation.regions import regions_of
from aednerf.evaluation.report import Report, describe_run
from aednerf.evaluation.steadiness import SteadinessTally
from aednerf.evaluation.view_report import ViewReport
from aednerf.evaluation.views import measure_views

Picture = NDArray[np.uint8]

PROTOCOLS = ("self", "cross", "view", "emotion")
N_EXAMPLES = 6


def evaluate(
    avatar: Avatar, capture: Capture, out: str | Path, protocol: str = "self", every: int = 1,
    max_frames: int | None = None, progress: Progress = silent, force: bool = False,
    landmarks: LandmarkFinder | None = None, truth: Capture | None = None, audio: Sequence[str | Path] = (),
    retrack: bool = False, others: Sequence[Capture] = (), reader: FaceReader | None = None,
) -> Report | ViewReport | CrossReport | EmotionReport:  # fmt: skip
    """Measure an avatar on a capture and write `report.json`, `report.md`, and what else the protocol gives.

    All but `cross` give pictures, `self` also an mp4.

    Args:
        avatar: The avatar.
        capture: The recording, usually the one that the avatar was trained on: only its test part is measured, beside
            one row of training frames.
        out: The folder to write.
        protocol: `self`, `cross` (driven by other people's speech), `view` (unseen cameras, which only
            computer-generated captures have), or `emotion` (how the emotions look in rendered speech).
        every: Measure every so-manieth test frame.
        max_frames: Measure at most so many test frames, spread evenly; of `view`, as many moments from each camera;
            of `cross` and `emotion`, so many first frames of each sound.
        progress: Called after every frame.
        force: Replace a report that exists.
        landmarks: What finds the lips; None is MediaPipe, where this machine has it.
        truth: For `view`, the computer-generated capture whose bare videos `capture` was prepared from; None where
            `capture` is that one itself.
        audio: For `cross`, the sound files; for `emotion`, the speech, without which the sound of the recording's
            longest neutral clip is taken.
        retrack: For `cross`, also render the speech and look for the lips in the pictures.
        others: For `emotion`, captures of other people, from which a judge learns to tell emotions apart.
        reader: For `emotion`, what reads faces from pictures; None is MediaPipe, where this machine has it.
    Returns:
        The report.
    Raises:
        InputError: the output exists, the protocol is unknown, or avatar and capture do not fit together.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"Unknown protocol {protocol!r}. This version measures: {', '.join(PROTOCOLS)}.")
    out = require_absent(out, force)
    if out.exists() and not (out / "report.json").is_file():
        raise InputError(f"{out} exists and is no report that could be replaced. Choose another name.")
    if audio and protocol not in ("cross", "emotion"):
        raise InputError("Sounds belong to the protocols cross and emotion: add --protocol cross or emotion.")
    if retrack and protocol != "cross":
        raise InputError("Looking for lips in pictures belongs to the protocol cross: add --protocol cross.")
    if others and protocol != "emotion":
        raise InputError("Other people's captures belong to the protocol emotion: add --protocol emotion.")
    if protocol == "cross":
        return _evaluate_cross(avatar, capture, out, audio, every, max_frames, progress, retrack, landmarks, truth)
    if protocol == "emotion":
        return _evaluate_emotion(avatar, capture, out, audio, others, every, max_frames, progress, reader, truth)
    if protocol == "view":
        with atomic_folder(out) as folder:
            report = measure_views(avatar, capture, truth, folder, every, max_frames, progress)
            report.save(folder)
        return report
    if truth is not None:
        raise InputError("A truth belongs to the protocol view only.")
    return _evaluate_self(avatar, capture, out, every, max_frames, progress, landmarks)


def _evaluate_self(
    avatar: Avatar, capture: Capture, out: Path, every: int, max_frames: int | None, progress: Progress,
    landmarks: LandmarkFinder | None,
) -> Report:  # fmt: skip
    rows, missing = self_rows(avatar, capture, every, max_frames)
    for name, module, package in (("ssim", "torchmetrics", "torchmetrics"), ("comparison.mp4", "av", "PyAV")):
        if find_spec(module) is None:
            missing[name] = f"{package} is not installed"
    with atomic_folder(out) as folder:
        if landmarks is None:
            with MediaPipeLandmarks() as found:
                figures = _measure(avatar, capture, rows, found, folder, progress, every)
        else:
            figures = _measure(avatar, capture, rows, landmarks, folder, progress, every)
        run = describe_run(avatar, capture, {"protocol": "self", "every": every, "max_frames": max_frames})
        report = Report(tuple(figures), missing, run)
        report.save(folder)
    return report


def _evaluate_cross(
    avatar: Avatar, capture: Capture, out: Path, audio: Sequence[str | Path], every: int, max_frames: int | None,
    progress: Progress, retrack: bool, landmarks: LandmarkFinder | None, truth: Capture | None,
) -> CrossReport:  # fmt: skip
    if truth is not None or every != 1:
        raise InputError("The protocol cross takes no truth, and no every: lips are measured in every frame.")
    with ExitStack() as stack:
        finder = None
        if retrack:
            finder = landmarks or stack.enter_context(MediaPipeLandmarks())
            if finder.reason:
                raise InputError(f"The lips cannot be looked for in pictures: {finder.reason}. Leave --retrack out.")
        report = measure_cross(avatar, capture, audio, max_frames, progress, finder)
        report.save(stack.enter_context(atomic_folder(out)))
    return report


def _evaluate_emotion(
    avatar: Avatar, capture: Capture, out: Path, audio: Sequence[str | Path], others: Sequence[Capture], every: int,
    max_frames: int | None, progress: Progress, reader: FaceReader | None, truth: Capture | None,
) -> EmotionReport:  # fmt: skip
    if truth is not None or every != 1:
        raise InputError("The protocol emotion takes no truth, and no every: limit the speech by --max-frames.")
    if max_frames is not None and max_frames < 1:
        raise InputError(f"Max-frames must be at least 1, got {max_frames}.")
    with atomic_folder(out) as folder, nullcontext(reader) if reader is not None else MediaPipeReader() as found:
        report = measure_emotion(avatar, capture, folder, found, audio, others, max_frames, progress)
        report.save(folder)
    return report


def _measure(
    avatar: Avatar, capture: Capture, rows: list[Row], landmarks: LandmarkFinder, folder: Path, progress: Progress,
    every: int,
) -> list[RowFigures]:  # fmt: skip
    """Render and compare all frames in one pass over the capture, and write the comparison on the way."""
    tallies, steadiness = {row.name: Tally() for row in rows}, SteadinessTally()
    places = {row.name: {int(frame): i for i, frame in enumerate(row.frames)} for row in rows}
    wanted = sorted(set().union(*places.values()))
    test = rows[0].frames
    examples = set(test[np.linspace(0, len(test) - 1, min(N_EXAMPLES, len(test))).round().astype(int)].tolist())
    shown = [row.name for row in rows if row.name != TRAIN]
    sheet = Sheet(shown)
    shown_shot, camera, plate = 0, capture.camera(0), capture.plate(0)
    video = Comparison(folder / "comparison.mp4", shown, capture, with_audio=every == 1) if find_spec("av") else None
    with video or nullcontext():
        for done, (frame, real, parts) in enumerate(real_frames(capture, wanted), start=1):
            shot = capture.shot_of(frame)
            if shot != shown_shot:
                shown_shot, camera, plate = shot, capture.camera(capture.shots[shot].clip), capture.plate(shot)
            here = [row for row in rows if frame in places[row.name]]
            tracked_px = capture.tracking.landmarks_px[frame]
            regions = regions_of(tracked_px, parts)
            real_px = landmarks.find(real) if not landmarks.reason else None
            pictures: dict[str, Picture] = {}
            for row in here:
                tally = tallies[row.name]
                started = time.perf_counter()
                ours = show(avatar, row.motion, places[row.name][frame], camera, plate, shot)
                tally.seconds.append(time.perf_counter() - started)
                tally.scores.append(score(ours, real, regions, avatar.device.type))
                tally.pasted_psnr.append(pasted_psnr(ours, real, regions["head"]))
                if real_px is not None:
                    ours_px = landmarks.find(ours)
                    if ours_px is None:
                        tally.n_without_face += 1
                    else:
                        tally.lmd.append(lmd(ours_px, real_px, capture.size))
                pictures[row.name] = ours
            # Where the head is elsewhere than in the recording, nothing can be compared along its motion.
            steadiness.add(frame, shot, real, parts, {k: v for k, v in pictures.items() if k != GENERATED})
            if RECONSTRUCTION in pictures:
                if video is not None:
                    video.add(frame, real, pictures)
                if frame in examples:
                    sheet.add(frame, real, pictures, tracked_px)
            progress("evaluate", done, len(wanted))
    sheet.save(folder / "comparison.png")
    return [tally.figures(name, landmarks.reason, steadiness.of(name)) for name, tally in tallies.items()]
