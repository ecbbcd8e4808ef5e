"""tracking.npz: what the face did in every frame of a capture, one row a frame, all or nothing."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.files import atomic_path
from aednerf.core.records import ARKIT_NAMES

TRACKING_NAME = "tracking.npz"
N_LANDMARKS = 478
N_IDENTITY = 100
MAX_RESIDUAL = 128
MAX_POSTURE = 16

_ROWS = ("landmarks_px", "rotation", "translation", "expression", "residual", "posture", "error_px")
"""The arrays that hold one row a frame, NaN where the frame is invalid."""


@dataclass(frozen=True)
class Tracking:
    """One record a frame for T frames; a frame without a usable face is invalid and the rest of its row is NaN."""

    valid: NDArray[np.bool_]
    """[T] whether the frame has a usable face."""

    landmarks_px: NDArray[np.float32]
    """[T, 478, 2] MediaPipe's points in pixels of the frame, pixel centres at +0.5."""

    rotation: NDArray[np.float32]
    """[T, 3, 3] head-to-camera rotation R of X_cam = R X_head + t."""

    translation: NDArray[np.float32]
    """[T, 3] head-to-camera translation t in metres."""

    expression: NDArray[np.float32]
    """[T, 52] ARKit coefficients in [0, 1]."""

    residual: NDArray[np.float32]
    """[T, K] numbers read off the pictures of the mouth and, the second half, of the eyes."""

    posture: NDArray[np.float32]
    """[T, P] how the torso lies, by its own picture; P is 0 in captures made before there was such a code."""

    error_px: NDArray[np.float32]
    """[T] rms distance of the fitted landmarks from the detected ones, in pixels."""

    identity: NDArray[np.float32]
    """[100] the person's identity weights in the face model, shared by all clips."""

    def __post_init__(self) -> None:
        n = len(self.valid)
        shapes = {
            "valid": (n,), "landmarks_px": (n, N_LANDMARKS, 2), "rotation": (n, 3, 3), "translation": (n, 3),
            "expression": (n, len(ARKIT_NAMES)), "error_px": (n,), "identity": (N_IDENTITY,),
        }  # fmt: skip
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must be {list(shape)}, got {list(getattr(self, name).shape)}")
        if self.residual.ndim != 2 or len(self.residual) != n or self.residual.shape[1] > MAX_RESIDUAL:
            raise ValueError(f"residual must be [{n}, K <= {MAX_RESIDUAL}], got {list(self.residual.shape)}")
        if self.posture.ndim != 2 or len(self.posture) != n or self.posture.shape[1] > MAX_POSTURE:
            raise ValueError(f"posture must be [{n}, P <= {MAX_POSTURE}], got {list(self.posture.shape)}")
        for name in _ROWS:
            rows = getattr(self, name).reshape(n, -1)
            if not np.isfinite(rows[self.valid]).all():
                raise ValueError(f"{name} is not finite in a frame marked valid")
            if not np.isnan(rows[~self.valid]).all():
                raise ValueError(f"{name} has values in a frame marked invalid")

    def __len__(self) -> int:
        return len(self.valid)

    def save(self, folder: str | Path) -> None:
        """Write tracking.npz into `folder`, atomically."""
        with atomic_path(Path(folder) / TRACKING_NAME) as temporary:
            np.savez(temporary, **{name: getattr(self, name) for name in ("valid", *_ROWS, "identity")})

    @staticmethod
    def load(folder: str | Path) -> Tracking:
        """Read and check tracking.npz of `folder`.

        Raises:
            InputError: it is missing, damaged, or its arrays do not belong together.
        """
        path = Path(folder) / TRACKING_NAME
        arrays = read_arrays(path, ("valid", *_ROWS, "identity"), optional=("posture",))
        try:
            arrays.setdefault("posture", np.zeros((len(arrays["valid"]), 0)))
            floats = {name: arrays[name].astype(np.float32) for name in (*_ROWS, "identity")}
            return Tracking(valid=arrays["valid"].astype(bool), **floats)
        except (TypeError, ValueError) as error:
            raise InputError(f"{path} is damaged ({error}). Prepare the capture again.") from None


def read_arrays(path: Path, names: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Read the named arrays of an .npz file; those that are optional are left out where it lacks them.

    Raises:
        InputError: the file is missing, damaged, or lacks one of them.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names if name not in optional or name in file}
    except FileNotFoundError:
        raise InputError(f"{path} is missing. Prepare the capture again, or restore the file.") from None
    except KeyError as error:
        raise InputError(f"{path} lacks an array: {error.args[0]}. Prepare the capture again.") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is damaged ({error}). Prepare the capture again, or restore the file.") from None
