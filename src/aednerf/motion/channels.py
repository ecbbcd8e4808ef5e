"""Which columns of an expression speech drives, and which belong to the idle life of brows and eyes."""

from __future__ import annotations

import numpy as np

from aednerf.core.records import ARKIT_NAMES


def _columns(*prefixes: str) -> np.ndarray:
    return np.array([i for i, name in enumerate(ARKIT_NAMES) if name.startswith(prefixes)])


SPEECH_COLUMNS = _columns("jaw", "mouth", "cheek", "noseSneer", "tongue")
"""[33] columns of the lower face: the motion network writes these."""

IDLE_COLUMNS = _columns("brow", "eye")
"""[19] columns of brows, lids and gaze: the idle motion writes these."""

BLINK_COLUMNS = _columns("eyeBlink")
LOOK_COLUMNS = _columns("eyeLook")
CHEEK_SQUINT_COLUMNS, SNEER_COLUMNS = _columns("cheekSquint"), _columns("noseSneer")
JAW_OPEN = ARKIT_NAMES.index("jawOpen")
MOUTH_CLOSE = ARKIT_NAMES.index("mouthClose")


def mouth_opening(expression: np.ndarray) -> np.ndarray:
    """Return [...] how far the lips part, roughly: `jawOpen` that `mouthClose` does not undo, for [..., 52]."""
    return expression[..., JAW_OPEN] - expression[..., MOUTH_CLOSE]
