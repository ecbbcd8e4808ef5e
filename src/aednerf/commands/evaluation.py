"""An avatar measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from aednerf.commands.options import Device, Out


def evaluate(
    avatar: Positional[Path],
    capture: Positional[Path],
    /,
    *,
    out: Out,
    protocol: Literal["self", "cross", "view", "emotion"] = "self",
    retrack: bool = False,
    truth: Annotated[Path | None, arg(metavar="CAPTURE")] = None,
    audio: tuple[Path, ...] = (),
    others: Annotated[tuple[Path, ...], arg(metavar="CAPTURE...")] = (),
    every: int = 1,
    max_frames: Annotated[int | None, arg(metavar="INT")] = None,
    device: Device = "auto",
    force: bool = False,
) -> None:
    """Measure an avatar: on what it has not seen of a recording, other people's speech, unseen cameras, emotions.

    Writes a folder with report.json, report.md, pictures except for cross, and for self a side-by-side video.

    For example: aednerf evaluate avatars/me captures/me -o reports/me

    Args:
        avatar: a bundle that `aednerf train` made.
        capture: the capture that it was trained on.
        out: the folder to write.
        protocol: self drives the avatar with the recording's own motion and speech; cross with other people's, given
            by --audio, and measures its lips against the sound; view looks at the head from the unseen cameras of a
            capture that `aednerf synthesize` made; emotion renders speech with every emotion, at eleven intensities,
            and reads the faces again (with MediaPipe): do they look like the capture's own clips?
        retrack: for cross, also render the speech and look for the lips in the pictures (slow).
        truth: for view, the synthesized capture whose bare videos CAPTURE was prepared from.
        audio: for cross, sound files; NAME.phonemes.json beside one says when which sound is spoken, so that closed
            lips can be counted. For emotion, the speech; by default the sound of CAPTURE's longest neutral clip.
        others: for emotion, captures of other people with emotional clips, neutral among them: a judge who learned from
            these says which emotion it sees (confusion.png).
        every: measure every so-manieth frame.
        max_frames: measure at most so many frames, spread evenly; for cross and emotion, the first ones of each sound.
        device: where to compute; auto takes the GPU where there is one.
        force: replace a report that exists.
    """
    from aednerf.avatar.avatar import Avatar
    from aednerf.capture.capture import Capture
    from aednerf.evaluation.evaluate import evaluate as run
    from aednerf.terminal import Steps

    recording = Capture.open(capture)
    loaded = Avatar.load(avatar, device)
    with Steps() as steps:
        exact = None if truth is None else Capture.open(truth)
        people = [Capture.open(path) for path in others]
        run(
            loaded, recording, out, protocol, every, max_frames, steps, force, truth=exact, audio=audio,
            retrack=retrack, others=people,
        )  # fmt: skip
    print((out / "report.md").read_text(encoding="utf-8"))
    print(f"{out}: {', '.join(sorted(path.name for path in out.iterdir()))}")
