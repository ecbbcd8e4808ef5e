"""Fit the radiance field of a person to a capture: the loop, its checkpoints and its record."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from aednerf.capture.capture import Capture
from aednerf.core.errors import MachineError
from aednerf.core.progress import Progress, silent
from aednerf.field.config import FieldConfig
from aednerf.ops.compilation import can_compile
from aednerf.render.model import AvatarModel
from aednerf.training.air import air_cells
from aednerf.training.checkpoint import Progressed, load_checkpoint, save_checkpoint
from aednerf.training.config import Preset
from aednerf.training.frame_store import FrameStore, load_frames
from aednerf.training.hull import loose_hull
from aednerf.training.imagined import imagined_expressions
from aednerf.training.optimizer import make_optimizer, sample_scale, set_rates
from aednerf.training.step import FieldStep
from aednerf.training.surface import FaceSurface
from aednerf.training.visibility import visible_cells

_CHECKPOINT_EVERY_S = 20.0
_REPORT_EVERY = 50
_SETTLING_ROUNDS = 24
_IMAGINED_ROUNDS = 2
_GRAPH_WARM_UP = 3
_CPU_BUDGET_BYTES = 2 << 30
_GPU_BUDGET_SHARE = 0.5

StepFunction = Callable[[], Tensor]


class FittedField(NamedTuple):
    """A trained model and how it came about."""

    model: AvatarModel
    record: dict[str, Any]


def fit_field(
    capture: Capture, preset: Preset, device: torch.device, seed: int, checkpoint: Path, identity: dict[str, Any],
    progress: Progress = silent,
) -> FittedField:  # fmt: skip
    """Train the head and the torso, continuing from the checkpoint where there is one.

    Args:
        capture: the person's recording; only its training frames are looked at.
        preset: sizes, rates and lengths.
        device: where to train.
        seed: of the initial weights and of the rays.
        checkpoint: the file that the state is kept in.
        identity: what a checkpoint must agree with to be continued.
        progress: told how far the training is.

    Returns:
        The model and its record.

    Raises:
        MachineError: the training diverged.
    """
    torch.manual_seed(seed)
    started = time.perf_counter()
    preset = replace(preset, field=_field_for(capture, preset.field))
    frames = load_frames(capture, preset.max_size, device, _budget_bytes(device), progress)
    model = _new_model(capture, preset, frames)
    loading_s = time.perf_counter() - started
    optimizer = make_optimizer(model, preset.rate)
    begun = Progressed(0, 0.0)
    if checkpoint.exists():
        begun = load_checkpoint(checkpoint, model, optimizer, identity)
        torch.manual_seed(seed + 1_000_003 * begun.step)
    step = FieldStep(model, frames, FaceSurface.of(capture.face, device), preset, can_compile(device))
    loop = _Loop(step, optimizer, begun)
    loop.run(lambda done: save_checkpoint(checkpoint, model, optimizer, done, identity), progress)
    _settle_occupancy(step, model)
    record = {
        "preset": preset.name, "seed": seed, "steps": preset.n_steps, "training_frames": frames.n_frames,
        "picture_size": frames.size, "loading_s": round(loading_s, 2), "compile_s": round(loop.compile_s, 2),
        "training_s": round(loop.seconds, 2), "ms_per_step": round(loop.ms_per_step, 3),
        "ray_psnr_db": round(loop.psnr_db, 2), "is_compiled": step.is_compiled,
        "occupied_share": round(float(model.occupancy.bits.float().mean()), 4),
    }  # fmt: skip
    return FittedField(model, record)


def _field_for(capture: Capture, config: FieldConfig) -> FieldConfig:
    """Return the field's configuration with what the capture decides: the codes, and the longest shot to show."""
    lengths = [shot.end - shot.first for shot in capture.shots]
    n_read = capture.tracking.residual.shape[1]
    n_residual = min(n_read, config.n_residual)
    return replace(
        config, n_residual=n_residual, n_read=n_read if n_read > n_residual else 0,
        n_halves=2 if n_residual else 0, n_posture=capture.tracking.posture.shape[1],
        n_shots=len(lengths), shown_shot=lengths.index(max(lengths)),
    )  # fmt: skip


def _new_model(capture: Capture, preset: Preset, frames: FrameStore) -> AvatarModel:
    model = AvatarModel(preset.field)
    expression = frames.expression.cpu()
    model.head.warp.start_from_face(capture.face.points, capture.face.deltas, expression.std(0, correction=0).numpy())
    model.head.known.learn(expression)
    if model.head.eyes is not None:
        model.head.eyes.place(capture.face.points, capture.face.deltas)
    for paint in model.head.paints:
        paint.place(capture.face.points, capture.face.deltas)
    model.to(frames.images.device)
    model.pose_range.fit(frames.rotation, frames.translation)
    model.learn_usual_posture(frames.rotation, frames.translation, frames.posture)
    centres = model.occupancy.centres()
    hull = loose_hull(centres, frames) & ~air_cells(centres, capture.face, expression.numpy())
    model.occupancy.carve(hull if bool(hull.any()) else torch.ones_like(hull))
    return model


def _budget_bytes(device: torch.device) -> int:
    if device.type != "cuda":
        return _CPU_BUDGET_BYTES
    free, _ = torch.cuda.mem_get_info(device)
    return int(free * _GPU_BUDGET_SHARE)


class _Loop:
    """Runs the steps that are left; on a GPU they are compiled and replayed as one CUDA graph."""

    def __init__(self, step: FieldStep, optimizer: torch.optim.Adam, begun: Progressed) -> None:
        self.step, self.model, self.preset = step, step.model, step.preset
        self.optimizer, self.begun = optimizer, begun
        self.compile_s = 0.0
        self.seconds = begun.seconds
        self.ms_per_step = 0.0
        self.psnr_db = 0.0

    def run(self, save: Callable[[Progressed], None], progress: Progress) -> None:
        """Train to the last step, saving now and then."""
        preset, done = self.preset, self.begun.step
        if done >= preset.n_steps:
            return
        progress("training", done, preset.n_steps, "compiling" if self.step.is_compiled else "")
        started = time.perf_counter()
        advance = self._prepared(done)
        self.compile_s = time.perf_counter() - started
        started = saved = time.perf_counter()
        warm_up = int(preset.warm_up_share * preset.n_steps)
        hollow = int(preset.hollow_share * preset.n_steps)
        error = torch.zeros((), device=self.model.device)
        for index in range(done, preset.n_steps):
            if index == hollow:
                self._hollow_out()
            if index >= warm_up and index % preset.occupancy_every == 0:
                self.step.refresh_occupancy()
            self._set_schedule(index)
            error = error.lerp(advance(), 0.05)
            if (index + 1) % _REPORT_EVERY == 0 or index + 1 == preset.n_steps:
                self.seconds = self.begun.seconds + time.perf_counter() - started
                self._report(index + 1, error, done, progress)
                if time.perf_counter() - saved > _CHECKPOINT_EVERY_S or index + 1 == preset.n_steps:
                    save(Progressed(index + 1, self.seconds))
                    saved = time.perf_counter()
        self.ms_per_step = (time.perf_counter() - started) / (preset.n_steps - done) * 1e3

    def _hollow_out(self) -> None:
        """Leave out what can never be seen, for good; the rest of the training makes up for what that changes."""
        occupancy = self.model.occupancy
        _settle_occupancy(self.step, self.model)
        seen = occupancy.may_hold & visible_cells(self.model, self.step.frames, self.step.final_step)
        if bool(seen.any()):  # after a handful of steps there may be nothing to see yet
            occupancy.carve(seen)

    def _set_schedule(self, index: int) -> None:
        set_rates(self.optimizer, self.preset, index)
        self.step.scale.fill_(sample_scale(self.preset, index))

    def _report(self, done: int, error: Tensor, begun: int, progress: Progress) -> None:
        value = float(error) / (1 - 0.95 ** (done - begun))
        if not math.isfinite(value):
            raise MachineError(
                f"The training diverged at step {done}. Try another --seed; if it happens again, please report it."
            )
        self.psnr_db = -10 * math.log10(max(value, 1e-10))
        progress("training", done, self.preset.n_steps, f"{self.psnr_db:.1f} dB")

    def _advance(self) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss, error = self.step.loss()
        loss.backward()
        self.optimizer.step()
        return error

    def _prepared(self, index: int) -> StepFunction:
        """Return the function that advances by one step; on a GPU a captured graph of it."""
        self._set_schedule(index)
        if self.model.device.type != "cuda":
            return self._advance
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_GRAPH_WARM_UP):
                self._advance()
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            error = self._advance()

        def replay() -> Tensor:
            graph.replay()
            return error

        return replay


def _settle_occupancy(step: FieldStep, model: AvatarModel) -> None:
    """Measure the occupancy over many expressions without forgetting, with stronger ones and some never recorded."""
    model.occupancy.density.zero_()
    for round_number in range(_SETTLING_ROUNDS):
        step.refresh_occupancy(keep=1.0, gain=1.0 + round_number % 3 / 3)
    for added in imagined_expressions(model.device):
        for _ in range(_IMAGINED_ROUNDS):
            step.refresh_occupancy(keep=1.0, added=added)
