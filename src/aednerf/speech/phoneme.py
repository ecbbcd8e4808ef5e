"""A speech sound with its time."""

from __future__ import annotations

from typing import NamedTuple

SILENCE = "_"
"""The name of a phoneme that is a pause."""


class Phoneme(NamedTuple):
    """One speech sound and when it is heard."""

    name: str
    """espeak-ng's mnemonic without stress marks and numbers, such as `m`, `aI` or `tS`; `SILENCE` for a pause."""

    start_s: float
    end_s: float
    is_stressed: bool
