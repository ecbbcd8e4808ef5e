"""HuBERT and wav2vec 2.0 as speech encoders, through the library transformers (the extra `hub`).

Both read a whole recording at once, so each of their rows would depend on all of it. Here a window slides over the
sound instead: `PAST_S` before a block of two video frames, the block, and one video frame after it. The first frame
of a block is thus heard with 80 ms of what follows, the second with 40 ms. A row is the mean of the model's two
outputs in its frame, from a middle layer, where speech sounds are told apart best (Pasad, Shi and Livescu,
"Comparative layer-wise analysis of self-supervised speech models", ICASSP 2023).

The weights are looked for in a folder of the encoder's name (`config.json`, `model.safetensors`) inside the folders of
`AEDNERF_ASSETS`, and come else from their publisher's hub at first use, into the cache of transformers.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from aednerf.core.errors import InputError, MachineError
from aednerf.core.records import Array
from aednerf.core.units import FPS, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME, frames_for_samples

BLOCK_FRAMES = 2
AHEAD_FRAMES = 1
PAST_S = 0.96
HUB_LOOKAHEAD_S = (BLOCK_FRAMES - 1 + AHEAD_FRAMES) / FPS
"""Of the first frame of a block: 80 ms."""

_PAST = round(PAST_S * SAMPLE_RATE_HZ)
_BLOCK, _AHEAD = BLOCK_FRAMES * SAMPLES_PER_FRAME, AHEAD_FRAMES * SAMPLES_PER_FRAME
_WINDOW = _PAST + _BLOCK + _AHEAD
_HOP = SAMPLES_PER_FRAME // 2
"""Samples between two outputs of the models."""

_LEAST_STD = 3e-3
"""Windows are brought to unit variance where the model wants it; quieter ones than this are amplified no further."""


@dataclass(frozen=True)
class HubModel:
    """A model of the hub as an encoder."""

    publisher_name: str
    """Where it is published."""

    class_name: str
    """In transformers."""

    depth: float
    """The layer that is read, as a share of all."""


HUB_MODELS: dict[str, HubModel] = {
    "hubert": HubModel("facebook/hubert-base-ls960", "HubertModel", 0.75),
    "wav2vec2": HubModel("facebook/wav2vec2-base-960h", "Wav2Vec2Model", 0.6),
}


class HubEncoder:
    """A HuBERT or wav2vec 2.0 model, read up to one of its layers, on the GPU where there is one."""

    lookahead_s = HUB_LOOKAHEAD_S
    tells_speech = False

    def __init__(self, name: str, model: Any, normalizes: bool) -> None:
        self.name = name
        self.dim = int(model.config.hidden_size)
        self._normalizes = normalizes
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        depth = HUB_MODELS[name].depth
        layers = model.encoder.layers
        model.encoder.layers = layers[: max(1, math.ceil(depth * len(layers)))]
        self._model = model.to(self._device).eval().requires_grad_(False)
        self.silence: Array = self.block(np.zeros(_WINDOW, np.float32))[0]

    def speech(self, row: Array) -> float:
        """Return 0: the rows do not say."""
        return 0.0

    def closed_lips(self, row: Array) -> Array:
        """Return [1] zero: the rows do not say."""
        return np.zeros(1, np.float32)

    def stream(self) -> HubStream:
        """Begin a stream."""
        return HubStream(self)

    def recording(self, samples: np.ndarray) -> Array:
        """Return the rows [T, D] of a whole recording: there is no faster way than its stream."""
        stream = self.stream()
        return np.concatenate([stream.push(samples), stream.flush()])

    def block(self, window: Array) -> Array:
        """Return the rows [2, D] of a window's block.

        Args:
            window: the samples from `PAST_S` before the block to one frame after it.
        """
        window = window - window.mean() if self._normalizes else window
        if self._normalizes:
            window = window / max(float(window.std()), _LEAST_STD)
        with torch.inference_mode():
            outputs = self._model(torch.from_numpy(window.astype(np.float32))[None].to(self._device))
            first = _PAST // _HOP
            own = outputs.last_hidden_state[0, first : first + 2 * BLOCK_FRAMES]
            return own.unflatten(0, (BLOCK_FRAMES, 2)).mean(1).float().cpu().numpy()


class HubStream:
    """Samples in, rows out, a block at a time; blocks are counted from the first sample, whatever the cutting."""

    def __init__(self, encoder: HubEncoder) -> None:
        self._encoder = encoder
        self._pending = np.zeros(_PAST, np.float32)
        self._n_samples = self._n_rows = 0

    def push(self, samples: np.ndarray) -> Array:
        """Take samples [n] at 16 kHz and return the rows [m, D] that they complete.

        Raises:
            InputError: the samples are not one row of finite numbers.
        """
        samples = np.asarray(samples, np.float32)
        if samples.ndim != 1 or not np.isfinite(samples).all():
            raise InputError(
                f"Expected mono audio as finite numbers [n], got an array {samples.shape}: mix or repair it."
            )
        self._n_samples += len(samples)
        self._pending = np.concatenate([self._pending, samples])
        return self._blocks(max(0, (len(self._pending) - _WINDOW) // _BLOCK + 1))

    def flush(self) -> Array:
        """End the stream, as if digital silence followed, and return the rows that are left."""
        n_left = frames_for_samples(self._n_samples) - self._n_rows
        n_blocks = -(-n_left // BLOCK_FRAMES)
        missing = _PAST + n_blocks * _BLOCK + _AHEAD - len(self._pending)
        self._pending = np.pad(self._pending, (0, max(0, missing)))
        return self._blocks(n_blocks)[:n_left]

    def _blocks(self, n: int) -> Array:
        rows = [self._encoder.block(self._pending[i * _BLOCK : i * _BLOCK + _WINDOW]) for i in range(n)]
        self._pending = self._pending[n * _BLOCK :]
        self._n_rows += n * BLOCK_FRAMES
        return np.concatenate(rows) if rows else np.zeros((0, self._encoder.dim), np.float32)


def hub_encoder(name: str) -> HubEncoder:
    """Return an encoder with its published weights.

    Args:
        name: `hubert` or `wav2vec2`.

    Raises:
        InputError: transformers is not installed, or the folder holds another model.
        MachineError: the weights are not on this machine and could not be downloaded.
    """
    folder = _folder(name)
    return _load(name, None if folder is None else str(folder))


def _folder(name: str) -> Path | None:
    """Return the folder of the encoder's weights on this machine, or None."""
    for root in filter(None, os.environ.get("AEDNERF_ASSETS", "").split(os.pathsep)):
        if (Path(root) / name / "config.json").is_file():
            return Path(root) / name
    return None


@lru_cache(maxsize=2)
def _load(name: str, folder: str | None) -> HubEncoder:
    try:
        import transformers
    except ImportError:
        raise InputError(
            f"The speech encoder {name!r} needs the library transformers. Run `pip install 'aednerf[hub]'`, or choose "
            "the encoder `bundled`."
        ) from None
    known = HUB_MODELS[name]
    where = folder or known.publisher_name
    model_class = getattr(transformers, known.class_name)
    try:
        model, notes = model_class.from_pretrained(where, output_loading_info=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        if folder:
            raise InputError(f"{folder} holds no model for the speech encoder {name!r} ({reason}).") from None
        raise MachineError(
            f"{where}, the weights of the speech encoder {name!r}, could not be downloaded ({reason}). Connect to the "
            f"network, or put its config.json and model.safetensors into a folder {name} inside AEDNERF_ASSETS."
        ) from None
    # Without this, transformers would fill what is missing with random numbers. The mask is used in training only.
    missing = sorted(key for key in notes["missing_keys"] if "masked_spec_embed" not in key)
    if missing or math.prod(model.config.conv_stride) != _HOP:
        reason = f"it lacks {missing[0]}" if missing else f"it has not one output for {_HOP} samples"
        raise InputError(f"{where} holds another model than {name} ({reason}). Take {known.publisher_name}.")
    return HubEncoder(name, model, _normalizes(folder))


def _normalizes(folder: str | None) -> bool:
    """Tell whether the model wants its sound at unit variance; both published ones do."""
    path = Path(folder or "") / "preprocessor_config.json"
    if folder is None or not path.is_file():
        return True
    return bool(json.loads(path.read_text(encoding="utf-8")).get("do_normalize", True))
