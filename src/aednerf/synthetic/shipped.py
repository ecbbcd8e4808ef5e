"""What comes with the program for its demo: a computer-generated person, the capture behind her, and a sentence.

All of it is made by `scripts/make_demo.py` and lies in the package's folder `shipped`. Nothing is ever written there:
an installed package may be read-only. The speech encoder's weights lie there as well (`speech/bundled.py`).
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from aednerf.core.errors import InputError

AVATAR_NAME, CAPTURE_NAME, SENTENCE_NAME = "mara.aednerf", "mara", "sentence.wav"

SENTENCE = "Hello, I am Mara, and I was never filmed."
"""What is said in `SENTENCE_NAME`."""

MOST_BYTES = 12_000_000
"""Of all that is shipped for the demo."""


def shipped_folder() -> Path:
    """Return the folder of what is shipped, whether or not it is there."""
    return Path(str(files("aednerf") / "shipped"))


def shipped(name: str) -> Path:
    """Return where something shipped lies.

    Args:
        name: `AVATAR_NAME`, `CAPTURE_NAME` or `SENTENCE_NAME`.

    Raises:
        InputError: this installation lacks it.
    """
    path = shipped_folder() / name
    if not path.exists():
        raise InputError(
            f"{path} is missing: this copy of aednerf came without its demonstration data. Install it again from a "
            "wheel or a whole checkout, or make the data with scripts/make_demo.py."
        )
    return path
