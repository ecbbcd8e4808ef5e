"""The encoder that comes with the program: small, streaming, and trained on synthesised speech alone.

A row is what the mouth needs to know of one video frame, in two steps of 20 ms: the probability of each speech sound
(`phones.PHONES`), then how loud it is in each of 20 bands, which says how wide a vowel is open and how sure the
probabilities can be. The weights are made by `scripts/train_encoder.py`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from aednerf.core.errors import InputError
from aednerf.core.files import atomic_path
from aednerf.core.records import Array
from aednerf.core.units import FPS
from aednerf.ops.threads import one_thread
from aednerf.speech.features import LOOKAHEAD_S, N_MELS, N_SPECTRA, SILENT_VALUE, LogMel, log_mel_at_once
from aednerf.speech.phone_network import (
    DELAY_ROWS,
    STEPS_PER_ROW,
    Memory,
    PhoneNetwork,
    PhoneNetworkConfig,
)
from aednerf.speech.phoneme import BILABIALS, SILENCE
from aednerf.speech.phones import PHONES

NAME = "bundled"
WEIGHTS_NAME = "encoder.safetensors"
MOST_BYTES = 8_000_000
"""Of the weights."""

N_BANDS = 20
"""Bands of loudness, each of four neighbours of the log-mel bands."""

BUNDLED_DIM = STEPS_PER_ROW * (len(PHONES) + N_BANDS)
BUNDLED_LOOKAHEAD_S = DELAY_ROWS / FPS + LOOKAHEAD_S
"""One row more than the log-mel features: 47.5 ms."""

_CLOSED_LIPS = [PHONES.index(phone) for phone in BILABIALS]


@dataclass(frozen=True, eq=False)
class BundledEncoder:
    """Phone probabilities and loudness; see the head of this file."""

    network: PhoneNetwork
    silence: Array
    """[124] the row of a long silence."""

    start: Memory
    """What a stream remembers before its first sound."""

    name: str = NAME
    dim: int = BUNDLED_DIM
    lookahead_s: float = BUNDLED_LOOKAHEAD_S
    tells_speech: bool = True

    def speech(self, row: Array) -> float:
        """Return the probability [0, 1] that a row [124] is no silence, the mean of its steps."""
        return 1.0 - float(row.reshape(STEPS_PER_ROW, -1)[:, PHONES.index(SILENCE)].mean())

    def closed_lips(self, row: Array) -> Array:
        """Return [2] the probability of m, b and p together in each step of a row [124]."""
        return row.reshape(STEPS_PER_ROW, -1)[:, _CLOSED_LIPS].sum(1)

    def stream(self) -> BundledStream:
        """Begin a stream."""
        return BundledStream(self.network, self.start)

    def recording(self, samples: np.ndarray) -> Array:
        """Return the rows [T, 124] of a whole recording, all layers over all of it at once."""
        rows = log_mel_at_once(samples)
        after = np.full((DELAY_ROWS, rows.shape[1]), SILENT_VALUE, np.float32)
        with torch.inference_mode():
            logits = self.network(torch.from_numpy(np.concatenate([rows, after]))[None])[0]
        return _rows_of(logits, rows)


class BundledStream:
    """Samples in, rows out, each computed alone by operations of the same shapes: no cutting changes a bit."""

    def __init__(self, network: PhoneNetwork, start: Memory) -> None:
        self._network, self._memory, self._log_mel = network, start, LogMel()
        self._row = np.full(N_SPECTRA * N_MELS, SILENT_VALUE, np.float32)
        self._has_begun = False

    def push(self, samples: np.ndarray) -> Array:
        """Take samples [n] at 16 kHz and return the rows [m, 124] that they complete.

        Raises:
            InputError: the samples are not one row of finite numbers.
        """
        return self._answers(self._log_mel.push(samples))

    def flush(self) -> Array:
        """End the stream, as if silence followed, and return the rows that are left."""
        rows = self._log_mel.flush()
        silent = np.full((DELAY_ROWS, rows.shape[1]), SILENT_VALUE, np.float32)
        return self._answers(np.concatenate([rows, silent]))

    def _answers(self, rows: Array) -> Array:
        """Return the answers for the rows before `rows`, the last one not among them."""
        found = []
        with one_thread():
            for row in rows:
                logits, self._memory = self._network.step(torch.from_numpy(row), self._memory)
                if self._has_begun:
                    found.append(_rows_of(logits, self._row[None])[0])
                self._row, self._has_begun = row, True
        return np.stack(found) if found else np.zeros((0, BUNDLED_DIM), np.float32)


def _rows_of(logits: torch.Tensor, rows: Array) -> Array:
    """Put together rows [n, 124]: each the probabilities and the loudness of its first step, then of its second.

    Args:
        logits: [2 n, phones] of the steps.
        rows: [n, 320] log-mel.
    """
    probabilities = torch.softmax(logits, -1).numpy()
    bands = rows.reshape(len(rows) * STEPS_PER_ROW, N_SPECTRA // STEPS_PER_ROW, N_BANDS, N_MELS // N_BANDS)
    loudness = bands.mean((1, 3)) - np.float32(SILENT_VALUE)
    return np.concatenate([probabilities, loudness], axis=1).astype(np.float32).reshape(len(rows), BUNDLED_DIM)


@lru_cache(maxsize=1)
def bundled_encoder() -> BundledEncoder:
    """Return the encoder with the weights that come with the program.

    Raises:
        InputError: they are missing or damaged.
    """
    return load_bundled(weights_path())


def weights_path() -> Path:
    """Return where the weights lie, whether or not they are there."""
    return Path(str(files("aednerf") / "shipped" / WEIGHTS_NAME))


def load_bundled(path: Path) -> BundledEncoder:
    """Return the encoder with the weights of a file that `save_weights` wrote.

    Raises:
        InputError: it is missing or damaged.
    """
    advice = "Install aednerf again from a wheel or a whole checkout, or make it with scripts/train_encoder.py."
    if not path.is_file():
        raise InputError(f"{path}, the weights of the bundled speech encoder, is missing. {advice}")
    try:
        with safe_open(path, framework="pt") as file:
            config = _config(file.metadata() or {})
            network = PhoneNetwork(config)
            network.load_state_dict({name: file.get_tensor(name).float() for name in file.keys()})
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} holds no weights of this version's speech encoder ({error}). {advice}") from None
    network.eval().requires_grad_(False)
    start = network.silent_memory()
    silent = np.full(N_SPECTRA * N_MELS, SILENT_VALUE, np.float32)
    with one_thread():
        logits, start = network.step(torch.from_numpy(silent), start)
    return BundledEncoder(network, _rows_of(logits, silent[None])[0], start)


def save_weights(network: PhoneNetwork, path: Path) -> None:
    """Write the weights in half precision, with the sizes and the phones that they belong to."""
    tensors = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    # One entry: several would be written in an order of their own each time.
    notes = json.dumps({"config": asdict(network.config), "phones": " ".join(PHONES)}, sort_keys=True)
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"aednerf": notes})


def _config(metadata: dict[str, str]) -> PhoneNetworkConfig:
    notes = json.loads(metadata["aednerf"])
    if notes["phones"] != " ".join(PHONES):
        raise ValueError("made for other phones")
    settings = notes["config"]
    return PhoneNetworkConfig(**{**settings, "dilations": tuple(settings["dilations"])})
