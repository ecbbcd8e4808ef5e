"""Fit the motion network to one person's recording: its sound, and what the face did with it.

One minute of one speaker is little, so everything here fights overfitting: varied copies of the sound, masking,
dropout, weight decay, averaged weights, and the best step on a held-out tail of the training part. The loss is counted
in how far the lips' surface moves, not in coefficients; a least-squares fit moves less than the person does, so every
column is finally stretched to move as much on the held-out tail as it was recorded to.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aednerf.capture.capture import Capture
from aednerf.capture.face_table import FaceTable
from aednerf.core.errors import InputError
from aednerf.core.progress import Progress, silent
from aednerf.core.records import ARKIT_NAMES, Array
from aednerf.core.units import FPS, SAMPLES_PER_FRAME
from aednerf.motion.channels import JAW_OPEN, SPEECH_COLUMNS
from aednerf.motion.generic import GenericMouth
from aednerf.motion.network import MotionConfig, MotionNetwork
from aednerf.motion.statistics import MotionStats
from aednerf.speech.encoder import SpeechEncoder, find_encoder
from aednerf.training.motion_data import PERTURBATIONS, Rows, Take, moods_of, rows_of, silence, varied
from aednerf.training.motion_stats import measure, quiet_frames

N_EXPRESSION = len(ARKIT_NAMES)
MIN_SPEECH_FRAMES = 3 * FPS
MIN_HELD_OUT_FRAMES = 3 * FPS

BUNDLED_SHAPE = MotionConfig(encoder="bundled")
"""Of the motion networks that are trained, unless another is asked for."""

PAUSE_REACH = 6
"""Frames each way that must be quiet for a frame to lie in the depth of a pause."""


@dataclass(frozen=True)
class MotionTraining:
    """How the motion network is fitted."""

    steps: int = 400
    batch: int = 16
    frames: int = 50
    """Frames of a training sequence (2 s)."""

    rate: float = 1e-3
    weight_decay: float = 0.1
    velocity: float = 0.5
    """Weight of the error in velocity against that in position."""

    columns: float = 0.1
    """Weight of the error in each column by itself, so that columns which cancel on the surface stay determined."""

    held_out: float = 0.13
    """Share of each clip's training part, at its end, that only judges."""

    copies: int = 12
    """Varied copies of the sound."""

    silent_share: float = 0.1
    """Share of the sequences that are silence."""

    check_every: int = 25
    gain_range: tuple[float, float] = (1.0, 1.8)


def fit_motion(
    capture: Capture, seed: int = 0, device: str | torch.device = "cpu", progress: Progress = silent,
    steps: int | None = None, budget_s: float | None = None, n_mouth_residual: int | None = None,
    shape: MotionConfig = BUNDLED_SHAPE,
) -> tuple[MotionNetwork | GenericMouth, MotionStats, dict[str, Any]]:  # fmt: skip
    """Learn how the person moves from the capture's training frames.

    Args:
        capture: its test frames, and their sound, are never looked at.
        seed: of the weights, the variations and the batches.
        device: where to train; the model comes back on the CPU, where one frame takes under a millisecond.
        progress: told each step.
        steps: training steps; 150 to 400 by the length of the recording if not given.
        budget_s: stop training after so many seconds, whatever the step.
        n_mouth_residual: how many residual numbers, from the first, belong to the mouth; half of them if not given.
        shape: the encoder and the layers; the numbers of features and of the residual are set here.

    Returns:
        The mouth model (a generic one, with `record["warning"]`, where the recording has no sound to learn from), the
        person's statistics, and a record of figures.
    """
    n_residual = capture.tracking.residual.shape[1]
    n_mouth = n_residual // 2 if n_mouth_residual is None else n_mouth_residual
    if not len(capture.train_frames):
        raise InputError(f"{capture.path} has no valid training frames: its report says why.")
    stats = measure(capture)
    columns = speech_columns(n_mouth)
    takes = _takes(capture, columns)
    moods = moods_of(takes)
    n_known = int(sum(take.known.sum() for take in takes))
    if n_known < MIN_SPEECH_FRAMES:
        generic = GenericMouth(MotionConfig("generic", n_residual=n_residual))
        generic.rest.copy_(torch.from_numpy(stats.rest))
        warning = (
            f"Only {n_known / FPS:.1f} s of the recording have both sound and a face, at least "
            f"{MIN_SPEECH_FRAMES / FPS:g} s are needed to learn how this person speaks: "
            "the mouth will move in a generic way. Add a clip with sound."
        )
        return generic.eval(), stats, {"kind": "generic", "speech_s": n_known / FPS, "warning": warning}
    speech = find_encoder(shape.encoder)
    config = replace(shape, n_features=speech.dim, n_residual=n_residual, n_mouth_residual=n_mouth)
    settings = MotionTraining(steps=min(400, max(150, n_known // 3)) if steps is None else steps)
    takes = [take.resting(stats.rest[columns], moods) for take in takes]
    metric = _metric(capture.face, takes, n_mouth)
    fit = _Fit(config, settings, stats, takes, moods, speech, metric, seed, torch.device(device))
    network, record = fit.run(progress, budget_s)
    return network, stats, record


def _takes(capture: Capture, columns: np.ndarray) -> list[Take]:
    """Return the training part of every clip that has sound."""
    takes = []
    for index, clip in enumerate(capture.clips):
        audio = capture.audio(index)
        if audio is None or clip.train_end == clip.first:
            continue
        frames = np.arange(clip.first, clip.train_end)
        motion = capture.motion(frames)
        target = np.concatenate([motion.expression, motion.residual], axis=1)[:, columns]
        samples = np.zeros(len(frames) * SAMPLES_PER_FRAME, np.float32)
        audio = audio[: len(samples)]
        samples[: len(audio)] = audio
        quiet = quiet_frames(samples, len(frames), reach=PAUSE_REACH)
        # A stretch without sound (a recording whose sound ends early) teaches nothing.
        heard = np.arange(len(frames)) < len(audio) // SAMPLES_PER_FRAME
        known = capture.tracking.valid[frames] & heard & bool(np.any(audio))
        takes.append(Take(samples, np.nan_to_num(target), known, quiet, capture.emotion(clip.first).vector()))
    return takes


def speech_columns(n_mouth: int) -> np.ndarray:
    """Return the columns of [52 + K] that speech drives, with the first `n_mouth` numbers of the residual."""
    return np.concatenate([SPEECH_COLUMNS, N_EXPRESSION + np.arange(n_mouth)])


def _metric(face: FaceTable, takes: list[Take], n_mouth: int) -> Array:
    """Return [C, M]: errors [.., C] times this are displacements of the surface, in units of the person's own motion.

    The residual's numbers count by their own size and, together, half as much as the expression's.
    """
    root = surface_root(face)
    target = np.concatenate([take.target[take.known] for take in takes]).astype(np.float64)
    target = target - target.mean(0)
    n = len(SPEECH_COLUMNS)
    metric = np.zeros((n + n_mouth, n + n_mouth))
    metric[:n, :n] = root / np.sqrt(np.square(target[:, :n] @ root).sum(1).mean() + 1e-12)
    residual_power = np.square(target[:, n:]).sum(1).mean() if n_mouth else 0.0
    metric[range(n, n + n_mouth), range(n, n + n_mouth)] = np.sqrt(0.5 / (residual_power + 1e-12))
    return metric.astype(np.float32)


def surface_root(face: FaceTable) -> np.ndarray:
    """Return [S, S]: changes of the speech columns [.., S] times this are displacements of the surface.

    It is a root of the Gram matrix of the face table's displacements, points weighted by how much the lower face's
    coefficients move them; so mouthClose against jawOpen counts for what the lips do.
    """
    deltas = face.deltas[SPEECH_COLUMNS].astype(np.float32)
    weights = np.square(deltas).sum((0, 2))
    deltas = deltas * np.sqrt(weights / max(weights.sum(), 1e-12))[:, None]
    values, vectors = np.linalg.eigh(np.tensordot(deltas, deltas, axes=((1, 2), (1, 2))).astype(np.float64))
    return vectors * np.sqrt(np.maximum(values, 0.0))


class _Fit:
    """One run of the fit: data, network, loss and loop."""

    def __init__(
        self, config: MotionConfig, settings: MotionTraining, stats: MotionStats, takes: list[Take], moods: Array,
        encoder: SpeechEncoder, metric: Array, seed: int, device: torch.device,
    ) -> None:  # fmt: skip
        self.config, self.settings, self.device = config, settings, device
        self.random, self.generator = np.random.default_rng([seed, 7]), torch.Generator().manual_seed(seed)
        self.encoder = encoder
        n_held = [int(len(take) * settings.held_out) for take in takes]
        # A tail too short to judge by would pick a step, and gains, by chance: then everything trains, to the end.
        n_held = n_held if sum(n_held) >= MIN_HELD_OUT_FRAMES else [0] * len(takes)
        train = [take[: len(take) - n] for take, n in zip(takes, n_held, strict=True)]
        # The held-out tail starts early by one window, whose rows it needs to begin; those frames do not count.
        self.held_out = [
            self._padded(rows_of(take[max(0, len(take) - n - config.past) :], encoder), min(config.past, len(take) - n))
            for take, n in zip(takes, n_held, strict=True) if n > 0
        ]  # fmt: skip
        copies = [varied(take, self.random) for _ in range(settings.copies) for take in train]
        self.pool = [self._padded(rows_of(take, encoder), 0) for take in [*train, *train, *copies]]
        rest = stats.rest[speech_columns(config.n_mouth_residual)]
        feelings = [takes[i % len(takes)].emotion for i in range(12)]
        moody = [(rest + e @ moods).astype(np.float32) for e in feelings]
        quiet = [silence(2 * settings.frames, at, e, self.random) for at, e in zip(moody, feelings, strict=True)]
        self.quiet = [self._padded(rows_of(take, encoder), 0) for take in quiet]
        known = np.concatenate([take.target[take.known] for take in train])
        self.metric = torch.from_numpy(metric).to(device)
        self.spread = torch.from_numpy(known.var(0) + 1e-4).to(device)
        velocity = np.concatenate([np.diff(take.target, axis=0)[take.known[1:] & take.known[:-1]] for take in train])
        self.velocity_power = float(np.square(velocity @ metric).sum(1).mean()) + 1e-9
        torch.manual_seed(seed)
        self.network, self.average = (MotionNetwork(config).to(device) for _ in range(2))
        self.network.set_range(*(torch.from_numpy(value).to(device) for value in (stats.rest, stats.low, stats.high)))
        self.network.set_moods(torch.from_numpy(moods).to(device))
        self.average.load_state_dict(self.network.state_dict())

    def run(self, progress: Progress, budget_s: float | None) -> tuple[MotionNetwork, dict[str, Any]]:
        """Train, keep the best averaged weights, calibrate, and return the network on the CPU and its record."""
        settings, start = self.settings, time.monotonic()
        optimiser = torch.optim.AdamW(self.network.parameters(), settings.rate, weight_decay=settings.weight_decay)
        total = settings.steps + 1
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, total_steps=total, pct_start=0.1)
        best, best_step, best_state = np.inf, 0, self.average.state_dict()
        step = 0
        for step in range(1, settings.steps + 1):
            self.network.train()
            loss = self._loss(*self._batch())
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            with torch.no_grad():
                for mean, value in zip(self.average.parameters(), self.network.parameters(), strict=True):
                    mean.lerp_(value, 1 - min(0.99, step / (step + 9)))
            out_of_time = budget_s is not None and time.monotonic() - start > budget_s
            if step % settings.check_every == 0 or step == settings.steps or out_of_time:
                unexplained = self._unexplained()
                progress("motion", step, settings.steps, f"unexplained {unexplained:.2f}")
                if unexplained < best or not self.held_out:
                    best, best_step = unexplained, step
                    best_state = {name: value.clone() for name, value in self.average.state_dict().items()}
            if out_of_time:
                break
        self.average.load_state_dict(best_state)
        network = self.average.cpu().eval()
        self._calibrate(network)
        record = {
            "kind": "network", "steps": step, "best_step": best_step, "train_s": round(time.monotonic() - start, 1),
            "parameters": sum(value.numel() for value in network.parameters()), **self._figures(network),
        }  # fmt: skip
        return network, record

    def _padded(self, rows: Rows, n_unjudged: int) -> Rows:
        """Return the rows with silence before and after, as a stream begins and ends; the first few do not count."""
        config, silent_row = self.config, self.encoder.silence
        known = rows.known.copy()
        known[:n_unjudged] = 0
        ends = []
        for count, emotion in ((config.past, rows.inputs[0]), (config.lookahead, rows.inputs[-1])):
            row = np.concatenate([silent_row, emotion[config.n_features :]])
            ends.append(np.repeat(row[None], count, axis=0))
        return Rows(np.concatenate([ends[0], rows.inputs, ends[1]]).astype(np.float32), rows.target, known)

    def _batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Draw sequences: inputs [B, L + window - 1, D + 8], targets [B, L, C], weights [B, L, 1]."""
        lengths = np.array([len(rows.target) for rows in self.pool], float)
        drawn = self.random.choice(len(self.pool), self.settings.batch, p=lengths / lengths.sum())
        parts = []
        for index in drawn:
            is_quiet = self.random.random() < self.settings.silent_share
            rows = self.quiet[self.random.integers(len(self.quiet))] if is_quiet else self.pool[index]
            parts.append(self._sequence(rows))
        inputs, target, known = (torch.from_numpy(np.stack(part)).to(self.device) for part in zip(*parts, strict=True))
        perturb = PERTURBATIONS.get(self.encoder.name)
        return inputs if perturb is None else perturb(inputs, self.generator), target, known[..., None]

    def _sequence(self, rows: Rows) -> tuple[Array, Array, Array]:
        """Return a random stretch; a take shorter than a sequence is repeated at its last row, which does not count."""
        n, extra = self.settings.frames, self.config.window - 1
        first = int(self.random.integers(0, max(1, len(rows.target) - n + 1)))
        inputs, stretch = rows.inputs[first : first + n + extra], slice(first, first + n)
        target, known = rows.target[stretch], rows.known[stretch]
        missing = n - len(target)
        if missing > 0:
            inputs, target = (np.pad(part, ((0, missing), (0, 0)), mode="edge") for part in (inputs, target))
            known = np.pad(known, (0, missing))
        return inputs, target, known

    def _loss(self, inputs: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """Return the share of the surface's motion, and of its velocity, that the prediction misses."""
        error = self.network(inputs) - target
        count = known.sum().clamp(min=1)
        position = (known * error.matmul(self.metric).square()).sum() / count
        pair = known[:, 1:] * known[:, :-1]
        velocity = (pair * error.diff(dim=1).matmul(self.metric).square()).sum() / pair.sum().clamp(min=1)
        columns = (known * error.square() / self.spread).sum() / count / error.shape[-1]
        settings = self.settings
        return position + settings.velocity * velocity / self.velocity_power + settings.columns * columns

    @torch.no_grad()
    def _predicted(self, network: MotionNetwork, calibrated: bool = False) -> tuple[Array, Array]:
        """Return prediction and truth [N, C] on the held-out tails (on the training takes if there are none)."""
        network.eval()
        device = network.rest.device
        predicted, truth = [], []
        for rows in self.held_out or self.pool:
            driven = network(torch.from_numpy(rows.inputs[None]).to(device))[0]
            driven = network.calibrated(driven) if calibrated else driven
            predicted.append(driven.cpu().numpy()[rows.known > 0])
            truth.append(rows.target[rows.known > 0])
        return np.concatenate(predicted), np.concatenate(truth)

    def _unexplained(self) -> float:
        """Return the missed share of the surface's motion on the held-out tails."""
        predicted, truth = self._predicted(self.average)
        if not len(truth):
            return float("inf")
        metric = self.metric.cpu().numpy()
        power = np.square((truth - truth.mean(0)) @ metric).sum(1).mean()
        return float(np.square((predicted - truth) @ metric).sum(1).mean() / (power + 1e-9))

    def _calibrate(self, network: MotionNetwork) -> None:
        """Set the gain of each column so that it moves as much as recorded on the held-out tails, within limits."""
        predicted, truth = self._predicted(network)
        if len(truth) < FPS:
            return
        gain = truth.std(0) / np.maximum(predicted.std(0), 1e-4)
        network.gain.copy_(torch.from_numpy(np.clip(gain, *self.settings.gain_range).astype(np.float32)))
        network.centre.copy_(torch.from_numpy(predicted.mean(0)))

    def _figures(self, network: MotionNetwork) -> dict[str, Any]:
        """Return what the held-out tails say of the calibrated network."""
        predicted, truth = self._predicted(network, calibrated=True)
        jaw = SPEECH_COLUMNS.tolist().index(JAW_OPEN)
        lag, correlation = best_lag(predicted[:, jaw], truth[:, jaw])
        return {
            "held_out_frames": len(truth) if self.held_out else 0,
            "unexplained": round(self._unexplained(), 3),
            "jaw_correlation": round(correlation, 3),
            "jaw_lag_frames": lag,
            "jaw_spread_ratio": round(float(predicted[:, jaw].std() / max(float(truth[:, jaw].std()), 1e-6)), 3),
        }


def best_lag(follower: Array, leader: Array, limit: int = 8) -> tuple[int, float]:
    """Return by how many frames `follower` trails `leader` (or leads, if negative) at best, and that correlation."""
    lags = [lag for lag in range(-limit, limit + 1) if len(leader) - abs(lag) > 2]

    def correlation(lag: int) -> float:
        n = len(leader) - abs(lag)
        a, b = follower[max(0, lag) :][:n], leader[max(0, -lag) :][:n]
        a, b = a - a.mean(), b - b.mean()
        return float((a * b).sum() / np.sqrt(max(float((a * a).sum() * (b * b).sum()), 1e-20)))

    values = [correlation(lag) for lag in lags]
    if not values:
        return 0, 0.0
    best = int(np.argmax(values))
    return lags[best], values[best]
