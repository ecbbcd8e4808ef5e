"""What a user changes about the expression of a speech: scale, offset, and coefficients taken from a motion file.

As JSON, every part may be missing:

    {"scale": {"jawOpen": 0.8}, "offset": {"mouthSmileLeft": 0.2}, "mask": ["eyeBlinkLeft"], "motion": "blinks.csv"}

A coefficient becomes scale times what speech and idle life make of it, plus offset, plus that of the motion file in the
same frame (its last one is held), cut to [0, 1]. Of the coefficients in `mask`, what speech and idle life make is left
out: offset and motion take these over; and where there is a mask, the motion gives nothing else. Names and values
alone, {"mouthSmileLeft": 0.2}, are offsets; a motion file alone is added whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from aednerf.core.errors import InputError
from aednerf.core.files import read_json
from aednerf.core.records import ARKIT_NAMES, Array, Motion
from aednerf.motion.channels import JAW_OPEN, MOUTH_CLOSE, SPEECH_COLUMNS
from aednerf.motion.files import load_motion

ExpressionSpec = str | Path | Mapping[str, Any] | Motion

MAX_SCALE = 4.0
PARTS = ("scale", "offset", "mask", "motion")


@dataclass(frozen=True)
class ExpressionEdit:
    """A change of expressions: scale * theirs + addition, cut to [0, 1]."""

    scale: Array
    """[52] factors; 0 where the addition takes a coefficient over."""

    addition: Array
    """[N, 52] frame by frame, the last row held."""

    @property
    def moves_mouth(self) -> bool:
        """Whether anything that speech moves is changed."""
        scale, addition = self.scale[SPEECH_COLUMNS], self.addition[:, SPEECH_COLUMNS]
        return bool((scale != 1.0).any() or addition.any())

    def apply(self, expression: Array, first: int) -> Array:
        """Return the expressions [T, 52] changed; `first` is the number of their first frame in the speech."""
        rows = np.minimum(np.arange(first, first + len(expression)), len(self.addition) - 1)
        changed = np.clip(self.scale * expression + self.addition[rows], np.float32(0.0), np.float32(1.0))
        # The model's mouthClose only means something against an open jaw.
        changed[:, MOUTH_CLOSE] = np.minimum(changed[:, MOUTH_CLOSE], changed[:, JAW_OPEN])
        return changed


def parse_expression(spec: ExpressionSpec | None, rotation: Array, translation: Array) -> ExpressionEdit | None:
    """Read what is to be changed about the expression of a speech.

    Args:
        spec: Parts, or names and values, as in the head of this file; their JSON file, a Motion, or a motion file.
        rotation: [3, 3] the avatar's mean pose: Live Link files may come without one.
        translation: [3] likewise.
    Returns:
        The change, or None where there is none.
    Raises:
        InputError: a part or name is unknown, a value is out of range, or a file cannot be read.
    """
    if spec is None:
        return None

    def motion_of(source: Any, folder: Path) -> Motion:
        if not isinstance(source, Motion):
            if not isinstance(source, str | Path):
                raise InputError(f"Expected the name of a motion file (.npz, .csv) as motion, got {source!r}.")
            source = load_motion(folder / source, mean_rotation=rotation, mean_translation=translation)
        if not len(source):
            raise InputError("The motion to add has no frames. Give one with at least one.")
        return source

    folder, where = Path(), ""
    if isinstance(spec, str | Path):
        path = Path(spec)
        if path.suffix.lower() != ".json":
            spec = motion_of(path, folder)
        else:
            spec, folder, where = read_json(path), path.parent, f"{path}: "
    if isinstance(spec, Motion):
        return ExpressionEdit(np.ones(len(ARKIT_NAMES), np.float32), motion_of(spec, folder).expression)
    try:
        if not isinstance(spec, Mapping):
            raise InputError('expected names and values such as {"browInnerUp": 0.5}, or parts such as {"scale": ...}.')
        parts = _parts(spec)
        motion = motion_of(parts["motion"], folder) if "motion" in parts else None
        return _edit(parts, motion)
    except InputError as error:
        raise InputError(f"{where}{error}") from None


def _parts(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parts by their names; names and values alone are offsets."""
    if not any(name in PARTS for name in content):
        return {"offset": content}
    if unknown := [name for name in content if name not in PARTS]:
        what = "stands beside parts: put it into offset" if unknown[0] in ARKIT_NAMES else "is no part of an expression"
        raise InputError(f"{unknown[0]!r} {what}. Expected {', '.join(PARTS)}.")
    return content


def _edit(parts: Mapping[str, Any], motion: Motion | None) -> ExpressionEdit:
    mask = _mask(parts.get("mask", []))
    scales = _values(parts.get("scale", {}), "scale", 0.0, MAX_SCALE)
    if both := [column for column in scales if column in mask]:
        name = ARKIT_NAMES[both[0]]
        raise InputError(f"{name} stands in mask and in scale, but what is left out has no scale. Choose one of them.")
    scale = np.ones(len(ARKIT_NAMES), np.float32)
    scale[list(scales)] = list(scales.values())
    scale[mask] = 0.0
    addition = np.zeros((1, len(ARKIT_NAMES)), np.float32) if motion is None else motion.expression.copy()
    if motion is not None and mask:
        addition[:, np.setdiff1d(np.arange(len(ARKIT_NAMES)), mask)] = 0.0
    for column, value in _values(parts.get("offset", {}), "offset", -1.0, 1.0).items():
        addition[:, column] += np.float32(value)
    return ExpressionEdit(scale, addition)


def _mask(names: Any) -> list[int]:
    """Return the columns of a list of names."""
    if isinstance(names, str | Mapping) or not isinstance(names, Iterable):
        raise InputError(f'Expected a list of names as mask, such as ["eyeBlinkLeft"], got {names!r}.')
    return [_column(name) for name in names]


def _values(entries: Any, part: str, low: float, high: float) -> dict[int, float]:
    """Return a part's numbers by their columns."""
    if not isinstance(entries, Mapping):
        raise InputError(f'Expected names and values as {part}, such as {{"jawOpen": 0.5}}, got {entries!r}.')
    found = {}
    for name, value in entries.items():
        column = _column(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not low <= value <= high:
            raise InputError(f"Expression {name}: the {part} must be a number in [{low:g}, {high:g}], got {value!r}.")
        found[column] = float(value)
    return found


def _column(name: Any) -> int:
    """Return the column of an ARKit name; an unknown one is an error that says what comes nearest."""
    if name in ARKIT_NAMES:
        return ARKIT_NAMES.index(name)
    known = {_bare(candidate): candidate for candidate in (*ARKIT_NAMES, *PARTS)}
    near = [known[match] for match in get_close_matches(_bare(str(name)), known, n=1, cutoff=0.5)]
    advice = f"Did you mean {near[0]}?" if near else "Expected ARKit's names, such as browInnerUp, jawOpen."
    raise InputError(f"Unknown expression {name!r}. {advice}")


def _bare(name: str) -> str:
    """Return a name without case, separators, and with its side spelled out: `mouthSmile_L` is mouthSmileLeft."""
    for short, side in (("_L", "Left"), ("_R", "Right")):
        name = name.removesuffix(short) + side if name.endswith(short) else name
    return "".join(letter for letter in name.lower() if letter.isalnum())
