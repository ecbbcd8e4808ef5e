"""capture.json: what a capture is made of, where each clip stands in it, and how healthy it is."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aednerf.core.errors import InputError
from aednerf.core.files import read_json, write_json
from aednerf.core.records import EMOTIONS, Camera, Emotion

SCHEMA = 1
"""The version of capture.json that this program writes and reads."""

MANIFEST_NAME = "capture.json"

_SAFE_NAME = re.compile(r"[\w][\w.-]*")


@dataclass(frozen=True)
class Crop:
    """One fixed square of a clip's source pictures, in source pixels after rotation; it may reach over the edge."""

    x: float
    y: float
    size: float


@dataclass(frozen=True)
class Source:
    """The file that a clip was read from, as it was when the capture was made."""

    file: str
    """The file's name, without its folder: a capture can be handed on without telling where it was made."""

    sha256: str
    licence: str = ""
    width: int = 0
    height: int = 0
    fps: float = 0.0
    duration_s: float = 0.0
    is_variable_rate: bool = False
    is_hdr: bool = False
    bit_depth: int = 8


@dataclass(frozen=True)
class Measured:
    """What `prepare` measured on a clip on its way and the capture's other files do not tell; None: not measured."""

    track_error_px: float | None = None
    """Weighted rms distance of the optical-flow tracks from the rigid head."""

    jitter_deg: float | None = None
    """Rms second difference of the head's rotation."""

    detector_jitter_deg: float | None = None
    """The same of the rotation from the detected landmarks alone."""

    is_focal_observable: bool | None = None
    """Whether the head turned enough to tell the focal length; if not, it is a usual one."""

    backdrop_seen: float | None = None
    """The share of the picture, in [0, 1], where the backdrop was really seen."""

    backdrop_motion: float | None = None
    """Rms change of the backdrop in code values: 2 to 4 is still, above 10 it moves or the camera does."""

    flags: tuple[str, ...] = ()
    """What did not go the usual way in the tracking of the head, as `face.head_track` names it."""


@dataclass(frozen=True)
class ClipRecord:
    """One clip of a capture: its frames `[first, end)` in every file, and its own camera, crop and emotion."""

    name: str
    first: int
    end: int
    emotion: str
    intensity: float
    audio: str | None
    """`audio/<name>.wav`, or None for a silent clip."""

    crop: Crop
    focal_px: float
    cx: float
    cy: float
    source: Source
    cuts: tuple[int, ...] = ()
    """Frames (of the capture) that start a new shot."""

    n_others: int = 0
    """How many other people the source shows for a tenth of the time or more."""

    measured: Measured = Measured()

    @property
    def n_frames(self) -> int:
        """How many frames the clip has, invalid ones included."""
        return self.end - self.first

    @property
    def train_end(self) -> int:
        """Where the training part ends and the test part begins."""
        return train_end(self.first, self.end)

    @property
    def shots(self) -> tuple[tuple[int, int], ...]:
        """The clip's stretches `[first, end)` between cuts: one camera set-up each."""
        edges = (self.first, *self.cuts, self.end)
        return tuple(zip(edges[:-1], edges[1:], strict=True))

    @property
    def plates(self) -> tuple[str, ...]:
        """The names of the shots' clean background pictures inside the capture: `<clip>.png`, `<clip>+2.png`, ..."""
        return plate_names(self.name, len(self.shots))

    def camera(self, size: int) -> Camera:
        """Return the clip's camera for its square picture of `size` pixels."""
        return Camera(self.focal_px, self.cx, self.cy, size, size)


@dataclass(frozen=True)
class Manifest:
    """The content of capture.json."""

    size: int
    """Edge of the square frames in pixels."""

    clips: tuple[ClipRecord, ...]
    files: Mapping[str, int] = field(default_factory=dict)
    """Bytes of every data file of the capture: a file that was cut short is found before anything is decoded."""

    consent: str = ""
    """What the person in the recording agreed to, in the user's words."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """The options that `prepare` ran with."""

    health: Mapping[str, Any] = field(default_factory=dict)
    """The health report's numbers and warnings."""

    @property
    def n_frames(self) -> int:
        """How many frames the capture has, invalid ones included."""
        return self.clips[-1].end

    def save(self, folder: str | Path) -> None:
        """Write capture.json into `folder`, atomically."""
        split = [
            {"clip": clip.name, "train": [clip.first, clip.train_end], "test": [clip.train_end, clip.end]}
            for clip in self.clips
        ]
        value = {"schema": SCHEMA, **asdict(self), "split": split}
        write_json(Path(folder) / MANIFEST_NAME, value)

    @staticmethod
    def load(folder: str | Path) -> Manifest:
        """Read and check capture.json of `folder`.

        Raises:
            InputError: it is missing, of another schema, or contradicts itself.
        """
        path = Path(folder) / MANIFEST_NAME
        if not path.is_file():
            raise InputError(
                f"{folder} is no finished capture: {MANIFEST_NAME} is missing. "
                "Make one with: aednerf prepare VIDEO -o CAPTURE"
            )
        value = read_json(path)
        if not isinstance(value, dict) or value.get("schema") != SCHEMA:
            found = value.get("schema") if isinstance(value, dict) else None
            raise InputError(f"{path} has schema {found}, this program reads {SCHEMA}. Prepare the capture again.")
        try:
            manifest = Manifest(
                size=_whole(value["size"]),
                clips=tuple(_clip_from_json(clip) for clip in value["clips"]),
                files={str(name): _whole(size) for name, size in value["files"].items()},
                consent=str(value.get("consent", "")),
                options=dict(value.get("options", {})),
                health=dict(value.get("health", {})),
            )
            _check(manifest)
        except (KeyError, TypeError, ValueError, AttributeError, InputError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{path} is damaged ({reason}). Prepare the capture again, or restore the file.") from None
        return manifest


def is_capture(folder: Path) -> bool:
    """Say whether a folder holds a finished capture."""
    return (folder / MANIFEST_NAME).is_file()


def train_end(first: int, end: int) -> int:
    """Return where a clip's training part ends: the first `int(n * 10 / 11)` of its frames `[first, end)` train.

    >>> train_end(0, 1779)
    1617
    """
    return first + (end - first) * 10 // 11


def plate_names(clip: str, n_shots: int) -> tuple[str, ...]:
    """Return the names of a clip's background pictures inside the capture, one a shot.

    >>> plate_names("me", 2)
    ('background/me.png', 'background/me+2.png')
    """
    return tuple(f"background/{clip}{'' if number == 1 else f'+{number}'}.png" for number in range(1, n_shots + 1))


def clip_names(paths: list[Path]) -> list[str]:
    """Return one name per source file, fit for a file name: the stem, with a number where two are alike.

    >>> clip_names([Path("a/me.mp4"), Path("b/me.mov"), Path("c/two words.mp4")])
    ['me', 'me-2', 'two_words']
    """
    names: list[str] = []
    for path in paths:
        stem = re.sub(r"[^\w.-]+", "_", path.stem).lstrip(".-") or "clip"
        name, number = stem, 1
        while name.casefold() in {other.casefold() for other in names}:
            number += 1
            name = f"{stem}-{number}"
        names.append(name)
    return names


def _clip_from_json(value: dict[str, Any]) -> ClipRecord:
    source = value["source"]
    measured = {name: value["measured"][name] for name in Measured.__dataclass_fields__ if name in value["measured"]}
    return ClipRecord(
        name=str(value["name"]),
        first=_whole(value["first"]),
        end=_whole(value["end"]),
        emotion=str(value["emotion"]),
        intensity=float(value["intensity"]),
        audio=None if value["audio"] is None else str(value["audio"]),
        crop=Crop(*(float(value["crop"][name]) for name in ("x", "y", "size"))),
        focal_px=float(value["focal_px"]),
        cx=float(value["cx"]),
        cy=float(value["cy"]),
        source=Source(**{name: source[name] for name in Source.__dataclass_fields__ if name in source}),
        cuts=tuple(_whole(frame) for frame in value.get("cuts", ())),
        n_others=_whole(value.get("n_others", 0)),
        measured=Measured(**{**measured, "flags": tuple(measured.get("flags", ()))}),
    )


def _check(manifest: Manifest) -> None:
    """Raise ValueError where the manifest contradicts itself; clip names become paths, so they are checked too."""
    if manifest.size < 2 or manifest.size % 2:
        raise ValueError(f"size must be an even number of pixels, got {manifest.size}")
    if not manifest.clips:
        raise ValueError("it lists no clips")
    expected = 0
    for clip in manifest.clips:
        if not _SAFE_NAME.fullmatch(clip.name):
            raise ValueError(f"clip name {clip.name!r} is not a plain name")
        if clip.first != expected or clip.end <= clip.first:
            raise ValueError(f"clip {clip.name} covers frames [{clip.first}, {clip.end}), expected [{expected}, ...)")
        if list(clip.cuts) != sorted(set(clip.cuts)) or any(not clip.first < cut < clip.end for cut in clip.cuts):
            raise ValueError(f"clip {clip.name} has cuts {list(clip.cuts)}, expected them ascending inside the clip")
        if clip.emotion not in EMOTIONS:
            raise ValueError(f"clip {clip.name} has the unknown emotion {clip.emotion!r}")
        if clip.audio not in (None, f"audio/{clip.name}.wav"):
            raise ValueError(f"clip {clip.name} names the audio file {clip.audio!r}")
        if not (math.isfinite(clip.focal_px) and clip.focal_px > 0 and math.isfinite(clip.cx + clip.cy)):
            raise ValueError(f"clip {clip.name} has no usable camera")
        Emotion.of(clip.emotion, clip.intensity)
        expected = clip.end
    if len({clip.name for clip in manifest.clips}) != len(manifest.clips):
        raise ValueError("two clips have the same name")


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"expected a whole number, got {value!r}")
    return value
