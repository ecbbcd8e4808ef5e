"""An avatar learned from a capture."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from aednerf.commands.options import Device, Out


def train(
    capture: Positional[Path],
    /,
    *,
    out: Out,
    preset: Literal["smoke", "fast", "full"] = "fast",
    device: Device = "auto",
    seed: int = 0,
    resume: bool = False,
    force: bool = False,
) -> None:
    """Learn an avatar from a capture.

    Interrupted work is continued when the command is given again.

    For example: aednerf train captures/me -o avatars/me --preset fast

    Args:
        capture: a folder that `aednerf prepare` made.
        out: the avatar to make.
        preset: smoke (a small picture in minutes, even on a processor), fast (minutes on a GPU) or full (the best).
        device: where to compute; auto takes the GPU where there is one.
        seed: of all chance in training.
        resume: insist on continuing an interrupted training: an error where there is none.
        force: replace a finished avatar, and forget an unfinished one.
    """
    from aednerf.terminal import Steps
    from aednerf.training.run import train as run

    with Steps() as steps:
        run(capture, out, preset, device, seed, resume, force, steps)
    print(f"{out}: trained. Let it speak: aednerf speak {out} --audio hello.wav -o hello.mp4")
