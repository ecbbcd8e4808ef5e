"""The user's camera: where it looks from, fixed or along a path, about the recording's mean head position."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.files import read_json

ORBIT_PERIOD_S = 8.0
ORBIT_YAW_DEG = 20.0
ORBIT_PITCH_DEG = 5.0

_LIMITS = {"yaw": (-180.0, 180.0), "pitch": (-90.0, 90.0), "roll": (-180.0, 180.0), "zoom": (0.25, 4.0)}
_DEFAULTS = {"yaw": 0.0, "pitch": 0.0, "roll": 0.0, "zoom": 1.0}
_FORMS = "front, orbit, yaw=20,pitch=-5[,roll=3,zoom=1.2], or a JSON file of keys t, yaw, pitch, roll, zoom"


@dataclass(frozen=True)
class View:
    """One viewpoint, relative to the recording's camera."""

    yaw_deg: float = 0.0
    """> 0: the camera stands to the person's left."""

    pitch_deg: float = 0.0
    """> 0: the camera stands higher."""

    roll_deg: float = 0.0
    """> 0: the head turns clockwise in the picture."""

    zoom: float = 1.0
    """Enlargement of the picture about its middle."""

    def transform(self, centre: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Return the motion that the viewpoint means for points in the recording's camera space.

        Args:
            centre: [3] what the camera turns about, in the recording's camera space, metres.
        Returns:
            [3, 4] V, with X_user = V [X; 1]; None where the viewpoint is the recording's own.
        """
        if self.yaw_deg == self.pitch_deg == self.roll_deg == 0.0:
            return None
        # The camera is carried around `centre`: first up by the pitch, then to the left by the yaw. What it sees is the
        # world carried the other way; the roll then turns the head about the viewing axis.
        turn = _about("y", self.yaw_deg) @ _about("x", -self.pitch_deg)
        seen = _about("z", -self.roll_deg) @ turn.T
        return np.concatenate([seen, (centre - seen @ centre)[:, None]], axis=1).astype(np.float32)


class CameraPath(Protocol):
    """A viewpoint for every moment."""

    def at(self, time_s: float) -> View:
        """Return the viewpoint at a time from the start of the speech."""
        ...


@dataclass(frozen=True)
class KeyedPath:
    """Viewpoints keyed over time: linear in between, held before the first and after the last."""

    times_s: tuple[float, ...]
    views: tuple[View, ...]

    def at(self, time_s: float) -> View:
        """Return the viewpoint at a time."""
        columns = zip(*((v.yaw_deg, v.pitch_deg, v.roll_deg, v.zoom) for v in self.views), strict=True)
        return View(*(float(np.interp(time_s, self.times_s, column)) for column in columns))


@dataclass(frozen=True)
class Orbit:
    """A slow swing from side to side and a little up and down, which starts at the front."""

    period_s: float = ORBIT_PERIOD_S

    def at(self, time_s: float) -> View:
        """Return the viewpoint at a time."""
        phase = 2 * math.pi * time_s / self.period_s
        return View(ORBIT_YAW_DEG * math.sin(phase), ORBIT_PITCH_DEG * math.sin(2 * phase))


def parse_camera(spec: str | Path | View | CameraPath) -> CameraPath:
    """Read a camera as users write it.

    Args:
        spec: `front`, `orbit`, `yaw=20,pitch=-5[,roll=3,zoom=1.2]` (degrees), the path of a JSON file
            `[{"t", "yaw", "pitch", "roll", "zoom"}, ...]`, or a ready object.
    Raises:
        InputError: it is none of these, or a number is out of range.
    """
    if isinstance(spec, View):
        return KeyedPath((0.0,), (spec,))
    if not isinstance(spec, str | Path):
        return spec
    text = str(spec).strip()
    if text == "front":
        return KeyedPath((0.0,), (View(),))
    if text == "orbit":
        return Orbit()
    if isinstance(spec, Path) or text.endswith(".json"):
        return _read_path(Path(spec))
    if "=" in text:
        pairs = [part.partition("=") for part in text.replace(" ", "").split(",")]
        values: dict[str, Any] = {name: value for name, _, value in pairs}
        return KeyedPath((0.0,), (_view(values, f"camera {text!r}"),))
    raise InputError(f"Unknown camera {text!r}. Expected {_FORMS}.")


def _about(axis: str, degrees: float) -> NDArray[np.float64]:
    """Return the right-handed rotation [3, 3] about an axis."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = cosine
    matrix[j, i], matrix[i, j] = sine, -sine
    return matrix


def _read_path(path: Path) -> KeyedPath:
    keys = read_json(path)
    if not isinstance(keys, list) or not keys or not all(isinstance(key, dict) for key in keys):
        raise InputError(f'{path} is no camera path: expected a list of keys such as {{"t": 0, "yaw": 10}}.')
    times = tuple(_number(key.get("t"), f"t of key {i} of {path}") for i, key in enumerate(keys))
    if any(later <= earlier for earlier, later in zip(times, times[1:], strict=False)):
        raise InputError(f"{path}: the times t of a camera path must rise from key to key.")
    views = [_view({k: v for k, v in key.items() if k != "t"}, f"key {i} of {path}") for i, key in enumerate(keys)]
    return KeyedPath(times, tuple(views))


def _view(pairs: dict[str, Any], where: str) -> View:
    if unknown := [name for name in pairs if name not in _LIMITS]:
        raise InputError(f"Unknown {unknown[0]!r} in {where}. Known: {', '.join(_LIMITS)}.")
    values = {}
    for name, (low, high) in _LIMITS.items():
        values[name] = _number(pairs.get(name, _DEFAULTS[name]), f"{name} in {where}")
        if not low <= values[name] <= high:
            raise InputError(f"{name} in {where} must lie in [{low:g}, {high:g}], got {values[name]:g}.")
    return View(values["yaw"], values["pitch"], values["roll"], values["zoom"])


def _number(value: Any, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise InputError(f"Expected a number as {what}, got {value!r}.")
    return number
