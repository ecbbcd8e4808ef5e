"""Pictures to compare: the avatar's in one moment, and the recording's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aednerf.avatar.avatar import Avatar
from aednerf.avatar.background import composite
from aednerf.capture.capture import Capture
from aednerf.core.records import Camera, Motion

Picture = NDArray[np.uint8]


def show(
    avatar: Avatar, motion: Motion, place: int, camera: Camera, plate: Picture, shot: int,
    view: NDArray[np.floating] | None = None,
) -> Picture:  # fmt: skip
    """Return the avatar [H, W, 3] in one moment of a motion, before a plate [H, W, 3]; else as for `cut_out`."""
    return composite(cut_out(avatar, motion, place, camera, shot, view), plate)[..., :3]


def cut_out(
    avatar: Avatar, motion: Motion, place: int, camera: Camera, shot: int, view: NDArray[np.floating] | None = None
) -> Tensor:
    """Return the avatar [H, W, 4], premultiplied, in one moment of a motion, standing as in a shot.

    Args:
        avatar: Who.
        motion: What it does.
        place: Which row of the motion.
        camera: Of the picture.
        shot: The shot of the recording that the torso stands as in.
        view: [3, 4] a rigid motion of the posed head in the camera's space; None leaves it.
    """
    with torch.inference_mode():
        return avatar.model.render(
            motion.rotation[place], motion.translation[place], motion.expression[place], motion.residual[place],
            camera, view=None if view is None else view.astype(np.float32), shot=shot, posture=motion.posture[place],
        )  # fmt: skip


def real_frames(capture: Capture, wanted: Iterable[int]) -> Iterator[tuple[int, Picture, Picture]]:
    """Yield (frame, its picture, its part labels) of the wanted frames, ascending, decoding each stretch once."""
    for stretch in _stretches(sorted(wanted)):
        first, end = stretch[0], stretch[-1] + 1
        is_wanted = set(stretch)
        for frame, real, parts in zip(
            range(first, end), capture.images(first, end), capture.parts(first, end), strict=True
        ):
            if frame in is_wanted:
                yield frame, real, parts


def _stretches(frames: list[int], gap: int = 50) -> list[list[int]]:
    """Split ascending frames where more than `gap` lie between two: there a seek is cheaper than decoding on."""
    stretches: list[list[int]] = []
    for frame in frames:
        if stretches and frame - stretches[-1][-1] <= gap:
            stretches[-1].append(frame)
        else:
            stretches.append([frame])
    return stretches
