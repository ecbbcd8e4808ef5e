"""A recording to learn from, with the emotion that the person shows in it, and its short form on the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from aednerf.core.errors import InputError
from aednerf.core.records import EMOTIONS, Emotion

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Clip:
    """One video file and what it shows.

    Raises:
        InputError: the emotion is none of the eight labels, or the intensity is outside [0, 1].
    """

    path: Path
    emotion: str = "neutral"
    """One of `EMOTIONS`, the same throughout the clip."""

    intensity: float = 1.0
    """In [0, 1]; MEAD's levels 1, 2, 3 are 1/3, 2/3, 1. `neutral` ignores it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        Emotion.of(self.emotion, self.intensity)


def parse_clip(text: str) -> Clip:
    """Read `VIDEO`, `VIDEO:EMOTION` or `VIDEO:EMOTION:INTENSITY`.

    A suffix counts only if it is one of the eight labels, so that colons elsewhere in a path (a drive letter, a time
    of day) stay part of it.

    >>> clip = parse_clip("me.mp4:happy:0.5")
    >>> str(clip.path), clip.emotion, clip.intensity
    ('me.mp4', 'happy', 0.5)
    >>> str(parse_clip("take 12:30.mp4").path)
    'take 12:30.mp4'

    Raises:
        InputError: there is no path, or the intensity is outside [0, 1].
    """
    path, emotion, intensity = text, "neutral", 1.0
    match text.rsplit(":", 2):
        case [*head, label] if label in EMOTIONS and head:
            path, emotion = ":".join(head), label
        case [head, label, number] if label in EMOTIONS and _NUMBER.fullmatch(number):
            path, emotion, intensity = head, label, float(number)
    if not path:
        raise InputError(f"Expected VIDEO[:EMOTION[:INTENSITY]], got {text!r}, which names no video.")
    return Clip(Path(path), emotion, intensity)


def as_clip(video: Clip | str | Path) -> Clip:
    """Return a clip as it is, read it from its short form, or make a neutral one of a path.

    Raises:
        InputError: the short form names no video, or an intensity outside [0, 1].
    """
    if isinstance(video, Clip):
        return video
    return parse_clip(video) if isinstance(video, str) else Clip(video)


def require_clip(text: str) -> Clip:
    """Read a clip as `parse_clip` does, and check that its file is there.

    Raises:
        InputError: the file does not exist; where the text ends in what may be a mistyped label, the labels are named.
    """
    clip = parse_clip(text)
    if clip.path.is_file():
        return clip
    if clip.path.is_dir():
        raise InputError(f"{clip.path} is a folder; expected a video file.")
    base, colon, suffix = str(clip.path).rpartition(":")
    if colon and Path(base).is_file():
        raise InputError(f"Unknown emotion {suffix!r} in {text!r}. The labels are: {', '.join(EMOTIONS)}.")
    raise InputError(f"{clip.path} does not exist; expected a video file.")
