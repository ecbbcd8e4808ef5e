"""Motion files: `.npz`, exact, and `.csv`, Live Link Face's 63 columns by name with ours after them.

Head angles are those of R = Ry(yaw) Rx(pitch) Rz(roll), head to camera; eye angles follow from the `eyeLook`
coefficients (1.0 is 30 degrees sideways, 25 up or down) and are written for other programs only.
"""

from __future__ import annotations

import csv
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from aednerf.core.errors import InputError
from aednerf.core.files import atomic_path
from aednerf.core.records import ARKIT_NAMES, Array, Motion
from aednerf.core.units import FPS

ANGLE_COLUMNS = tuple(
    f"{part}{angle}" for part in ("Head", "LeftEye", "RightEye") for angle in ("Yaw", "Pitch", "Roll")
)
POSITION_COLUMNS = ("HeadX", "HeadY", "HeadZ")
EYE_SIDE_RAD, EYE_UP_RAD = np.deg2rad(30.0), np.deg2rad(25.0)
MAX_RESIDUAL = 32
MAX_POSTURE = 16

_SIDES = ("EyeBlink", "EyeLookDown", "EyeLookIn", "EyeLookOut", "EyeLookUp", "EyeSquint", "EyeWide")
LIVE_LINK_SHAPES = (
    *(f"{shape}Left" for shape in _SIDES), *(f"{shape}Right" for shape in _SIDES),
    "JawForward", "JawRight", "JawLeft", "JawOpen", "MouthClose", "MouthFunnel", "MouthPucker", "MouthRight",
    "MouthLeft",
    *(f"Mouth{shape}{side}" for shape in ("Smile", "Frown", "Dimple", "Stretch") for side in ("Left", "Right")),
    "MouthRollLower", "MouthRollUpper", "MouthShrugLower", "MouthShrugUpper",
    *(f"Mouth{shape}{side}" for shape in ("Press", "LowerDown", "UpperUp") for side in ("Left", "Right")),
    "BrowDownLeft", "BrowDownRight", "BrowInnerUp", "BrowOuterUpLeft", "BrowOuterUpRight", "CheekPuff",
    "CheekSquintLeft", "CheekSquintRight", "NoseSneerLeft", "NoseSneerRight", "TongueOut",
)  # fmt: skip
"""The 52 coefficients as Live Link Face names and orders them."""

LIVE_LINK_COLUMNS = ("Timecode", "BlendShapeCount", *LIVE_LINK_SHAPES, *ANGLE_COLUMNS)


def require_motion_name(path: str | Path) -> Path:
    """Return the path of a motion file, or raise where its name says that it is none.

    Raises:
        InputError: the suffix is neither .npz nor .csv.
    """
    path = Path(path)
    if path.suffix not in (".npz", ".csv"):
        raise InputError(f"A motion file ends in .npz or .csv, got {path.name!r}.")
    return path


def save_motion(path: str | Path, motion: Motion) -> None:
    """Write a motion as `.npz` or `.csv`, by the name's suffix.

    Raises:
        InputError: another suffix, or a `.csv` of a motion that is not at 25 fps.
    """
    path = require_motion_name(path)
    if path.suffix == ".npz":
        with atomic_path(path) as temporary:
            np.savez(
                temporary, expression=motion.expression, residual=motion.residual, rotation=motion.rotation,
                translation=motion.translation, posture=motion.posture, fps=np.float64(motion.fps),
                expression_names=np.array(ARKIT_NAMES),
            )  # fmt: skip
    else:
        if motion.fps != FPS:
            raise InputError(
                f"A motion .csv is at {FPS} frames a second, this motion at {motion.fps:g}: save it as .npz."
            )
        with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            residual_names = [f"Residual{k:02d}" for k in range(motion.residual.shape[1])]
            writer.writerow([*LIVE_LINK_COLUMNS, *POSITION_COLUMNS, *residual_names])
            writer.writerows(_csv_row(motion, frame) for frame in range(len(motion)))


def load_motion(
    path: str | Path,
    *,
    mean_rotation: Array | None = None,
    mean_translation: Array | None = None,
    n_residual: int | None = None,
) -> Motion:
    """Read a motion file; another frame rate becomes 25 by the frame nearest in time.

    Args:
        path: `.npz` or `.csv`.
        mean_rotation: [3, 3] the avatar's mean rotation, and
        mean_translation: [3] its mean position, for a `.csv` without `HeadX, HeadY, HeadZ`.
        n_residual: the avatar's K; a file without residual columns gets K zeros. None takes what the file has.

    Raises:
        InputError: the file is missing, damaged, lacks a column, holds a value out of range, or is another avatar's.
    """
    path = require_motion_name(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist.")
    if path.suffix == ".npz":
        motion = _read_npz(path)
    else:
        motion = _read_csv(path, mean_rotation, mean_translation)
    motion = _at_25_fps(_checked(path, motion))
    k = motion.residual.shape[1]
    if n_residual is None or k == n_residual:
        return motion
    if k != 0 and motion.residual.any():
        raise InputError(
            f"{path} has a residual of {k} numbers, the avatar takes {n_residual}: it was made for another avatar."
        )
    return replace(motion, residual=np.zeros((len(motion), n_residual), np.float32))


def _csv_row(motion: Motion, frame: int) -> list[str]:
    """Return the cells of one frame; nine digits bring a float32 back exactly."""
    expression = dict(zip((name.lower() for name in ARKIT_NAMES), motion.expression[frame], strict=True))
    shapes = [expression[name.lower()] for name in LIVE_LINK_SHAPES]
    head = Rotation.from_matrix(motion.rotation[frame].astype(np.float64)).as_euler("YXZ")
    eyes = [angle for side, inwards in (("left", -1), ("right", 1)) for angle in _eye_angles(expression, side, inwards)]
    values = [*shapes, *head, *eyes, *motion.translation[frame], *motion.residual[frame]]
    seconds, in_second = divmod(frame, FPS)
    timecode = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{in_second:02d}.000"
    return [timecode, str(len(LIVE_LINK_COLUMNS) - 2), *(f"{float(value):.9g}" for value in values)]


def _eye_angles(expression: dict[str, np.float32], side: str, inwards: int) -> tuple[float, float, float]:
    """Return yaw (positive towards the person's left), pitch (positive down, as the head's) and roll of one eye."""
    inside, outside, up, down = (float(expression[f"eyelook{way}{side}"]) for way in ("in", "out", "up", "down"))
    return inwards * (inside - outside) * float(EYE_SIDE_RAD), (down - up) * float(EYE_UP_RAD), 0.0


def _read_npz(path: Path) -> Motion:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        missing = {"expression", "residual", "rotation", "translation", "fps"} - arrays.keys()
        if missing:
            raise InputError(f"{path} lacks {', '.join(sorted(missing))}: it is no motion file.")
        if "expression_names" in arrays:
            names = [str(name) for name in arrays["expression_names"]]
            if sorted(names) != sorted(ARKIT_NAMES):
                raise InputError(f"{path} names other coefficients than the 52 of ARKit: write them all, each once.")
            arrays["expression"] = arrays["expression"][:, [names.index(name) for name in ARKIT_NAMES]]
        names = ("expression", "residual", "rotation", "translation", "posture")
        parts = {name: arrays[name].astype(np.float32) for name in names if name in arrays}
        return Motion(**parts, fps=float(arrays["fps"]))
    except (OSError, ValueError, TypeError, IndexError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a motion file or is damaged ({error}). Make it again.") from None


def _read_csv(path: Path, mean_rotation: Array | None, mean_translation: Array | None) -> Motion:
    columns = _csv_columns(path)
    lacking = [name for name in LIVE_LINK_SHAPES if name.lower() not in columns]
    if lacking:
        raise InputError(
            f"{path} lacks the column {lacking[0]} ({len(lacking)} of 52 in all): expected Live Link Face's columns."
        )

    def numbers(name: str) -> np.ndarray:
        try:
            return np.array([float(cell) for cell in columns[name.lower()]])
        except ValueError as error:
            raise InputError(f"{path}: column {name} holds something that is no number ({error}).") from None

    expression = np.stack([numbers(name) for name in ARKIT_NAMES], axis=1)
    n = len(expression)
    if all(name.lower() in columns for name in (*POSITION_COLUMNS, *ANGLE_COLUMNS[:3])):
        translation = np.stack([numbers(name) for name in POSITION_COLUMNS], axis=1)
        angles = np.stack([numbers(name) for name in ANGLE_COLUMNS[:3]], axis=1)
        if not np.isfinite(angles).all():
            raise InputError(f"{path}: a head angle is not a finite number.")
        rotation = Rotation.from_euler("YXZ", angles).as_matrix().reshape(n, 3, 3)
    elif mean_rotation is not None and mean_translation is not None:
        rotation, translation = np.tile(mean_rotation, (n, 1, 1)), np.tile(mean_translation, (n, 1))
    else:
        raise InputError(f"{path} has no columns HeadX, HeadY, HeadZ: it can only be read together with an avatar.")
    residual_names = sorted(name for name in columns if re.fullmatch(r"residual\d\d", name))
    if residual_names != [f"residual{k:02d}" for k in range(len(residual_names))]:
        raise InputError(f"{path}: the columns Residual00, Residual01, ... must be there without a gap.")
    residual = np.stack([numbers(name) for name in residual_names], axis=1) if residual_names else np.zeros((n, 0))
    parts = [part.astype(np.float32) for part in (expression, residual, rotation, translation)]
    return Motion(*parts, fps=_timecode_fps(path, columns.get("timecode", [])))


def _csv_columns(path: Path) -> dict[str, list[str]]:
    """Return the cells of each column by its name in lower case."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a text table ({error}).") from None
    if len(rows) < 2:
        raise InputError(f"{path} has no frames: expected a line of column names and a line for each frame.")
    header = [name.strip().lower() for name in rows[0]]
    if len(set(header)) != len(header):
        raise InputError(f"{path} has two columns of one name.")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise InputError(f"{path}, line {number}: {len(row)} cells under {len(header)} column names.")
    return dict(zip(header, (list(cells) for cells in zip(*rows[1:], strict=True)), strict=True))


def _timecode_fps(path: Path, timecodes: list[str]) -> float:
    """Return the frame rate that `HH:MM:SS:FF.fff` counts in: the rows a second between changes of second."""
    matches = [re.fullmatch(r"\s*\d+:\d+:(\d+)[:;](\d+)(?:\.\d+)?\s*", code) for code in timecodes]
    if not matches or not all(matches):
        raise InputError(f"{path}: expected a Timecode HH:MM:SS:FF.fff in every row.")
    seconds, frames = (np.array([int(match[group]) for match in matches if match]) for group in (1, 2))
    changes = np.flatnonzero(np.diff(seconds) != 0)
    if len(changes) > 1:
        rate = (changes[-1] - changes[0]) / (len(changes) - 1)
        return float(min((24, 25, 30, 50, 60), key=lambda known: abs(known - rate)))
    return float(next((known for known in (25, 30, 50) if frames.max() < known), 60))


def _checked(path: Path, motion: Motion) -> Motion:
    """Return the motion if its values make sense."""
    if len(motion) == 0:
        raise InputError(f"{path} has no frames.")
    for name in ("expression", "residual", "rotation", "translation", "posture"):
        if not np.isfinite(getattr(motion, name)).all():
            raise InputError(f"{path}: {name} holds something that is not a finite number.")
    if motion.expression.min() < -1e-4 or motion.expression.max() > 1 + 1e-4:
        worst = np.abs(motion.expression - 0.5).max(0).argmax()
        raise InputError(f"{path}: {ARKIT_NAMES[worst]} leaves [0, 1]; coefficients are shares, not percent.")
    if motion.residual.shape[1] > MAX_RESIDUAL:
        raise InputError(
            f"{path} has {motion.residual.shape[1]} residual numbers, at most {MAX_RESIDUAL} are possible."
        )
    if motion.posture.shape[1] > MAX_POSTURE:
        raise InputError(f"{path} has {motion.posture.shape[1]} posture numbers, at most {MAX_POSTURE} are possible.")
    turned = np.einsum("tij,tkj->tik", motion.rotation, motion.rotation)
    if np.abs(turned - np.eye(3)).max() > 1e-3 or np.linalg.det(motion.rotation).min() < 0:
        raise InputError(f"{path}: a rotation is no rotation matrix.")
    if not 1.0 <= motion.fps <= 1000.0:
        raise InputError(f"{path}: {motion.fps:g} frames a second cannot be.")
    # Only what rounding brought past the bounds is left to clip; exact files stay as they are.
    return replace(motion, expression=np.clip(motion.expression, 0.0, 1.0))


def _at_25_fps(motion: Motion) -> Motion:
    if motion.fps == FPS:
        return motion
    n = max(1, round(len(motion) * FPS / motion.fps))
    nearest = np.minimum(np.round(np.arange(n) * motion.fps / FPS).astype(int), len(motion) - 1)
    return replace(motion[nearest], fps=FPS)
