"""Captures: made from videos, looked at again, exchanged with other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from aednerf.commands.options import Out
from aednerf.core.errors import InputError


def prepare(
    videos: Annotated[tuple[str, ...], Positional, arg(metavar="VIDEO[:EMOTION[:INTENSITY]]...")],
    /,
    *,
    out: Out,
    size: int = 512,
    max_seconds: Annotated[float | None, arg(metavar="FLOAT")] = None,
    face: str = "largest",
    consent: str = "",
    force: bool = False,
) -> None:
    """Turn videos of one person talking into a capture: a folder that holds all that training needs.

    Each video may say which emotion it shows (neutral, angry, contempt, disgusted, fear, happy, sad, surprised) and
    how strongly, from 0 to 1. Interrupted work is continued when the command is given again.

    For example: aednerf prepare me.mp4 smiling.mp4:happy:0.8 -o captures/me

    Args:
        videos: the recordings, all of the same person.
        out: the capture to make.
        size: width and height of its pictures, in pixels; even.
        max_seconds: take only the first seconds of each video.
        face: which face, where there are several: `largest`, or a number from 1, left to right.
        consent: a note on the person's consent, kept in the capture and its avatars.
        force: replace a finished capture.
    """
    from aednerf.capture.clip import require_clip
    from aednerf.capture.steps import prepare as run
    from aednerf.terminal import Steps

    if not videos:
        raise InputError("Expected at least one video: aednerf prepare VIDEO[:EMOTION[:INTENSITY]]... -o CAPTURE.")
    clips = [require_clip(video) for video in videos]
    with Steps() as steps:
        capture = run(clips, out, size, max_seconds, face, consent, force, steps)
    for finding in capture.manifest.health.get("findings", ()):
        if finding["severity"] != "note":
            print(f"{finding['severity']}: {finding['measured']} {finding['advice']}")
    print(f"{capture.path}: {capture.n_frames} frames. Look at {capture.path / 'report.html'} before you train.")


def capture_report(capture: Positional[Path]) -> None:
    """Write the health report of a capture again, and print its findings.

    For example: aednerf capture report captures/me

    Args:
        capture: a folder that `aednerf prepare` made.
    """
    from aednerf.capture.capture import Capture
    from aednerf.capture.report import write_report

    print(write_report(Capture.open(capture)).text)


def capture_export(
    capture: Positional[Path],
    /,
    *,
    out: Out,
    format: Literal["rad-nerf"] = "rad-nerf",
    clip: Annotated[str | None, arg(metavar="NAME")] = None,
    audio_features: Annotated[Path | None, arg(metavar="FILE")] = None,
    parsing: Literal["rad-nerf", "talking-gaussian"] = "rad-nerf",
    force: bool = False,
) -> None:
    """Write a capture as RAD-NeRF, ER-NeRF, SyncTalk and TalkingGaussian read it.

    One clip is one folder; of several clips each gets a folder of its own inside OUT. Interrupted work is continued
    when the command is given again.

    For example: aednerf capture export captures/me -o data/me --format rad-nerf

    Args:
        capture: a folder that `aednerf prepare` made.
        out: the folder to make.
        format: rad-nerf is the layout that all four share.
        clip: export only the clip of this name.
        audio_features: speech features to write in place of ours, .npy [N, 16, 29], one row a frame of the clip.
        parsing: colours of the part pictures; talking-gaussian also tells hair and the mouth's inside apart.
        force: replace an earlier export.
    """
    from aednerf.capture.capture import Capture
    from aednerf.capture.rad_nerf_export import export_rad_nerf
    from aednerf.terminal import Steps

    with Steps() as steps:
        made = export_rad_nerf(Capture.open(capture), out, clip, audio_features, parsing, force, steps)
    print(*(f"note: {note}" for note in made.notes), *made.folders, sep="\n")


def capture_import(
    folders: Annotated[tuple[str, ...], Positional, arg(metavar="DIR[:EMOTION[:INTENSITY]]...")],
    /,
    *,
    out: Out,
    format: Literal["rad-nerf"] = "rad-nerf",
    tracking: Literal["auto", "given", "own"] = "auto",
    masks: Literal["given", "own"] = "given",
    allow_missing: bool = False,
    consent: str = "",
    force: bool = False,
) -> None:
    """Make a capture of folders that RAD-NeRF, ER-NeRF, SyncTalk or TalkingGaussian train from.

    Pictures, landmarks and poses are counted against each other first. Interrupted work is continued when the command
    is given again.

    For example: aednerf capture import data/obama -o captures/obama --format rad-nerf

    Args:
        folders: the folders, all of the same person; each becomes a clip.
        out: the capture to make.
        format: rad-nerf is the layout that all four share.
        tracking: auto restores an export of ours exactly and tracks the face anew in other folders; given keeps the
            folder's poses and tracks the rest; own tracks all.
        masks: given takes parts and background from the folder; own cuts the person out anew, with soft hair.
        allow_missing: count pictures that lack landmarks or a pose as frames without a face.
        consent: a note on the person's consent; by default what an export of ours says.
        force: replace a finished capture.
    """
    from aednerf.capture.rad_nerf_import import import_rad_nerf
    from aednerf.terminal import Steps

    if not folders:
        raise InputError("Expected at least one folder: aednerf capture import DIR -o CAPTURE --format rad-nerf.")
    with Steps() as steps:
        made = import_rad_nerf(folders, out, tracking, masks, allow_missing, consent, force, steps)
    print(*(f"note: {note}\n" for note in made.notes), sep="", end="")
    path = made.capture.path
    print(f"{path}: {made.capture.n_frames} frames. Look at {path / 'report.html'} before you train.")
