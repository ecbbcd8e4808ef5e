"""Show a capture again through an avatar, compare every frame with the real one, and write a report."""

from __future__ import annotations

import time
from contextlib import nullcontext
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
from aednerf.evaluation.figures import RowFigures, Tally
from aednerf.evaluation.lips import LandmarkFinder, MediaPipeLandmarks
from aednerf.evaluation.metrics import lmd, pasted_psnr, score
from aednerf.evaluation.pictures import real_frames, show
from aednerf.evaluation.protocols import GENERATED, RECONSTRUCTION, TRAIN, Row, self_rows
from aednerf.evaluation.regions import regions_of
from aednerf.evaluation.report import Report, describe_run
from aednerf.evaluation.steadiness import SteadinessTally
from aednerf.evaluation.view_report import ViewReport
from aednerf.evaluation.views import measure_views

Picture = NDArray[np.uint8]

PROTOCOLS = ("self", "view")
N_EXAMPLES = 6


def evaluate(
    avatar: Avatar, capture: Capture, out: str | Path, protocol: str = "self", every: int = 1,
    max_frames: int | None = None, progress: Progress = silent, force: bool = False,
    landmarks: LandmarkFinder | None = None, truth: Capture | None = None,
) -> Report | ViewReport:  # fmt: skip
    """Measure an avatar on a capture and write `report.json`, `report.md`, `comparison.png` and, for `self`, an mp4.

    Args:
        avatar: The avatar.
        capture: The recording, usually the one that the avatar was trained on: only its test part is measured, beside
            one row of training frames.
        out: The folder to write.
        protocol: `self`, or `view` (unseen cameras, which only computer-generated captures have).
        every: Measure every so-manieth test frame.
        max_frames: Measure at most so many test frames, spread evenly; of `view`, as many moments from each camera.
        progress: Called after every frame.
        force: Replace a report that exists.
        landmarks: What finds the lips; None is MediaPipe, where this machine has it.
        truth: For `view`, the computer-generated capture whose bare videos `capture` was prepared from; None where
            `capture` is that one itself.
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
