"""The computer-generated person: the demonstration, and filming one from a script."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from aednerf.commands.options import Device, Out


def demo(*, out: Out = Path("demo"), train: bool = False, device: Device = "auto", force: bool = False) -> None:
    """Let the computer-generated person who comes with the program speak: four emotions, an orbit, two backgrounds.

    Needs no network, no third-party model and no GPU: some minutes on a processor.

    For example: aednerf demo -o demo

    Args:
        out: the folder of the results: a video and a contact sheet of it.
        train: first train the avatar again, from the recording that comes with the program as well.
        device: where to compute; auto takes the GPU where there is one.
        force: replace results that exist, and an avatar that an earlier --train made.
    """
    from aednerf.synthetic.demo import demo as run
    from aednerf.synthetic.demo import usual_preset
    from aednerf.terminal import Steps

    with Steps() as steps:
        made = run(out, usual_preset(device) if train else None, device, force, steps)
    print(f"{made.video}: the video ({made.n_frames} pictures in {made.seconds:.0f} s)")
    print(f"{made.sheet}: the same at a glance")
    print("\nTry next:", *made.suggestions(), sep="\n    ")


def synthesize(
    script: Annotated[str, Positional, arg(metavar="SCRIPT")],
    /,
    *,
    out: Out,
    force: bool = False,
) -> None:
    """Film a computer-generated person from a script: a capture with the exact truth beside it.

    Interrupted work is continued when the command is given again.

    For example: aednerf synthesize demo -o captures/mara

    Args:
        script: a TOML file of sentences with emotions, or one that comes with the program: demo, mara, theo.
        out: the capture to make; its folder `truth` holds what no real recording has.
        force: replace a finished capture.
    """
    from aednerf.synthetic.recording import synthesize as run
    from aednerf.terminal import Steps

    with Steps() as steps:
        capture = run(script, out, force, steps)
    print(f"{capture.path}: {capture.n_frames} frames. Train on it: aednerf train {capture.path} -o AVATAR")
