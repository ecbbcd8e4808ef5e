"""The protocol `view`: an avatar from cameras that never recorded it, against what they truly saw.

Only computer-generated captures know that. An avatar that was trained on such a capture shares its head frame; one that
was trained on what `prepare` made of the bare video is aligned by one similarity (`alignment`), and takes the truth's
pose and its own capture's expression of the same moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aednerf.avatar.avatar import Avatar
from aednerf.avatar.background import composite
from aednerf.capture.capture import Capture
from aednerf.capture.held_out import HeldOutViews
from aednerf.capture.truth import FOREGROUND_NAME, TRUTH_FOLDER
from aednerf.core.errors import InputError
from aednerf.core.progress import Progress
from aednerf.core.records import Motion
from aednerf.evaluation.alignment import Similarity, align, true_frames
from aednerf.evaluation.comparison import ViewExample, ViewSheet
from aednerf.evaluation.halo import SEAM_PX, Cutout, blurred, halo
from aednerf.evaluation.metrics import score
from aednerf.evaluation.pictures import cut_out, real_frames
from aednerf.evaluation.protocols import chosen
from aednerf.evaluation.regions import HEAD_LABEL
from aednerf.evaluation.report import capture_digests, describe_run
from aednerf.evaluation.view_report import OWN_CAMERA, ViewReport, ViewTally
from aednerf.media.frames import decode_frames

Picture = NDArray[np.uint8]


class Sight(NamedTuple):
    """What a camera truly saw in a frame of the exact capture."""

    camera: str
    motion: NDArray[np.float32]
    """[3, 4] the camera's motion from the recording's."""

    frame: int
    picture: Picture
    """[H, W, 3] before the recording's plate."""

    head: NDArray[np.bool_]
    """[H, W]."""

    cutout: Cutout | None
    """The person alone; None where the capture does not have it."""


@dataclass(frozen=True)
class Stand:
    """Where the avatar stands before the true cameras."""

    exact: Capture
    capture: Capture
    """The avatar's own; the exact one itself, or one prepared from its bare videos."""

    similarity: Similarity
    own_frame: NDArray[np.int64]
    """[T] the avatar's capture's frame of each frame of the exact one; -1 where it has none with a face."""

    motion: Motion
    """Of the avatar's capture, all frames, with codes of the avatar's length."""

    @staticmethod
    def of(avatar: Avatar, capture: Capture, truth: Capture | None) -> Stand:
        """Find out where the avatar stands.

        Raises:
            InputError: the captures do not belong together, or the avatar does not fit its own.
        """
        motion = avatar.fitted(capture.motion(slice(None)))
        exact = capture if truth is None else truth
        own = np.full(exact.n_frames, -1, np.int64)
        valid = np.flatnonzero(capture.tracking.valid)
        if truth is None:
            own[valid] = valid
            return Stand(exact, capture, Similarity.identity(), own, motion)
        own[true_frames(capture, truth)[valid]] = valid
        return Stand(exact, capture, align(capture, truth), own, motion)

    def view(self, frame: int, motion: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return the motion [3, 4] that takes the avatar, posed as it was tracked in a frame, before a true camera.

        The tracked pose itself is kept as the avatar's pose, because the torso and the shading follow it.
        """
        exact, own = self.exact.tracking, int(self.own_frame[frame])
        pose = exact.rotation[frame].astype(float), exact.translation[frame].astype(float)
        turned, moved = self.similarity.poses(*pose)
        turn = turned @ self.motion.rotation[own].astype(float).T
        carry = np.concatenate([turn, (moved - turn @ self.motion.translation[own])[:, None]], axis=1)
        return self.similarity.view(np.asarray(motion, float)) @ np.concatenate([carry, [[0, 0, 0, 1]]])


def measure_views(
    avatar: Avatar, capture: Capture, truth: Capture | None, folder: Path, every: int, max_frames: int | None,
    progress: Progress,
) -> ViewReport:  # fmt: skip
    """Measure an avatar from unseen cameras, and write `comparison.png`.

    Args:
        avatar: The avatar.
        capture: What it was trained on.
        truth: The exact capture with the views, where that is another one.
        folder: Where the picture goes.
        every: Take every so-manieth test frame and held-out moment.
        max_frames: Take at most so many of each, spread evenly.
        progress: Called after every picture.
    Raises:
        InputError: there are no views, or the captures and the avatar do not fit together.
    """
    exact = capture if truth is None else truth
    views = HeldOutViews.load(exact.path)
    stand = Stand.of(avatar, capture, truth)
    moments = _seen(stand, views.frames, "held-out moment")
    moments = chosen(moments, every, max_frames)
    test = chosen(_seen(stand, exact.test_frames, "test frame"), every, max_frames)
    tallies = {OWN_CAMERA: ViewTally(OWN_CAMERA)}
    tallies |= {view.name: ViewTally(view.name, view.yaw_deg, view.pitch_deg) for view in views.views}
    middle = {name: int(moments[len(moments) // 2]) for name in tallies} | {OWN_CAMERA: int(test[len(test) // 2])}
    sheet, total, is_test = ViewSheet(), len(test) + len(moments) * len(views.views), set(exact.test_frames.tolist())
    for done, sight in enumerate(_sights(exact, views, test, moments), start=1):
        person = _ours(avatar, stand, sight)
        ours = composite(person, exact.plate(exact.shot_of(sight.frame)))[..., :3]
        head = score(ours, sight.picture, {"head": sight.head}, avatar.device.type)["head"]
        tally = tallies[sight.camera]
        tally.frames.append(sight.frame)
        tally.is_test.append(sight.frame in is_test)
        tally.scores.append(head)
        if sight.cutout is not None:
            cut = person.cpu().numpy()
            tally.halo.append(halo(cut, sight.cutout))
            tally.seam.append(halo(cut, sight.cutout, SEAM_PX))
            tally.halo_blurred.append(halo(blurred(sight.cutout), sight.cutout))
        example = ViewExample(sight.camera, sight.frame, sight.picture, ours, sight.head, head["psnr"])
        sheet.add(example, is_middle=sight.frame == middle[sight.camera])
        progress("evaluate", done, total)
    sheet.save(folder / "comparison.png")
    settings = {"protocol": "view", "every": every, "max_frames": max_frames}
    run = describe_run(avatar, capture, settings)
    if truth is not None:
        run |= {"truth": capture_digests(truth), "alignment": _described(stand.similarity)}
    return ViewReport(tuple(tally.figures() for tally in tallies.values()), run)


def _seen(stand: Stand, frames: NDArray[np.int64], what: str) -> NDArray[np.int64]:
    found = frames[stand.own_frame[frames] >= 0]
    if not len(found):
        raise InputError(f"{stand.capture.path} tracked the face in no {what} of {stand.exact.path}.")
    return found


def _sights(
    exact: Capture, views: HeldOutViews, test: NDArray[np.int64], moments: NDArray[np.int64]
) -> Iterator[Sight]:
    """Yield the recording's own test frames, then every view's moments."""
    still = np.eye(3, 4, dtype=np.float32)
    for frame, picture, parts in real_frames(exact, test.tolist()):
        yield Sight(OWN_CAMERA, still, frame, picture, parts == HEAD_LABEL, _own_cutout(exact, frame, parts))
    for view in views.views:
        for frame in moments.tolist():
            straight, parts = views.image(view, frame), views.parts(view, frame)
            alpha = straight[..., 3:].astype(np.float32) / 255
            picture = straight[..., :3] * alpha + exact.plate(exact.shot_of(frame)) * (1 - alpha)
            yield Sight(
                view.name, view.motion, frame, np.rint(picture).astype(np.uint8), parts == HEAD_LABEL,
                Cutout(straight[..., :3], straight[..., 3], parts),
            )  # fmt: skip


def _own_cutout(exact: Capture, frame: int, parts: NDArray[np.uint8]) -> Cutout | None:
    """Return the person alone as the recording's own camera saw them, or None where the capture does not have it."""
    path = exact.path / TRUTH_FOLDER / FOREGROUND_NAME
    if not path.is_file():
        return None
    colour, alpha = next(decode_frames(path, frame, frame + 1)), next(exact.mattes(frame, frame + 1))
    return Cutout(colour, alpha, parts)


def _ours(avatar: Avatar, stand: Stand, sight: Sight) -> Tensor:
    """Return the avatar [H, W, 4], premultiplied, as a camera would have seen it in a moment."""
    exact, own = stand.exact, int(stand.own_frame[sight.frame])
    return cut_out(
        avatar, stand.motion, own, exact.camera(exact.clip_of(sight.frame)), stand.capture.shot_of(own),
        stand.view(sight.frame, sight.motion),
    )  # fmt: skip


def _described(similarity: Similarity) -> dict[str, object]:
    turn = np.degrees(np.arccos(np.clip((np.trace(similarity.rotation) - 1) / 2, -1, 1)))
    return {
        "scale": round(similarity.scale, 5), "rotation_deg": round(float(turn), 3),
        "shift_mm": np.round(similarity.shift * 1000, 2).tolist(), "rms_px": round(similarity.rms_px, 3),
        "frames": similarity.n_frames,
    }  # fmt: skip
