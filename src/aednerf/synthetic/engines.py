"""Speech of several engines, with the phones of `speech.phones` and their times: what the bundled encoder learns from.

espeak-ng speaks through its library (`voice`), flite and festival through their programs. The sound keeps the
engine's own loudness. All three time a sound from where it begins to where the next one begins; espeak-ng alone
counts the silence of a stop's closure to the sound before, which `_with_closures` mends, so that a `p` is the whole
time of closed lips.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aednerf.core.errors import MachineError
from aednerf.core.units import SAMPLE_RATE_HZ
from aednerf.media.audio import load_audio
from aednerf.speech.phoneme import SILENCE
from aednerf.speech.phones import PHONES, VOWELS, from_engine, from_ipa
from aednerf.synthetic.voice import Voice, speak

STOPS = frozenset(map(PHONES.index, ("p", "b", "t", "d", "k", "ɡ")))
_SILENT = PHONES.index(SILENCE)
_LONGEST_CLOSURE_S = 0.13
_CLOSED_DB = -26.0
"""Below the loudest of the utterance, in the band of vowels, the mouth counts as closed before a stop."""

FESTIVAL_VOICES: dict[str, tuple[str, str]] = {
    "kal_diphone": ("arpabet", "utf-8"), "ked_diphone": ("arpabet", "utf-8"),
    "cmu_us_slt_arctic_hts": ("arpabet", "utf-8"), "lp_diphone": ("romance", "latin-1"),
    "pc_diphone": ("romance", "latin-1"), "upc_ca_ona_hts": ("romance", "latin-1"),
    "czech_dita": ("czech", "iso8859-2"), "czech_krb": ("czech", "iso8859-2"), "czech_machac": ("czech", "iso8859-2"),
    "czech_ph": ("czech", "iso8859-2"), "suo_fi_lj_diphone": ("finnish", "latin-1"),
    "hy_fi_mv_diphone": ("finnish", "latin-1"),
}  # fmt: skip
"""Festival's voices in Debian: their table of names in `speech.phones`, and the encoding of text that they read."""


class Utterance(NamedTuple):
    """A spoken text and its phones."""

    samples: NDArray[np.float32]
    """[n] 16 kHz mono in [-1, 1]."""

    starts_s: NDArray[np.float64]
    """[P] when each phone begins, the first at 0; each lasts until the next."""

    phones: NDArray[np.int64]
    """[P] indices into `PHONES`."""


@dataclass(frozen=True)
class Order:
    """What an engine shall say, and how."""

    engine: str
    """`espeak-ng`, `flite` or `festival`."""

    voice: str
    text: str
    pitch: int = 50
    """From 0 to 99 (espeak-ng)."""

    pitch_range: int = 50
    rate: float = 1.0
    """Speed against the voice's own (espeak-ng, flite)."""


def say(orders: Sequence[Order]) -> list[Utterance | None]:
    """Speak texts of one engine; what it fails to say, or says in sounds that no table knows, is None.

    Raises:
        MachineError: the engine is missing.
    """
    (engine,) = {order.engine for order in orders}
    return {"espeak-ng": _espeak, "flite": _flite, "festival": _festival}[engine](orders)


def _espeak(orders: Sequence[Order]) -> list[Utterance | None]:
    found: list[Utterance | None] = []
    for order in orders:
        words = round(165 * order.rate)
        spoken = speak(order.text, Voice(order.voice, order.pitch, order.pitch_range, words), ipa=True)
        try:
            segments = [(from_ipa(p.name), p.start_s) for p in spoken.phonemes]
        except KeyError:
            found.append(None)
            continue
        found.append(_with_closures(_utterance(spoken.samples, segments)))
    return found


def _flite(orders: Sequence[Order]) -> list[Utterance | None]:
    program = _program("flite")
    found: list[Utterance | None] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spoken.wav"
        for order in orders:
            command = [program, "-voice", order.voice, "--setf", f"duration_stretch={1 / order.rate:.3f}", "-psdur"]
            printed = _run([*command, "-t", order.text, "-o", str(path)])
            ends = [entry.rpartition(":") for entry in printed.split()]
            segments = [(name, float(end)) for name, _, end in ends]
            found.append(_of_ends(load_audio(path), segments, "arpabet"))
    return found


_SCHEME = """
(define (dump text wav)
  (set! utt (eval (list 'Utterance 'Text text)))
  (utt.synth utt)
  (utt.save.wave utt wav 'riff)
  (format t "@")
  (mapcar (lambda (s) (format t " %s %f" (item.name s) (item.feat s 'end))) (utt.relation.items utt 'Segment))
  (format t "\\n"))
"""


def _festival(orders: Sequence[Order]) -> list[Utterance | None]:
    program = _program("festival")
    found: list[Utterance | None] = []
    for order in orders:
        table, encoding = FESTIVAL_VOICES[order.voice]
        with tempfile.TemporaryDirectory() as folder:
            path, script = Path(folder) / "spoken.wav", Path(folder) / "say.scm"
            text = order.text.replace("\\", "").replace('"', "")
            lines = f'{_SCHEME}(voice_{order.voice})\n(dump "{text}" "{path}")\n'
            script.write_bytes(lines.encode(encoding, errors="ignore"))
            printed = _run([program, "-b", str(script)])
            said = [line.split()[1:] for line in printed.splitlines() if line.startswith("@")]
            if not said or not path.is_file():
                found.append(None)
                continue
            names, ends = said[0][::2], map(float, said[0][1::2])
            found.append(_of_ends(load_audio(path), list(zip(names, ends, strict=True)), table))
    return found


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise MachineError(f"The program {name} is missing. Install it (Debian: apt install {name}).")
    return path


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, check=False)
    return done.stdout.decode("latin-1")


def _of_ends(samples: NDArray[np.float32], segments: list[tuple[str, float]], table: str) -> Utterance | None:
    """Return the utterance of (name, end) pairs, or None where a name is in no table."""
    starts = [0.0, *(end for _, end in segments[:-1])]
    try:
        return _utterance(samples, [(from_engine(n, table), s) for (n, _), s in zip(segments, starts, strict=True)])
    except KeyError:
        return None


def _utterance(samples: NDArray[np.float32], segments: list[tuple[tuple[str, ...], float]]) -> Utterance:
    """Divide each segment among its phones, of which the first is a little longer."""
    duration = len(samples) / SAMPLE_RATE_HZ
    starts: list[float] = []
    phones: list[int] = []
    for index, (names, start) in enumerate(segments):
        end = segments[index + 1][1] if index + 1 < len(segments) else duration
        names = names or (() if index else (SILENCE,))  # a mark without a sound belongs to the sound before
        shares = np.cumsum([0.0, *([0.55, 0.45, 0.45, 0.45, 0.45, 0.45][: len(names)])])
        for name, share in zip(names, shares[:-1] / max(shares[-1], 1e-9), strict=True):
            starts.append(start + share * (end - start))
            phones.append(PHONES.index(name))
    return Utterance(np.asarray(samples, np.float32), np.array(starts), np.array(phones))


def _with_closures(spoken: Utterance) -> Utterance:
    """Let each stop begin where the sound before it has died away, at most `_LONGEST_CLOSURE_S` before its burst."""
    hop = SAMPLE_RATE_HZ // 200
    spectra = np.abs(np.fft.rfft(np.pad(spoken.samples, (hop, 2 * hop))[_frames(len(spoken.samples), hop)]))
    band_hz = np.fft.rfftfreq(3 * hop, 1 / SAMPLE_RATE_HZ)
    power = np.square(spectra[:, (band_hz >= 350) & (band_hz < 4000)]).sum(1)
    level = 10 * np.log10(power + 1e-9)
    is_quiet = level < np.percentile(level, 97) + _CLOSED_DB
    starts = spoken.starts_s.copy()
    for index in range(1, len(starts)):
        before = spoken.phones[index - 1]
        if spoken.phones[index] in STOPS and before != _SILENT:
            # Of two stops in a row, the first keeps at least half of its time.
            kept = 0.5 * (starts[index] - starts[index - 1]) if before in STOPS else 0.02
            least = max(starts[index] - _LONGEST_CLOSURE_S, starts[index - 1] + kept)
            step = min(round(starts[index] * 200), len(is_quiet)) - 1
            # The burst may begin a little before its mark.
            step = next((early for early in range(step, max(-1, step - 5), -1) if is_quiet[early]), step)
            while step >= 0 and is_quiet[step] and step / 200 >= least:
                starts[index] = step / 200
                step -= 1
    return spoken._replace(starts_s=starts)


def _frames(n: int, hop: int) -> NDArray[np.int64]:
    return np.arange(0, n, hop)[:, None] + np.arange(3 * hop)


def is_vowel(phone: int) -> bool:
    """Tell whether an index into `PHONES` is a vowel."""
    return PHONES[phone] in VOWELS
