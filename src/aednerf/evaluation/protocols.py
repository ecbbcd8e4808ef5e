"""The rows of an evaluation: which frames of a capture are shown again, and by which motion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aednerf.avatar.avatar import Avatar
from aednerf.avatar.sound import Sound
from aednerf.capture.capture import Capture
from aednerf.core.errors import InputError
from aednerf.core.records import Motion
from aednerf.core.units import SAMPLES_PER_FRAME
from aednerf.emotion.space import EmotionTrack
from aednerf.motion.channels import SPEECH_COLUMNS

RECONSTRUCTION = "reconstruction"
WITHOUT_RESIDUAL = "reconstruction, residual 0"
TRAIN = "reconstruction, train frames"
PEERS = "self-driven, peers' protocol"
GENERATED = "self-driven, all generated"

EXPLANATIONS = {
    RECONSTRUCTION: "Everything tracked on the test frames themselves: pose, posture, expression, residual code.",
    WITHOUT_RESIDUAL: "Pose, posture, expression tracked; the residual code, which reads the frame's own pixels, is 0.",
    TRAIN: "Everything tracked, on frames that were trained on: the gap to the first row is what does not generalise.",
    PEERS: "Lower face and residual from the test part's speech; pose, posture, blinks, gaze and brows tracked.",
    GENERATED: "Everything from the test part's speech, pose included: the head is elsewhere than in the recording.",
}


@dataclass(frozen=True)
class Row:
    """One way to show frames of the capture again."""

    name: str
    frames: NDArray[np.int64]
    """[N] frames of the capture, ascending."""

    motion: Motion
    """[N] what is rendered for each of them."""

    def __post_init__(self) -> None:
        assert len(self.frames) == len(self.motion), self.name


def self_rows(
    avatar: Avatar, capture: Capture, every: int = 1, max_frames: int | None = None
) -> tuple[list[Row], dict[str, str]]:
    """Return the rows of the protocol `self`, and for rows that cannot be had the reason.

    Args:
        avatar: Whose voice drives the self-driven rows.
        capture: The recording.
        every: Take every so-manieth test frame.
        max_frames: Take at most so many of them, spread over all.
    Raises:
        InputError: `every` or `max_frames` is below 1, the capture has no test frame, or its codes do not fit the
            avatar.
    """
    test = chosen(capture.test_frames, every, max_frames)
    train = spread(capture.train_frames, len(test))
    tracked = avatar.fitted(capture.motion(test))
    rows = [
        Row(RECONSTRUCTION, test, tracked),
        Row(WITHOUT_RESIDUAL, test, replace(tracked, residual=np.zeros_like(tracked.residual))),
        Row(TRAIN, train, avatar.fitted(capture.motion(train))),
    ]
    rows = [row for row in rows if len(row.frames)]
    if avatar.voice is None:
        return rows, dict.fromkeys((PEERS, GENERATED), "the avatar has no motion network")
    pieces = [(frames, motion) for frames, motion in _driven(avatar, capture, test) if len(frames)]
    if not pieces:
        return rows, dict.fromkeys((PEERS, GENERATED), "the capture has no sound in its test part")
    frames = np.concatenate([frames for frames, _ in pieces])
    spoken = avatar.fitted(Motion.concatenate([motion for _, motion in pieces]))
    rows.append(Row(PEERS, frames, with_tracked_upper_face(spoken, avatar.fitted(capture.motion(frames)))))
    rows.append(Row(GENERATED, frames, spoken))
    return rows, {}


def chosen(frames: NDArray[np.int64], every: int, max_frames: int | None) -> NDArray[np.int64]:
    """Return every so-manieth frame, and of these at most `max_frames`, spread evenly.

    Raises:
        InputError: a number is below 1, or there is no frame.
    """
    if every < 1 or (max_frames is not None and max_frames < 1):
        raise InputError(f"Every and max-frames must be at least 1, got {every} and {max_frames}.")
    if not len(frames):
        raise InputError("The capture has no test frame with a face. Record a longer video.")
    frames = frames[::every]
    return frames if max_frames is None else spread(frames, max_frames)


def spread(frames: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return at most `n` of the frames, evenly spread from the first to the last."""
    return frames[np.linspace(0, len(frames) - 1, min(n, len(frames))).round().astype(int)]


def with_tracked_upper_face(spoken: Motion, tracked: Motion) -> Motion:
    """Return the tracked motion whose lower face and residual are the spoken one's, as the peers' protocol has it."""
    expression = tracked.expression.copy()
    expression[:, SPEECH_COLUMNS] = spoken.expression[:, SPEECH_COLUMNS]
    return replace(tracked, expression=expression, residual=spoken.residual)


def _driven(avatar: Avatar, capture: Capture, test: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Motion]]:
    """Yield, for every clip with sound, its test frames and the motion that the test part's own speech gives."""
    assert avatar.voice is not None
    for index, clip in enumerate(capture.clips):
        frames = test[(test >= clip.train_end) & (test < clip.end)]
        samples = capture.audio(index)
        if samples is None or not len(frames):
            continue
        spoken = samples[(clip.train_end - clip.first) * SAMPLES_PER_FRAME : clip.n_frames * SAMPLES_PER_FRAME]
        emotion = EmotionTrack.constant(capture.emotion(clip.first))
        pieces = list(avatar.voice.generate(Sound(spoken).chunks(), emotion))
        if pieces:
            motion = Motion.concatenate(pieces)
            places = frames - clip.train_end
            yield frames[places < len(motion)], motion[places[places < len(motion)]]
