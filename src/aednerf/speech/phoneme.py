"""A speech sound with its time, and the file of them that may lie beside a sound."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from aednerf.core.errors import InputError
from aednerf.core.files import read_json, write_json

SILENCE = "_"
"""The name of a phoneme that is a pause."""

BILABIALS = ("m", "b", "p")
"""How the names of the sounds begin for which the lips touch, in espeak-ng's mnemonics as in IPA."""


class Phoneme(NamedTuple):
    """One speech sound and when it is heard."""

    name: str
    """espeak-ng's mnemonic without stress marks and numbers, such as `m`, `aI` or `tS`; `SILENCE` for a pause."""

    start_s: float
    end_s: float
    is_stressed: bool


def phoneme_file(sound: str | Path) -> Path:
    """Return where the phonemes of a sound file would lie: `hello.phonemes.json` beside `hello.wav`."""
    return Path(sound).with_suffix(".phonemes.json")


def save_phonemes(path: str | Path, phonemes: Iterable[Phoneme]) -> None:
    """Write phonemes as JSON: a list of `{"name": "m", "start_s": 0.12, "end_s": 0.2, "is_stressed": false}`."""
    write_json(path, [phoneme._asdict() for phoneme in phonemes])


def load_phonemes(path: str | Path) -> tuple[Phoneme, ...]:
    """Read what `save_phonemes` wrote; `is_stressed` may be missing.

    Raises:
        InputError: the file is missing, or an entry is not as above (its number is named, from 0).
    """
    entries = read_json(path)
    if not isinstance(entries, list):
        raise InputError(f'{path}: expected a list of sounds such as {{"name": "m", "start_s": 0.12, "end_s": 0.2}}.')
    return tuple(_read(path, entry, number) for number, entry in enumerate(entries))


def _read(path: str | Path, entry: Any, number: int) -> Phoneme:
    try:
        phoneme = Phoneme(
            str(entry["name"]), float(entry["start_s"]), float(entry["end_s"]), bool(entry.get("is_stressed", False))
        )
    except (TypeError, KeyError, ValueError, AttributeError):
        raise InputError(f"{path}: sound {number} must have name, start_s and end_s; got {entry!r}.") from None
    if not 0 <= phoneme.start_s < phoneme.end_s < math.inf:
        raise InputError(f"{path}: sound {number} must end after it starts, at 0 or later; got {entry!r}.")
    return phoneme
