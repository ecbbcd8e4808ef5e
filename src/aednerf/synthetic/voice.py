"""Text to speech with phoneme times, by espeak-ng through its shared library.

espeak-ng is a program of its own under the GPL; it is loaded when a script is spoken, nothing of it is copied, and the
sound that it makes belongs to whoever made it. The library comes from the package `espeakng-loader` (the extra
`synthetic`) or from the system (Debian: `libespeak-ng1`).
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import InputError, MachineError
from aednerf.core.units import SAMPLE_RATE_HZ
from aednerf.speech.phoneme import SILENCE, Phoneme

Samples = NDArray[np.float32]

LOUDNESS_RMS = 0.08
"""Every sentence is brought to this root mean square, about -22 dB of full scale."""

_SYNCHRONOUS, _PHONEME_EVENTS, _IN_IPA, _NO_EXIT = 0x02, 0x1, 0x2, 0x8000
_EVENT_END, _EVENT_PHONEME = 0, 7
_UTF8, _PHONEMES = 0x1, 0x100
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_BUFFER_MS = 60
_HOW_TO_GET = (
    "Run `pip install 'aednerf[synthetic]'`, or install your system's package (Debian: apt install libespeak-ng1)."
)
_SYSTEM_FOLDERS = (
    *(f"{root}/lib{middle}" for root in ("/usr", "/usr/local", "/opt/homebrew")
      for middle in ("", "64", f"/{platform.machine()}-linux-gnu")),
)  # fmt: skip


class Speech(NamedTuple):
    """A spoken text."""

    samples: Samples
    """[n] 16 kHz mono in [-1, 1]."""

    phonemes: tuple[Phoneme, ...]
    """Without gaps, from 0 to the end of the samples."""


@dataclass(frozen=True)
class Voice:
    """Who speaks, and how."""

    name: str = "en-us"
    """A voice of espeak-ng, such as `en-us` or, with a variant, `en-us+f3`."""

    pitch: int = 50
    """From 0 to 99."""

    pitch_range: int = 50
    """From 0 (monotonous) to 99 (lively)."""

    words_per_minute: int = 150

    def with_emotion(self, emotion: str, intensity: float) -> Voice:
        """Return the voice as the emotion changes it: lower and slower when sad, higher and livelier when happy."""
        pitch, pitch_range, rate = _EMOTIONAL.get(emotion, (0, 0, 1.0))
        return Voice(
            self.name, int(np.clip(self.pitch + intensity * pitch, 0, 99)),
            int(np.clip(self.pitch_range + intensity * pitch_range, 0, 99)),
            round(self.words_per_minute * rate**intensity),
        )  # fmt: skip


_EMOTIONAL: dict[str, tuple[int, int, float]] = {
    "angry": (4, 24, 1.08), "contempt": (-8, -10, 0.92), "disgusted": (-10, 4, 0.9), "fear": (18, 14, 1.12),
    "happy": (14, 28, 1.04), "sad": (-12, -26, 0.84), "surprised": (20, 34, 1.02),
}  # fmt: skip
"""What an emotion at intensity 1 adds to pitch and to its range, and the factor on the rate. Directions after K.
Scherer, "Vocal communication of emotion", Speech Communication 40, 2003, table 2; amounts by ear."""


def speak(text: str, voice: Voice, *, ipa: bool = False) -> Speech:
    """Say a text.

    Args:
        text: sentences of the voice's language.
        voice: who says it.
        ipa: name the phonemes in the International Phonetic Alphabet instead of espeak-ng's mnemonics.

    Returns:
        The sound, at `LOUDNESS_RMS`, and its phonemes.

    Raises:
        InputError: the voice is unknown, or the text has nothing to say.
        MachineError: espeak-ng is missing or failed.
    """
    with _Engine.fresh(ipa) as engine:
        raw, events = engine.say(text, voice)
    if not len(raw) or all(name.startswith("_") for _, name in events):
        raise InputError(f"The text {text!r} has nothing that can be spoken. Write words.")
    samples = _resampled(raw, engine.rate_hz)
    samples *= LOUDNESS_RMS / (np.sqrt(np.square(samples).mean()) + 1e-9)
    samples = np.tanh(samples / 0.9) * 0.9  # rare peaks are rounded, not cut
    return Speech(samples.astype(np.float32), _phonemes(events, len(samples) / SAMPLE_RATE_HZ))


def is_available() -> bool:
    """Tell whether espeak-ng can be loaded here."""
    try:
        with _Engine.fresh():
            return True
    except MachineError:
        return False


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", _Id),
    ]  # fmt: skip


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _Engine:
    """A library loaded for one text and then let go.

    espeak-ng keeps the phases of its oscillators between texts and across its own reset, so the same text sounds
    different each time. A copy of the file is a library of its own to the system, with a state of its own.
    """

    def __init__(self, library: Any, data: str | None, ipa: bool = False) -> None:
        self._library = library
        _declare(library)
        path = None if data is None else data.encode()
        options = _PHONEME_EVENTS | _NO_EXIT | (_IN_IPA if ipa else 0)
        self.rate_hz = library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, path, options)
        if self.rate_hz <= 0:
            where = data or "where the system keeps it"
            raise MachineError(f"espeak-ng could not be started with its data ({where}). Install it again.")
        self._samples: list[NDArray[np.int16]] = []
        self._events: list[tuple[float, str]] = []
        self._callback = _Callback(self._take)
        library.espeak_SetSynthCallback(self._callback)

    @staticmethod
    @contextlib.contextmanager
    def fresh(ipa: bool = False) -> Iterator[_Engine]:
        """Load the library anew.

        Args:
            ipa: name phonemes in IPA.

        Raises:
            MachineError: espeak-ng is missing.
        """
        file, data = _place()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            try:
                library = ctypes.CDLL(shutil.copy(file, folder))
            except OSError as error:
                raise MachineError(f"espeak-ng could not be loaded ({error}). {_HOW_TO_GET}") from None
            try:
                yield _Engine(library, data, ipa)
            finally:
                library.espeak_Terminate()
                import _ctypes  # ctypes loads libraries, but has no public way to let them go

                release = getattr(_ctypes, "dlclose", None) or getattr(_ctypes, "FreeLibrary", None)
                if release is not None:
                    release(library._handle)

    def say(self, text: str, voice: Voice) -> tuple[NDArray[np.int16], list[tuple[float, str]]]:
        """Return samples at the engine's rate, and (seconds, mnemonic) of each phoneme's start."""
        library = self._library
        if library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise InputError(f"espeak-ng has no voice {voice.name!r}. Its voices are listed by: espeak-ng --voices.")
        settings = {_RATE: voice.words_per_minute, _VOLUME: 100, _PITCH: voice.pitch, _RANGE: voice.pitch_range}
        for parameter, value in settings.items():
            library.espeak_SetParameter(parameter, value, 0)
        self._reseed()
        self._samples, self._events = [], []
        data = text.encode() + b"\0"
        if library.espeak_Synth(data, len(data), 0, 0, 0, _UTF8, None, None) != 0:
            raise MachineError(f"espeak-ng could not say {text!r}. Try again, or install it again.")
        library.espeak_Synchronize()
        joined = np.concatenate(self._samples) if self._samples else np.zeros(0, np.int16)
        return joined, self._events

    def _reseed(self) -> None:
        """Make the breath noise the same each time: by the library's own generator, before 1.52 by the C library's."""
        if hasattr(self._library, "espeak_ng_SetRandSeed"):
            self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        elif hasattr(libc := ctypes.CDLL(None), "srand"):
            libc.srand(1)

    def _take(self, wave: Any, count: int, events: Any) -> int:
        if count > 0 and wave:
            self._samples.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while events[index].type != _EVENT_END:
            if events[index].type == _EVENT_PHONEME:
                name = bytes(events[index].id.string).split(b"\0")[0].decode(errors="replace")
                self._events.append((events[index].sample / self.rate_hz, name))
            index += 1
        return 0


def _declare(library: Any) -> None:
    library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
        ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip


@cache
def _place() -> tuple[str, str | None]:
    """Return the library's file, and the folder of its data (None: where it was built for)."""
    with contextlib.suppress(ImportError, RuntimeError):
        import espeakng_loader  # pyright: ignore[reportMissingImports]

        if Path(espeakng_loader.get_library_path()).is_file():
            return espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
    names = [ctypes.util.find_library("espeak-ng"), "libespeak-ng.so.1", "libespeak-ng.dylib", "libespeak-ng.dll"]
    for name in filter(None, names):
        for folder in ("", *_SYSTEM_FOLDERS):
            found = sorted(Path(folder).glob(Path(name).name)) if folder else [Path(name)]
            if found and found[0].is_file():
                return str(found[0]), None
    raise MachineError(f"espeak-ng, which speaks the script, is missing. {_HOW_TO_GET}")


def _resampled(raw: NDArray[np.int16], rate_hz: int) -> NDArray[np.float64]:
    from math import gcd

    from scipy.signal import resample_poly

    divisor = gcd(SAMPLE_RATE_HZ, rate_hz)
    return resample_poly(raw.astype(np.float64) / 32768, SAMPLE_RATE_HZ // divisor, rate_hz // divisor)


def _phonemes(events: list[tuple[float, str]], duration_s: float) -> tuple[Phoneme, ...]:
    """Turn starts into intervals: each phoneme lasts until the next one begins."""
    starts = [min(max(time, 0.0), duration_s) for time, _ in events]
    phonemes: list[Phoneme] = []
    if starts[0] > 0:
        phonemes.append(Phoneme(SILENCE, 0.0, starts[0], False))
    for (_, raw), start, end in zip(events, starts, [*starts[1:], duration_s], strict=True):
        if end > start:
            name = SILENCE if raw.startswith("_") else raw.strip("',%=|:;") or SILENCE
            phonemes.append(Phoneme(name, start, end, "'" in raw or "ˈ" in raw))
    return tuple(phonemes)
