"""What the motion network learns from: takes of sound and motion, and the many ways they could also have sounded.

One minute of one speaker is little, so every take is heard again faster and slower (which moves pitch and formants
too), louder and softer and in noise, and every batch's features are changed once more: spectra warped, tilted and
masked along the mel axis (after SpecAugment, Park et al. 2019, and vocal tract length perturbation, Jaitly and Hinton
2013), probabilities of speech sounds mixed up as another voice or language would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from aednerf.core.records import Array
from aednerf.core.units import SAMPLES_PER_FRAME, frames_for_samples
from aednerf.speech.bundled import BUNDLED_DIM, N_BANDS
from aednerf.speech.encoder import SpeechEncoder
from aednerf.speech.features import LOG_MEL_DIM, N_MELS, N_SPECTRA, SILENT_VALUE
from aednerf.speech.phone_network import STEPS_PER_ROW
from aednerf.speech.phones import GROUPS, PHONES


@dataclass(frozen=True)
class Take:
    """One stretch of a recording: sound, what the lower face did, and which frames are known."""

    audio: Array
    """[640 T] samples."""

    target: Array
    """[T, C] the driven columns; any number where `known` is false."""

    known: np.ndarray
    """[T] bool."""

    quiet: np.ndarray
    """[T] bool: in the depth of a pause."""

    emotion: Array
    """[8] the emotion vector of the whole take."""

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, frames: slice) -> Take:
        first, end, _ = frames.indices(len(self))
        audio = self.audio[first * SAMPLES_PER_FRAME : end * SAMPLES_PER_FRAME]
        return replace(
            self, audio=audio, target=self.target[frames], known=self.known[frames], quiet=self.quiet[frames]
        )

    def resting(self, rest: Array, moods: Array) -> Take:
        """Return the take with the face at rest, in its mood, in the depth of pauses.

        There people breathe, swallow and get ready; an avatar that is given silence shall rest.

        Args:
            rest: [C] the neutral rest pose.
            moods: [8, C] as `moods_of` returns.
        """
        return replace(self, target=np.where(self.quiet[:, None], rest + self.emotion @ moods, self.target))


@dataclass(frozen=True)
class Rows:
    """A take as the network sees it."""

    inputs: Array
    """[T, D + 8] features followed by the emotion vector."""

    target: Array
    """[T, C]"""

    known: np.ndarray
    """[T] float32, 1 where the target counts."""


def moods_of(takes: list[Take]) -> Array:
    """Return [8, C]: what each emotion at full intensity adds to the driven columns, on average while speaking.

    An emotion is compared with the person's neutral speech; without neutral takes, or without takes of its own, it adds
    nothing.
    """
    labels = [int(take.emotion[1:].argmax()) + 1 if take.emotion[1:].any() else 0 for take in takes]
    moods = np.zeros((len(takes[0].emotion), takes[0].target.shape[1]), np.float32) if takes else np.zeros((8, 0))

    def mean(label: int) -> Array | None:
        own = [take.target[take.known & ~take.quiet] for take, its in zip(takes, labels, strict=True) if its == label]
        return np.concatenate(own).mean(0) if sum(map(len, own)) else None

    neutral = mean(0)
    for label in set(labels) - {0}:
        felt = mean(label)
        if neutral is not None and felt is not None:
            strength = np.mean([take.emotion[label] for take, its in zip(takes, labels, strict=True) if its == label])
            moods[label] = (felt - neutral) / max(float(strength), 0.2)
    return moods.astype(np.float32)


def rows_of(take: Take, encoder: SpeechEncoder) -> Rows:
    """Return the take as it was recorded."""
    features = encoder.recording(take.audio)[: len(take)]
    emotion = np.broadcast_to(take.emotion, (len(features), len(take.emotion)))
    inputs = np.concatenate([features, emotion], axis=1).astype(np.float32)
    return Rows(inputs, take.target[: len(features)], take.known[: len(features)].astype(np.float32))


def varied(take: Take, rng: np.random.Generator) -> Take:
    """Return the take at another speed (and so pitch), loudness and noise."""
    speed = rng.uniform(0.86, 1.16)
    n_samples = int(len(take.audio) / speed)
    audio = np.interp(np.arange(n_samples) * speed, np.arange(len(take.audio)), take.audio)
    n_frames = min(frames_for_samples(n_samples), int(len(take) / speed))
    if n_frames < 2:
        return take
    times = np.clip((np.arange(n_frames) + 0.5) * speed - 0.5, 0, len(take) - 1)
    before = times.astype(int)
    after = np.minimum(before + 1, len(take) - 1)
    share = (times - before)[:, None]
    target = (1 - share) * take.target[before] + share * take.target[after]
    if rng.random() < 0.7:
        level = float(np.sqrt(np.mean(audio**2))) + 1e-9
        audio = audio + level * 10 ** (-rng.uniform(8, 35) / 20) * coloured_noise(len(audio), rng)
    audio = np.clip(audio * 10 ** (rng.uniform(-14, 6) / 20), -1, 1).astype(np.float32)
    known, quiet = take.known[before] & take.known[after], take.quiet[before] & take.quiet[after]
    return Take(audio[: n_frames * SAMPLES_PER_FRAME], target.astype(np.float32), known, quiet, take.emotion)


def silence(n_frames: int, rest: Array, emotion: Array, rng: np.random.Generator) -> Take:
    """Return a take of a room's noise floor (sometimes digital silence) in which the face is at rest."""
    audio = np.zeros(n_frames * SAMPLES_PER_FRAME)
    if rng.random() < 0.8:
        audio = 10 ** (rng.uniform(-75, -42) / 20) * coloured_noise(len(audio), rng)
    target = np.broadcast_to(rest, (n_frames, len(rest)))
    always = np.ones(n_frames, bool)
    return Take(audio.astype(np.float32), target.astype(np.float32), always, always, emotion)


def coloured_noise(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return [n] noise of unit power whose spectrum falls by 0 to 6 dB an octave."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum *= np.maximum(np.arange(len(spectrum)), 1.0 + n / 400) ** -rng.uniform(0, 1)
    noise = np.fft.irfft(spectrum, n)
    return noise / (np.sqrt(np.mean(noise**2)) + 1e-12)


Perturbation = Callable[[Tensor, torch.Generator], Tensor]


def perturb_log_mel(inputs: Tensor, generator: torch.Generator) -> Tensor:
    """Warp, tilt and mask a batch of log-mel rows along the mel axis; what follows the features is untouched.

    Args:
        inputs: [B, L, 320 + 8]
        generator: on the CPU, whatever the device of the inputs.
    """
    features, rest = inputs[..., :LOG_MEL_DIM], inputs[..., LOG_MEL_DIM:]
    n_batch, n_rows, _ = features.shape
    x = features.reshape(n_batch, n_rows * N_SPECTRA, N_MELS)
    uniform = _Uniform(generator, inputs.device)
    bands = torch.arange(N_MELS, device=inputs.device)
    source = (bands * uniform(0.9, 1.1, n_batch, 1) + uniform(-2, 2, n_batch, 1)).clamp(0, N_MELS - 1)
    below = source.floor().long()
    share = (source - below)[:, None]

    def at(index: Tensor) -> Tensor:
        return x.gather(2, index[:, None].expand(-1, x.shape[1], -1))

    x = (1 - share) * at(below) + share * at((below + 1).clamp(max=N_MELS - 1))
    tilt = uniform(-0.35, 0.35, n_batch, 1) * (bands / (N_MELS - 1) - 0.5)
    phase = uniform(2, 12, n_batch, 1) * bands / N_MELS + uniform(0, 6.3, n_batch, 1)
    ripple = uniform(0, 0.15, n_batch, 1) * torch.sin(phase)
    x = (x + (tilt + ripple)[:, None]).clamp(min=SILENT_VALUE)
    banded, brief = uniform.spans(n_batch, N_MELS, 2, 12), uniform.spans(n_batch, x.shape[1], 2, 8)
    x = torch.where(banded[:, None] | brief[:, :, None], x.mean((1, 2), keepdim=True), x)
    return torch.cat([x.reshape(features.shape), rest], dim=-1)


def perturb_bundled(inputs: Tensor, generator: torch.Generator) -> Tensor:
    """Say a batch of the bundled encoder's rows as another voice might, in other sounds that look the same.

    A few seconds of one speaker have few sounds, each often with the same neighbours, which are soon known by heart.
    What follows the features is untouched.

    Args:
        inputs: [B, L, 124 + 8]
        generator: on the CPU, whatever the device of the inputs.
    """
    features, rest = inputs[..., :BUNDLED_DIM], inputs[..., BUNDLED_DIM:]
    n_batch, n_rows, _ = features.shape
    x = features.reshape(n_batch, n_rows * STEPS_PER_ROW, len(PHONES) + N_BANDS)
    uniform = _Uniform(generator, inputs.device)
    sounds = _other_sounds(x[..., : len(PHONES)], uniform)
    loudness = _other_loudness(x[..., len(PHONES) :], uniform)
    x = torch.cat([sounds, loudness], dim=-1)
    x = torch.where(uniform.spans(n_batch, x.shape[1], 2, 8)[:, :, None], x.mean(1, keepdim=True), x)
    return torch.cat([x.reshape(features.shape), rest], dim=-1)


def _other_sounds(probabilities: Tensor, uniform: _Uniform) -> Tensor:
    """Return probabilities [B, T, phones] that are surer or less sure, shared among alikes, some never heard."""
    n_batch = len(probabilities)
    surer = (probabilities + 1e-6) ** uniform(0.5, 1.5, n_batch, 1, 1)
    heard = surer / surer.sum(-1, keepdim=True)
    heard = torch.lerp(heard, heard @ _alike().to(heard), uniform(0, 1, n_batch, 1, 1))
    kept = heard * (uniform(0, 1, n_batch, 1, len(PHONES)) > 0.2)
    usual = kept.mean(1, keepdim=True) + 1e-6
    return kept + (heard - kept).sum(-1, keepdim=True) * usual / usual.sum(-1, keepdim=True)


def _other_loudness(bands: Tensor, uniform: _Uniform) -> Tensor:
    """Return the loudness [B, T, bands] through another microphone: tilted, shifted, some bands masked."""
    n_batch = len(bands)
    slope = torch.arange(N_BANDS, device=bands.device) / (N_BANDS - 1) - 0.5
    change = uniform(-0.2, 0.2, n_batch, 1, 1) * slope + uniform(-0.1, 0.1, n_batch, 1, 1)
    bands = torch.where(bands > 0, (bands + change).clamp(min=0), bands)
    return torch.where(uniform.spans(n_batch, N_BANDS, 2, 4)[:, None], bands.mean((1, 2), keepdim=True), bands)


@lru_cache(maxsize=1)
def _alike() -> Tensor:
    """Return [phones, phones]: each phone's probability given in equal parts to those that look the same."""
    group_of = {phone: group for group, phones in GROUPS.items() for phone in phones}
    same = torch.tensor([[float(group_of[one] == group_of[other]) for other in PHONES] for one in PHONES])
    return same / same.sum(1, keepdim=True)


class _Uniform:
    """Numbers of chance from one generator."""

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        self._generator, self._device = generator, device

    def __call__(self, low: float, high: float, *shape: int) -> Tensor:
        """Return numbers in [low, high)."""
        return (low + (high - low) * torch.rand(shape, generator=self._generator)).to(self._device)

    def spans(self, n_batch: int, n: int, count: int, longest: float) -> Tensor:
        """Return [B, n] bool: `count` spans of the axis, each of up to `longest`, in each of a batch."""
        places = torch.arange(n, device=self._device)
        start, width = self(0, n, n_batch, count, 1), self(0, longest, n_batch, count, 1)
        return ((places >= start) & (places < start + width)).any(1)


PERTURBATIONS: Mapping[str, Perturbation] = MappingProxyType({"log-mel": perturb_log_mel, "bundled": perturb_bundled})
"""By the encoder whose rows they change."""
