"""Avatars in use: speech, and motion files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from aednerf.commands.options import Device, Out
from aednerf.core.errors import InputError

if TYPE_CHECKING:
    from aednerf.avatar.speech import Speech


def speak(
    avatar: Positional[Path],
    /,
    *,
    audio: tuple[Path, ...],
    out: Out,
    emotion: Annotated[str | None, arg(metavar="TEXT")] = None,
    intensity: float = 1.0,
    emotion_track: Annotated[Path | None, arg(metavar="FILE")] = None,
    camera: str = "front",
    background: str = "plate",
    expression: Annotated[Path | None, arg(metavar="FILE")] = None,
    mouth_gain: float = 1.0,
    audio_offset: float = 0.0,
    no_blink: bool = False,
    motion_out: Annotated[Path | None, arg(metavar="FILE")] = None,
    seed: int = 0,
    size: Annotated[int | None, arg(metavar="INT")] = None,
    crop: Annotated[str | None, arg(metavar="LEFT,TOP,WIDTH,HEIGHT")] = None,
    stereo: Annotated[float | None, arg(metavar="MM")] = None,
    aov: Annotated[str | None, arg(metavar="LAYERS")] = None,
    paste_back: Annotated[Path | None, arg(metavar="VIDEO")] = None,
    device: Device = "auto",
    force: bool = False,
) -> None:
    """Let an avatar say a sound file, with an emotion.

    For example: aednerf speak avatars/me --audio hello.wav -o hello.mp4 --emotion happy --intensity 0.7

    Args:
        avatar: a bundle that `aednerf train` made.
        audio: the speech, any file with sound. Several make one video each, in the folder OUT.
        out: the video to write: .mp4, .webm, .mov, or a name without an ending for a folder of PNG pictures.
        emotion: a label, or a mixture such as happy:0.6,sad:0.4; by default neutral. auto guesses it from the
            voice, which is no better than chance: of five acted voices it was right for none.
        intensity: of the emotion, 0 to 1.
        emotion_track: emotions over time, instead of one: a JSON file.
        camera: front, orbit, yaw=20,pitch=-5 (degrees; yaw > 0 towards the person's left), or a JSON file.
        background: plate (the recording's own), a picture, a video, #rrggbb, or transparent.
        expression: what to change about the face: JSON such as {"scale": {"jawOpen": 0.8}, "offset": {"browInnerUp":
            0.2}, "mask": ["eyeBlinkLeft"], "motion": "own.csv"}, each part optional (the names in mask are left to
            offset and motion alone), or a motion file to add.
        mouth_gain: factor on how far the mouth moves, 0 to 4.
        audio_offset: seconds by which the lips move earlier.
        no_blink: no blinks of its own.
        motion_out: write the motion as well, as .npz (exact) or .csv (Live Link).
        seed: of blinks, gaze and head motion; the same seed gives the same video.
        size: width of the picture in pixels, even; by default the recording's, or the crop's.
        crop: the part of the recording's picture to show: head, or left, top, width and height, in its pixels or as
            shares of it (0.2,0.1,0.6,0.6); by default all of it.
        stereo: two pictures side by side, for eyes so many millimetres apart (people's: 63); SIZE is each one's width.
        aov: layers for compositing, depth or normal or depth,normal: each a folder of PNG pictures beside OUT, such as
            hello-depth (16 bits, millimetres to the head) and hello-normal.
        paste_back: the original video of the recording: the picture is put back into it, in its place and size; what
            surrounds it is the recording itself, over and over.
        device: where to compute; auto takes the GPU where there is one.
        force: replace an output that exists.
    """
    from aednerf.avatar.avatar import Avatar
    from aednerf.core.files import require_absent
    from aednerf.emotion.prosody import AUTO, NOTICE
    from aednerf.motion.files import require_motion_name, save_motion
    from aednerf.terminal import Steps

    if not audio:
        raise InputError("Expected at least one sound file after --audio.")
    outputs = [out] if len(audio) == 1 else [out / f"{path.stem}.mp4" for path in audio]
    if len(set(outputs)) < len(outputs) or (motion_out and len(audio) > 1):
        raise InputError("Several sound files need different names, and take no --motion-out.")
    if motion_out:
        require_absent(require_motion_name(motion_out), force)
    if emotion == AUTO:
        print(NOTICE, file=sys.stderr)
    loaded = Avatar.load(avatar, device)
    for path, output in zip(audio, outputs, strict=True):
        speech = loaded.speak(
            path, emotion, intensity, emotion_track, camera, background, expression, mouth_gain, audio_offset,
            not no_blink, seed, size, crop, stereo, aov, paste_back,
        )  # fmt: skip
        with Steps() as steps:
            speech.save(output, force, steps)
        if motion_out:
            save_motion(motion_out, speech.motion)
        _tell(output, speech)


def render(
    avatar: Positional[Path],
    /,
    *,
    motion: Annotated[Path, arg(metavar="FILE")],
    out: Out,
    camera: str = "front",
    background: str = "plate",
    size: Annotated[int | None, arg(metavar="INT")] = None,
    crop: Annotated[str | None, arg(metavar="LEFT,TOP,WIDTH,HEIGHT")] = None,
    stereo: Annotated[float | None, arg(metavar="MM")] = None,
    aov: Annotated[str | None, arg(metavar="LAYERS")] = None,
    paste_back: Annotated[Path | None, arg(metavar="VIDEO")] = None,
    device: Device = "auto",
    force: bool = False,
) -> None:
    """Let an avatar show the expressions and poses of a motion file, without speech.

    For example: aednerf render avatars/me --motion live_link.csv -o me.mp4

    Args:
        avatar: a bundle that `aednerf train` made.
        motion: .npz of aednerf, or .csv of Live Link.
        out: as for `aednerf speak`.
        camera: as for `aednerf speak`.
        background: as for `aednerf speak`.
        size: width of the picture in pixels, even; by default the recording's, or the crop's.
        crop: as for `aednerf speak`.
        stereo: as for `aednerf speak`.
        aov: as for `aednerf speak`.
        paste_back: as for `aednerf speak`.
        device: where to compute; auto takes the GPU where there is one.
        force: replace an output that exists.
    """
    from aednerf.avatar.avatar import Avatar
    from aednerf.terminal import Steps

    shown = Avatar.load(avatar, device).render(motion, camera, background, size, crop, stereo, aov, paste_back)
    with Steps() as steps:
        shown.save(out, force, steps)
    _tell(out, shown)


def _tell(output: Path, speech: Speech) -> None:
    """Print where an output is, and what is to be known of it."""
    print(output)
    if speech.scene.notice:
        print(f"note: {speech.scene.notice}")
