"""A folder in the RAD-NeRF layout as a user brings it: opened, counted, and checked before anything is made of it.

The trap of the layout: the peers' trackers leave out a picture without landmarks and number the poses 0, 1, 2, ..., so
that one undetected face gives every later picture the pose of the next one. Here pictures, landmarks and poses are
counted against each other, and what is missing is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aednerf.capture import rad_nerf_layout as layout
from aednerf.capture.clip import Clip, parse_clip
from aednerf.capture.manifest import train_end
from aednerf.capture.rad_nerf_layout import Transforms, named
from aednerf.capture.rad_nerf_sidecar import Sidecar
from aednerf.core.errors import InputError
from aednerf.core.records import Camera
from aednerf.media.image import read_image

Tracking = Literal["auto", "given", "own"]
Bytes = NDArray[np.uint8]

_FACE_HEIGHT = 0.47
"""Where the middle of the face comes to stand in a square cut from an upright picture, from its top."""

_SAMPLED_LANDMARKS = 25


@dataclass(frozen=True)
class Window:
    """The square of the folder's pictures that a capture keeps, in whole pixels."""

    left: int
    top: int
    edge: int

    def of(self, image: Bytes) -> Bytes:
        """Return the square of a picture [H, W] or [H, W, C]."""
        return image[self.top : self.top + self.edge, self.left : self.left + self.edge]


@dataclass(frozen=True)
class RadNerfFolder:
    """One clip in the layout: N pictures, and which frame of a clip of T frames each of them is."""

    path: Path
    emotion: tuple[str, float] | None
    """The label and intensity that the user gave, or None."""

    transforms: Transforms
    """Its frames are numbers of pictures."""

    sidecar: Sidecar | None
    frames: NDArray[np.int64]
    """[N] the clip's frame that each picture number is; where no sidecar says otherwise, the number itself."""

    n_frames: int
    """T, frames without a picture included."""

    missing: NDArray[np.int64]
    """Picture numbers that lack the picture, its landmarks or its pose: frames without a face."""

    width: int
    height: int
    window: Window
    notes: tuple[str, ...] = field(default=())

    @staticmethod
    def open(
        path: Path, tracking: Tracking = "auto", allow_missing: bool = False, emotion: tuple[str, float] | None = None
    ) -> RadNerfFolder:
        """Open a folder and count what is in it.

        Args:
            path: the folder.
            tracking: `auto` heeds an export's sidecar, the others do not.
            allow_missing: turn pictures that lack something into frames without a face instead of refusing the folder.
            emotion: the label and intensity that it shows, where the user says so.

        Raises:
            InputError: it is no such folder, or pictures, landmarks and poses do not belong together.
        """
        _require_layout(path)
        sidecar = Sidecar.load(path) if tracking == "auto" else None
        is_tracked_anew = tracking != "given" and sidecar is None
        transforms = layout.read_transforms(path, are_poses_used=not is_tracked_anew)
        pictures, landmarks = _numbers(path, ".jpg"), _numbers(path, ".lms")
        if not pictures:
            raise InputError(f"{path / layout.IMAGES} holds no pictures 0.jpg, 1.jpg, ...; restore them.")
        count = len(sidecar.frames) if sidecar else max(max(pictures), max(landmarks, default=0)) + 1
        if max(pictures) >= count:
            raise InputError(
                f"{path} has the picture {max(pictures)}.jpg, but {layout.SIDECAR}/export.json knows {count} pictures. "
                "Export again, or import with --tracking own."
            )
        match = _match(path, transforms, pictures, landmarks, count)
        if match.problems and not (allow_missing and (match.is_certain or is_tracked_anew)):
            raise InputError(match.text(path))
        missing = match.missing
        if is_tracked_anew:
            missing = set(range(count)) - pictures  # our own tracker says in which of the others it sees a face
        height, width = read_image(path / layout.IMAGES / f"{min(pictures)}.jpg").shape[:2]
        _require_size(path, match.transforms.camera, width, height)
        frames, n_frames = (sidecar.frames, sidecar.clip.n_frames) if sidecar else (np.arange(count), count)
        found = RadNerfFolder(
            path, emotion, match.transforms, sidecar, frames, n_frames, np.array(sorted(missing), np.int64),
            width, height, _window(path, landmarks, width, height),
        )  # fmt: skip
        return replace(found, notes=tuple(_notes(found)))

    @property
    def camera(self) -> Camera:
        """The camera of the kept square."""
        c, w = self.transforms.camera, self.window
        return Camera(c.focal_px, c.cx - w.left, c.cy - w.top, w.edge, w.edge)

    @property
    def is_shown(self) -> NDArray[np.bool_]:
        """[T] whether the clip's frame has a picture with all that belongs to it."""
        shown = np.zeros(self.n_frames, bool)
        shown[np.delete(self.frames, self.missing)] = True
        return shown

    def numbers(self) -> NDArray[np.int64]:
        """Return [T] the picture number of each frame of the clip, -1 where it has none."""
        numbers = np.full(self.n_frames, -1)
        kept = np.setdiff1d(np.arange(len(self.frames)), self.missing)
        numbers[self.frames[kept]] = kept
        return numbers

    def poses(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the given poses, rotation [T, 3, 3] and translation [T, 3], NaN where a frame has none."""
        rotation, translation = np.full((self.n_frames, 3, 3), np.nan), np.full((self.n_frames, 3), np.nan)
        is_own = np.isin(self.transforms.frames, np.setdiff1d(np.arange(len(self.frames)), self.missing))
        rows = self.frames[self.transforms.frames[is_own]]
        rotation[rows], translation[rows] = self.transforms.rotation[is_own], self.transforms.translation[is_own]
        return rotation, translation

    def picture(self, number: int, name: str = layout.IMAGES, suffix: str = ".jpg") -> Bytes:
        """Return the kept square of one of the folder's pictures, [edge, edge, 3 or 4].

        Raises:
            InputError: it is missing, unreadable or of another size than the first.
        """
        path = self.path / name / f"{number}{suffix}"
        image = read_image(path)
        if image.shape[:2] != (self.height, self.width):
            raise InputError(
                f"{path} is {image.shape[1]}x{image.shape[0]} pixels, the others are {self.width}x{self.height}. "
                "Restore it."
            )
        return self.window.of(image)


def find_folders(texts: Sequence[Clip | str | Path], tracking: Tracking, allow_missing: bool) -> list[RadNerfFolder]:
    """Open folders; one that only holds such folders stands for all of them, in the order in which they were exported.

    Args:
        texts: the folders, each with the emotion that it shows or not: `data/me`, `data/me:happy:0.5`.
        tracking, allow_missing: as for `RadNerfFolder.open`.

    Raises:
        InputError: there is none, or one of them cannot be used.
    """
    folders: list[RadNerfFolder] = []
    for text in texts:
        path, emotion = _labelled(text)
        inner = sorted(found.parent for found in path.glob(f"*/{layout.TRAIN_NAME}")) if path.is_dir() else []
        if (path / layout.TRAIN_NAME).is_file() or not inner:
            inner = [path]
        opened = [RadNerfFolder.open(each, tracking, allow_missing, emotion) for each in inner]
        folders += sorted(opened, key=lambda folder: folder.sidecar.place if folder.sidecar else 0)
    if not folders:
        raise InputError("Expected at least one folder in the RAD-NeRF layout, got none.")
    return folders


def _labelled(text: Clip | str | Path) -> tuple[Path, tuple[str, float] | None]:
    """Return the folder, and the emotion if one is given."""
    if isinstance(text, Clip):
        return text.path, (text.emotion, text.intensity)
    clip = parse_clip(str(text))
    return clip.path, (clip.emotion, clip.intensity) if clip.path != Path(text) else None


def _require_layout(path: Path) -> None:
    if not path.is_dir():
        kind = "is no folder" if path.exists() else "does not exist"
        raise InputError(f"{path} {kind}; expected a folder in the RAD-NeRF layout.")
    needed = (layout.TRAIN_NAME, layout.VAL_NAME, layout.IMAGES)
    if lacking := [name for name in needed if not (path / name).exists()]:
        raise InputError(
            f"{path} is not in the RAD-NeRF layout: it lacks {', '.join(lacking)}. "
            "Expected the folder that RAD-NeRF's data_utils/process.py, or `aednerf capture export`, has finished."
        )


def _numbers(path: Path, suffix: str) -> set[int]:
    """Return the numbers of the pictures, or of their landmarks."""
    stems = (file.stem for file in (path / layout.IMAGES).glob(f"*{suffix}"))
    return {int(stem) for stem in stems if stem.isdecimal() and stem.isascii() and str(int(stem)) == stem}


@dataclass(frozen=True)
class _Match:
    """What belongs to which picture, and what does not."""

    transforms: Transforms
    """With the numbers of the pictures that the poses belong to."""

    missing: set[int]
    """Numbers that lack something."""

    counts: str
    problems: list[str]
    is_certain: bool = True
    """Whether it can be told which pose belongs to which picture."""

    def text(self, path: Path) -> str:
        """Return the problems in one line."""
        advice = "Restore what is missing, or add --allow-missing: such frames then count as frames without a face."
        if not self.is_certain:
            advice = "Restore them, or track anew: --tracking own --allow-missing."
        return f"{path} has {self.counts}. {'; '.join(self.problems)}. {advice}"


def _match(path: Path, transforms: Transforms, pictures: set[int], landmarks: set[int], count: int) -> _Match:
    """Count pictures, landmarks and poses against each other, and give poses that were numbered anew their pictures."""
    whole, posed = set(range(count)), set(transforms.frames.tolist())
    counts = f"{len(pictures)} pictures, {len(landmarks)} files of landmarks and {len(posed)} poses"
    problems, images, is_certain = [], path / layout.IMAGES, True
    if lost := sorted(whole - pictures):
        problems.append(f"{named(lost, 'frame')}: no picture ({images / f'{lost[0]}.jpg'})")
    if unseen := sorted(pictures - landmarks):
        problems.append(f"{named(unseen, 'frame')}: no landmarks ({images / f'{unseen[0]}.lms'})")
    is_numbered_anew = posed == set(range(len(posed)))
    if unseen and is_numbered_anew and len(posed) == len(landmarks) < len(pictures):
        problems.append(
            f"the tracker left them out and numbered the poses 0 to {len(posed) - 1}, so that from frame {unseen[0]} "
            "on every pose belongs to a later picture; --allow-missing gives the poses back to their pictures"
        )
        transforms = replace(transforms, frames=np.array(sorted(landmarks), np.int64))
        posed = landmarks
    elif unposed := sorted(pictures - posed):
        if is_numbered_anew:
            problems.append(f"the last {len(unposed)} have no pose, or earlier ones have none and the rest is shifted")
            is_certain = False
        problems.append(f"{named(unposed, 'frame')}: no pose in the transforms")
    if strange := sorted(posed - pictures - set(lost)):
        problems.append(f"{named(strange, 'frame')}: a pose without a picture")
    return _Match(transforms, whole - (pictures & landmarks & posed), counts, problems, is_certain)


def _require_size(path: Path, camera: Camera, width: int, height: int) -> None:
    if max(abs(camera.width - width), abs(camera.height - height)) > 1:
        raise InputError(
            f"{path}: the pictures are {width}x{height} pixels, the transforms say {camera.width}x{camera.height} "
            "(twice the whole pixels of cx and cy). Pictures and poses belong to different sizes: restore one of them."
        )


def _window(path: Path, landmarks: set[int], width: int, height: int) -> Window:
    """Return the largest square of even edge, moved along the longer side to where the face is."""
    edge = min(width, height) // 2 * 2
    left, top = (width - edge) // 2, (height - edge) // 2
    if abs(width - height) > 1 and landmarks:
        chosen = sorted(landmarks)[:: max(1, len(landmarks) // _SAMPLED_LANDMARKS)]
        points = np.concatenate([layout.read_landmarks(path / layout.IMAGES / f"{number}.lms") for number in chosen])
        x, y = (points.min(0) + points.max(0)) / 2
        left = int(np.clip(round(x - edge / 2), 0, width - edge))
        top = int(np.clip(round(y - _FACE_HEIGHT * edge), 0, height - edge))
    return Window(left, top, edge)


def _notes(folder: RadNerfFolder) -> Iterator[str]:
    if len(folder.missing):
        yield (
            f"{folder.path}: counted as without a face, for want of a picture, landmarks or a pose: "
            f"{named(folder.missing.tolist(), 'frame')}."
        )
    if (folder.width, folder.height) != (folder.window.edge,) * 2:
        w = folder.window
        yield (
            f"{folder.path}: of the {folder.width}x{folder.height} pictures the square of {w.edge} pixels at "
            f"{w.left}, {w.top} is kept."
        )
    is_known = folder.transforms.frames < len(folder.frames)
    frames, border = folder.frames[folder.transforms.frames[is_known]], train_end(0, folder.n_frames)
    if not np.array_equal(folder.transforms.is_train[is_known], frames < border):
        yield (
            f"{folder.path}: its own split is another than the capture's, whose first {border} of {folder.n_frames} "
            "frames train: scores of the two are not comparable."
        )
