"""What drives a peer besides poses: speech features [N, 16, 29], action units, blendshapes.

None of the three is what the peers' own tools would compute, and every file says so, or `aednerf/export.json` does.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError
from aednerf.core.files import atomic_path, sha256_of
from aednerf.core.records import ARKIT_NAMES
from aednerf.core.units import FPS
from aednerf.speech.features import N_MELS, N_SPECTRA, SILENT_VALUE, log_mel

WINDOW, CHANNELS = 16, 29
"""The layout's speech features: 16 steps of 20 ms around each frame, 29 numbers a step."""

STEPS_PER_FRAME = 2
MOST_MISSING_ROWS = 3
"""By how many rows features may differ from the clip's frames: extractors lose or add a window or two at the end."""

OWN_FEATURES = (
    "aednerf log-mel energies: 29 bands, 16 steps of 20 ms around each frame, 0 is silence and 1 the speaker's own "
    "level; not DeepSpeech"
)

ACTION_UNITS: Mapping[str, tuple[float, tuple[str, ...]]] = {
    "AU01": (5, ("browInnerUp",)),
    "AU02": (5, ("browOuterUpLeft", "browOuterUpRight")),
    "AU04": (5, ("browDownLeft", "browDownRight")),
    "AU05": (5, ("eyeWideLeft", "eyeWideRight")),
    "AU06": (5, ("cheekSquintLeft", "cheekSquintRight")),
    "AU07": (5, ("eyeSquintLeft", "eyeSquintRight")),
    "AU09": (5, ("noseSneerLeft", "noseSneerRight")),
    "AU10": (5, ("mouthUpperUpLeft", "mouthUpperUpRight")),
    "AU12": (5, ("mouthSmileLeft", "mouthSmileRight")),
    "AU14": (5, ("mouthDimpleLeft", "mouthDimpleRight")),
    "AU15": (5, ("mouthFrownLeft", "mouthFrownRight")),
    "AU17": (5, ("mouthShrugLower",)),
    "AU20": (5, ("mouthStretchLeft", "mouthStretchRight")),
    "AU23": (5, ("mouthPressLeft", "mouthPressRight")),
    "AU25": (5, ("jawOpen",)),
    "AU26": (5, ("jawOpen",)),
    "AU45": (2, ("eyeBlinkLeft", "eyeBlinkRight")),
}
"""Each action unit's factor and the coefficients whose mean it is. OpenFace's scale goes to 5; AU45 goes to 2 at closed
eyes because the peers clip it there and halve it. AU25 also loses `mouthClose`: the lips can meet over an open jaw."""

AU_MARK = "derived from ARKit coefficients by aednerf"


def own_features(samples: NDArray[np.float32], n_frames: int) -> NDArray[np.float32]:
    """Return our speech features in the layout's shape.

    Row i holds the steps 2i - 8 ... 2i + 7 of 20 ms, as DeepSpeech's rows of these peers do; beyond the ends is
    silence.

    Args:
        samples: [n] the clip's sound.
        n_frames: rows to return.

    Returns:
        float32 [n_frames, 16, 29], 0 is silence.
    """
    spectra = (log_mel(samples) - SILENT_VALUE) / -SILENT_VALUE
    steps = spectra.reshape(-1, N_SPECTRA // STEPS_PER_FRAME, N_MELS).mean(1) @ _bands()
    half = WINDOW // 2
    short = max(0, STEPS_PER_FRAME * n_frames - len(steps))
    steps = np.pad(steps, ((half, half + short), (0, 0)))
    rows = np.lib.stride_tricks.sliding_window_view(steps, WINDOW, axis=0)[::STEPS_PER_FRAME][:n_frames]
    return np.ascontiguousarray(np.swapaxes(rows, 1, 2), np.float32)


def _bands() -> NDArray[np.float64]:
    """Return [80, 29] weights that average the mel bands into 29 of equal width; columns sum to 1."""
    edges = np.linspace(0, N_MELS, CHANNELS + 1)
    place = np.arange(N_MELS)[:, None]
    shared = np.minimum(place + 1, edges[1:]) - np.maximum(place, edges[:-1])
    weights = np.maximum(shared, 0)
    return weights / weights.sum(0)


def load_features(path: Path, n_frames: int) -> NDArray[np.float32]:
    """Read speech features that another program computed for the clip's whole sound.

    Args:
        path: a .npy file, [n, 16, 29].
        n_frames: frames of the clip; up to three missing rows are repeated from the last one.

    Returns:
        float32 [n_frames, 16, 29].

    Raises:
        InputError: it is no such file, or belongs to another clip.
    """
    try:
        rows = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected a .npy file of speech features.") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is no .npy file of numbers ({error}). Compute the features again.") from None
    shape = list(rows.shape) if isinstance(rows, np.ndarray) else "an archive"
    if not isinstance(rows, np.ndarray) or rows.shape[1:] != (WINDOW, CHANNELS) or rows.dtype.kind != "f":
        raise InputError(
            f"{path} holds {shape}; expected floats [N, {WINDOW}, {CHANNELS}], as DeepSpeech's extractor of these "
            "programs writes them."
        )
    missing = n_frames - len(rows)
    if abs(missing) > MOST_MISSING_ROWS:
        raise InputError(
            f"{path} has {len(rows)} rows, the clip {n_frames} frames at {FPS} a second, frames without a face "
            "included. Compute the features from the sound of this very clip."
        )
    if not np.isfinite(rows).all():
        raise InputError(f"{path} holds numbers that are not finite. Compute the features again.")
    rows = np.concatenate([rows, np.repeat(rows[-1:], max(0, missing), 0)])
    return rows[:n_frames].astype(np.float32)


def features_record(path: Path | None, is_silent: bool) -> dict[str, Any]:
    """Say where the features come from, for `aednerf/export.json`."""
    if path is not None:
        return {"source": path.name, "sha256": sha256_of(path)}
    return {"source": "none: the clip is silent, all numbers are 0" if is_silent else OWN_FEATURES}


def action_units(expression: NDArray[np.floating]) -> dict[str, NDArray[np.float64]]:
    """Return each action unit's intensity [N] of coefficients [N, 52], 0 to 5 (AU45: 0 to 2)."""
    column = {name: np.asarray(expression[:, i], np.float64) for i, name in enumerate(ARKIT_NAMES)}
    units = {unit: factor * np.mean([column[n] for n in names], 0) for unit, (factor, names) in ACTION_UNITS.items()}
    units["AU25"] = np.maximum(units["AU25"] - 5 * column["mouthClose"], 0)
    return units


def write_action_units(path: Path, expression: NDArray[np.floating]) -> None:
    """Write `au.csv` as OpenFace lays it out, leading spaces in the header included, one row a picture, atomically.

    Args:
        path: the file.
        expression: [N, 52] ARKit coefficients.
    """
    units = action_units(expression)
    intensities, presences = [f" {unit}_r" for unit in units], [f" {unit}_c" for unit in units]
    head = ["frame", " face_id", " timestamp", " confidence", " success", *intensities, *presences, " source"]
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="ascii") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        for i in range(len(expression)):
            values = [units[unit][i] for unit in units]
            writer.writerow([
                i + 1, 0, f"{i / FPS:.3f}", 1, 1, *(f"{value:.4f}" for value in values),
                *(int(value >= 1) for value in values), AU_MARK,
            ])  # fmt: skip
