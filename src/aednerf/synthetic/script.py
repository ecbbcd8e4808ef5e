"""A script: who speaks, how large the picture is, and what is said with which emotion. A TOML file:

    identity = "mara"
    size = 256
    seed = 1
    views = false

    [voice]
    name = "en-us+f3"
    pitch = 55

    [[line]]
    text = "Good morning. It is a pleasure to meet you."
    emotion = "happy"
    intensity = 0.8
    pause_s = 0.3
    looks_around = false

The tables `[[line]]` follow each other as the sentences do.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from aednerf.core.errors import InputError
from aednerf.core.records import EMOTIONS
from aednerf.synthetic.voice import Voice

LEAST_SIZE, MOST_SIZE = 64, 2048
LONGEST_PAUSE_S = 5.0
MOST_CHARACTERS = 600
"""Of one line: espeak-ng speaks a line in one breath."""

_KEYS: dict[str, type | tuple[type, ...]] = {
    "name": str, "identity": str, "seed": int, "size": int, "views": bool, "voice": dict, "line": list,
}  # fmt: skip
_VOICE_KEYS: dict[str, type | tuple[type, ...]] = {
    "name": str, "pitch": int, "pitch_range": int, "words_per_minute": int,
}  # fmt: skip
_LINE_KEYS: dict[str, type | tuple[type, ...]] = {
    "text": str, "emotion": str, "intensity": (int, float), "pause_s": (int, float), "looks_around": bool,
}  # fmt: skip
_LIMITS = {"pitch": (0, 99), "pitch_range": (0, 99), "words_per_minute": (80, 300)}


@dataclass(frozen=True)
class Line:
    """What is said in one go."""

    text: str
    emotion: str = "neutral"
    """One of `EMOTIONS`."""

    intensity: float = 1.0
    """In [0, 1]."""

    pause_s: float = 0.3
    """Silence before the next line of the same emotion; between two clips it is always short."""

    looks_around: bool = False
    """Whether the head is turned to every side meanwhile, so that a recording shows all of it."""


@dataclass(frozen=True)
class Script:
    """Everything that decides a synthetic recording, but for the program's version."""

    name: str
    """A plain name: it titles the recording."""

    identity: str
    """Which computer-generated person."""

    lines: tuple[Line, ...]
    voice: Voice = Voice()
    seed: int = 0
    size: int = 512
    """Edge of the square frames in pixels, even."""

    views: bool = True
    """Whether pictures from unseen cameras are made beside."""

    @property
    def blocks(self) -> tuple[tuple[Line, ...], ...]:
        """The lines grouped into stretches of one emotion and intensity: each becomes a clip of the capture."""
        blocks: list[list[Line]] = []
        for line in self.lines:
            if blocks and (blocks[-1][-1].emotion, blocks[-1][-1].intensity) == (line.emotion, line.intensity):
                blocks[-1].append(line)
            else:
                blocks.append([line])
        return tuple(tuple(block) for block in blocks)


def load_script(path: str | Path) -> Script:
    """Read a script.

    Args:
        path: a TOML file, or the name of a script that comes with the program (`script_names`).

    Raises:
        InputError: it is missing, not TOML, or something in it is missing, unknown or out of range.
    """
    path = Path(path)
    if not path.is_file() and str(path) in script_names():
        text, where = (files("aednerf.synthetic") / "scripts" / f"{path}.toml").read_text(encoding="utf-8"), str(path)
    else:
        text, where = _read(path), path.name
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where} is not valid TOML: {error}. Correct it there.") from None
    return _script(value, where, re.sub(r"[^\w.-]+", "_", path.stem).lstrip(".-") or "script")


def script_names() -> list[str]:
    """Return the names of the scripts that come with the program."""
    folder = files("aednerf.synthetic") / "scripts"
    return sorted(entry.name[: -len(".toml")] for entry in folder.iterdir() if entry.name.endswith(".toml"))


def _read(path: Path) -> str:
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"{path} {kind}; expected a script (a TOML file), or one of: {', '.join(script_names())}.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file in UTF-8; expected a script (a TOML file).") from None


def _script(value: dict[str, Any], where: str, default_name: str) -> Script:
    _check_keys(value, _KEYS, where)
    for name in ("identity", "line"):
        if name not in value:
            raise InputError(f"{where} lacks {name!r}. A script has an identity, and a [[line]] for each text.")
    if not value["line"]:
        raise InputError(f"{where} has no [[line]]. Add one for each text.")
    name = value.get("name", default_name)
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise InputError(f"{where}: name must be letters, digits, '.', '_' or '-', got {name!r}.")
    size = value.get("size", 512)
    if size % 2 or not LEAST_SIZE <= size <= MOST_SIZE:
        raise InputError(f"{where}: size must be an even number from {LEAST_SIZE} to {MOST_SIZE}, got {size}.")
    voice = value.get("voice", {})
    _check_keys(voice, _VOICE_KEYS, f"{where}, [voice]")
    for key, (low, high) in _LIMITS.items():
        if not low <= voice.get(key, low) <= high:
            raise InputError(f"{where}, [voice]: {key} must be from {low} to {high}, got {voice[key]}.")
    lines = tuple(_line(entry, f"{where}, line {number}") for number, entry in enumerate(value["line"], start=1))
    return Script(
        name, value["identity"], lines, Voice(**voice), value.get("seed", 0), size, value.get("views", True)
    )  # fmt: skip


def _line(value: Any, where: str) -> Line:
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected a table [[line]], got {value!r}.")
    _check_keys(value, _LINE_KEYS, where)
    text = " ".join(str(value.get("text", "")).split())
    if not any(character.isalnum() for character in text):
        raise InputError(f'{where} has no text. Give it one: text = "...".')
    if len(text) > MOST_CHARACTERS:
        raise InputError(f"{where} has {len(text)} characters, at most {MOST_CHARACTERS} go in one. Split it.")
    emotion, intensity, pause = value.get("emotion", "neutral"), value.get("intensity", 1.0), value.get("pause_s", 0.3)
    if emotion not in EMOTIONS:
        raise InputError(f"{where}: unknown emotion {emotion!r}. The labels are: {', '.join(EMOTIONS)}.")
    if not 0 <= intensity <= 1:
        raise InputError(f"{where}: intensity must lie in [0, 1], got {intensity}.")
    if not 0 <= pause <= LONGEST_PAUSE_S:
        raise InputError(f"{where}: pause_s must be from 0 to {LONGEST_PAUSE_S:g} seconds, got {pause}.")
    return Line(text, emotion, float(intensity), float(pause), value.get("looks_around", False))


def _check_keys(value: dict[str, Any], keys: dict[str, Any], where: str) -> None:
    for name, entry in value.items():
        if name not in keys:
            raise InputError(f"{where}: unknown key {name!r}. The keys are: {', '.join(keys)}.")
        kinds = keys[name] if isinstance(keys[name], tuple) else (keys[name],)
        if not isinstance(entry, kinds) or (isinstance(entry, bool) and bool not in kinds):
            expected = " or ".join({str: "text", int: "a whole number", float: "a number", bool: "true or false",
                                    dict: "a table", list: "[[line]] tables"}[kind] for kind in kinds)  # fmt: skip
            raise InputError(f"{where}: {name} must be {expected}, got {entry!r}.")
